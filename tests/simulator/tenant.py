"""Everything that one simulated tenant holds: sites, libraries, applications, sessions, faults, limits and the log."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid4, uuid5

from simulator.calls import Call, CallLog
from simulator.contents import ContentStore
from simulator.download_links import DownloadLinks
from simulator.drive import Library
from simulator.entra import Application, Entra
from simulator.faults import FaultQueue
from simulator.graph_errors import denied, invalid, not_found
from simulator.options import GRAPH_RESOURCE, SimulatorOptions, SiteOptions
from simulator.throttling import Throttle
from simulator.upload_sessions import UploadSessions


@dataclass(frozen=True, slots=True)
class Site:
    """A site with its libraries, the default one first."""

    options: SiteOptions
    id: str
    libraries: tuple[Library, ...]

    @property
    def web_url(self) -> str:
        """The address a person would open."""
        return f"https://{self.options.host}/{quote(self.options.server_path)}"


class Tenant:
    """The state behind both listeners; whoever reads or changes it holds `lock`."""

    def __init__(self, options: SimulatorOptions, folder: Path, listener: Callable[[Call], None] | None = None) -> None:
        self.options = options
        self.clock = options.clock
        self.lock = RLock()
        self.log = CallLog(self.lock, listener)
        self.faults = FaultQueue()
        self.store = ContentStore(folder, memory_limit=options.memory_limit, keep=options.keep_content)
        self.throttle = Throttle(options.clock, options.resource_units)
        self.latency = options.latency
        self.bandwidth = options.bandwidth
        self.sites = tuple(_site(site, options) for site in options.sites)
        self.sessions = UploadSessions(self.store, options.clock)
        self.application = Application(options.client_id, roles=options.app_roles, secret=options.client_secret)
        self.entra = Entra(
            tenant_id=options.tenant_id,
            resource=GRAPH_RESOURCE,
            token_seconds=options.token_seconds,
            clock=options.clock,
        )
        self.entra.add(self.application)
        self.links = DownloadLinks(options.clock)
        self.origin = ""
        self.upload_origin = ""
        self.oldest_delta = 0
        self._libraries = {library.id: (site, library) for site in self.sites for library in site.libraries}

    def site_by_path(self, host: str, path: str) -> Site:
        """The site at HOST and server-relative PATH; raise a 400 for a foreign host, a 404 for an unknown path."""
        if host.lower() not in {site.options.host.lower() for site in self.sites}:
            raise invalid("Provided id has an invalid hostname for this tenancy")
        for site in self.sites:
            if site.options.host.lower() == host.lower() and site.options.server_path.lower() == path.lower():
                return self._granted(site)
        raise not_found("Requested site could not be found")

    def site_by_id(self, site_id: str) -> Site:
        """The site with SITE_ID; raise a 404."""
        for site in self.sites:
            if site_id.lower() == site.id.lower():
                return self._granted(site)
        raise not_found("Requested site could not be found")

    def library_by_id(self, drive_id: str) -> Library:
        """The library with DRIVE_ID; raise a 400 for what is no drive id, a 404 for an unknown one."""
        if not drive_id.startswith("b!"):
            raise invalid("The provided drive id appears to be malformed, or does not represent a valid drive.")
        if drive_id not in self._libraries:
            raise not_found()
        site, library = self._libraries[drive_id]
        self._granted(site)
        return library

    def site_of(self, library: Library) -> Site:
        """The site that holds LIBRARY."""
        return self._libraries[library.id][0]

    def library_named(self, name: str, site_path: str | None = None) -> Library:
        """The library with display or URL NAME on the site at `host:/path` (the first site if None); raise LookupError."""
        for site in self.sites:
            if site_path in (None, site.options.path):
                for library in site.libraries:
                    if name.lower() in {library.name.lower(), library.url_name.lower()}:
                        return library
        raise LookupError(f"No library {name!r} on {site_path or 'any site'}.")

    def _granted(self, site: Site) -> Site:
        grants = self.options.granted_sites
        if grants is not None and site.options.path not in grants:
            raise denied()
        return site


def _site(options: SiteOptions, simulator: SimulatorOptions) -> Site:
    libraries = tuple(
        Library(site_path=options.server_path, name=library.name, url_name=library.url_name, clock=simulator.clock)
        for library in options.libraries
    )
    collection = uuid5(NAMESPACE_URL, options.path)
    return Site(options, f"{options.host},{collection},{uuid4()}", libraries)
