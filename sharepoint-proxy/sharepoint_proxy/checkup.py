"""The check-up: everything that the mirror needs, tried in the order in which it needs it, each step told in one line.

What can be tried is tried, also after an earlier step failed; what cannot be says which step or setting it needs. The steps
themselves are in `checkup_login`, `checkup_sharepoint`, `checkup_minio` and `checkup_service`.
"""

import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from sharepoint_proxy import checkup_login, checkup_minio, checkup_service, checkup_sharepoint
from sharepoint_proxy.checkup_login import LoginHost
from sharepoint_proxy.checkup_minio import Source, Watched
from sharepoint_proxy.checkup_service import Reply
from sharepoint_proxy.checkup_sharepoint import Drive, Graph, Library, Site
from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.findings import Finding, Step, Verdict
from sharepoint_proxy.paths import Route, split_library
from sharepoint_proxy.settings import Destination, Settings

_CERTIFICATE_ENDS_SOON = timedelta(days=30)
_ANSWER_MARGIN_SECONDS = 15.0
_ROUTE_SETTINGS = ("ALLOWED_PREFIXES", "BUCKET_AS_FOLDER", "MINIO_BUCKETS", "ROUTES_FILE")
_MINIO_SETTINGS = ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", "MINIO_REGION", "MINIO_BUCKETS")
_SETTINGS_ADVICE = "Correct it and start the service again; .env.example explains every setting."
_CERTIFICATE_ADVICE = (
    "certs/README.md tells how to make a certificate with its key; a new one must be uploaded in Entra ID > App registrations > your"
    " application > Certificates & secrets > Certificates."
)


class Credential(Protocol):
    """What may be told of the certificate; the key belongs to it."""

    @property
    def thumbprint_sha256(self) -> str: ...
    @property
    def thumbprint_sha1(self) -> str: ...
    @property
    def not_before(self) -> datetime: ...
    @property
    def not_after(self) -> datetime: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the check-up works with: the settings, with stand-ins for the wrong ones, and what makes or asks each of the others.

    `routes` and `destinations` are as far as the settings tell them.

    `start_problems` gives all for which the service would refuse to start; each begins with the name of its variable, but for
    those of `load_credential`, which raises ConfigError. `post_event` is given the object's name and the seconds to wait.
    """

    settings: Settings
    warnings: Sequence[str]
    start_problems: Callable[[], Sequence[str]]
    load_credential: Callable[[], Credential]
    login: LoginHost
    fetch_token: Callable[[], object]
    routes: Sequence[Route]
    destinations: Sequence[Destination]
    graph: Callable[[], Graph]
    find_drive: Callable[[Destination], Drive]
    open_library: Callable[[Destination], Library]
    source: Callable[[], Source]
    ask_ready: Callable[[], Reply]
    post_event: Callable[[str, float], Reply]
    write_journal: Callable[[], bool]
    free_bytes: Callable[[], int]
    now: Callable[[], datetime]
    uid: int


class Checkup:
    """Tries everything that the mirror needs; nothing that it makes on either side stays there."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._wrong: frozenset[str] = frozenset()
        self._test_name = f"sharepoint-proxy-check-{secrets.token_hex(4)}.txt"

    def findings(self) -> Iterator[Finding]:
        """What each step found, as soon as it is tried."""
        certificate = list(self._certificate_findings())
        yield from self._settings_findings({finding.found for finding in certificate})
        has_credential = yield from self._check_certificate(certificate)
        has_token = yield from self._check_login(has_credential=has_credential)
        yield from self._check_sharepoint("" if has_token else "the step token")
        yield from self._check_minio()
        yield from self._check_service()

    def _settings_findings(self, told_elsewhere: set[str]) -> Iterator[Finding]:
        step = Step("settings", "read the environment")
        problems = [problem for problem in self._parts.start_problems() if problem not in told_elsewhere]
        self._wrong = frozenset(map(_variable, problems))
        yield from (step.failed(problem, advice=_SETTINGS_ADVICE) for problem in problems)
        yield from (step.warning(warning, advice=_SETTINGS_ADVICE) for warning in self._parts.warnings)
        if not problems and not self._parts.warnings:
            yield step.ok("every setting can be used")

    def _certificate_findings(self) -> Iterator[Finding]:
        paths_read = f"{self._settings.cert_path} and {self._settings.key_path}"
        step = Step("certificate", f"read {paths_read}, and see that they belong together")
        try:
            credential = self._parts.load_credential()
        except ConfigError as error:
            yield from (step.failed(problem, advice=_CERTIFICATE_ADVICE) for problem in error.problems)
            return
        left = credential.not_after - self._parts.now()
        found = (
            f"valid from {credential.not_before:%Y-%m-%d} to {credential.not_after:%Y-%m-%d}, {left.days} days left; thumbprint (SHA-1,"
            f" as Entra ID shows it) {credential.thumbprint_sha1}, SHA-256 {credential.thumbprint_sha256}"
        )
        ends_soon = left < _CERTIFICATE_ENDS_SOON
        yield step.warning(found, advice=_CERTIFICATE_ADVICE) if ends_soon else step.ok(found)

    def _check_certificate(self, findings: Sequence[Finding]) -> Generator[Finding, None, bool]:
        if needs := self._lacking("CERT_PATH", "KEY_PATH", "KEY_PASSPHRASE"):
            yield Step("certificate", "read the certificate and its key").skipped(needs)
            return False
        yield from findings
        return all(finding.verdict is not Verdict.FAILED for finding in findings)

    def _check_login(self, *, has_credential: bool) -> Generator[Finding, None, bool]:
        settings, login = self._settings, self._parts.login
        has_tenant = yield from checkup_login.check_login_host(
            login,
            lacks_host=self._lacking("AUTHORITY", "REQUESTS_CA_BUNDLE"),
            lacks_tenant=self._lacking("TENANT_ID"),
        )
        step = checkup_login.token_step(client_id=settings.client_id, authority=login.authority)
        needs = "" if has_tenant else "the step tenant"
        needs = needs or ("" if has_credential else "the step certificate") or self._lacking("CLIENT_ID", "GRAPH_SCOPE")
        fetch = self._parts.fetch_token
        token = _tried(step, needs, lambda step: checkup_login.token_finding(step, fetch, scope=settings.graph_scope))
        yield token
        return token.verdict is Verdict.OK

    def _check_sharepoint(self, needs: str) -> Iterator[Finding]:
        if not self._parts.destinations:
            yield Step("site", "ask Graph for the sites of the routes").skipped(
                needs or self._lacking(*_ROUTE_SETTINGS)
            )
        sites: dict[str, Finding] = {}
        for destination in self._parts.destinations:
            site = self._site(destination)
            if str(site) not in sites:
                sites[str(site)] = self._site_finding(site, needs)
                yield sites[str(site)]
            yield from self._check_library(destination, site, _needs(sites[str(site)]))

    def _site(self, destination: Destination) -> Site:
        return Site(
            host=destination.site.host,
            relative_path=destination.site.relative_path,
            client_id=self._settings.client_id,
            graph_url=self._settings.graph_base_url,
        )

    def _site_finding(self, site: Site, needs: str) -> Finding:
        return _tried(
            checkup_sharepoint.site_step(site),
            needs or self._lacking("SITE_PATH", "GRAPH_BASE_URL"),
            lambda step: checkup_sharepoint.site_finding(step, site, self._parts.graph()),
        )

    def _check_library(self, destination: Destination, site: Site, needs: str) -> Iterator[Finding]:
        library = _tried(
            checkup_sharepoint.library_step(destination.library),
            needs or self._lacking("DOCUMENT_LIBRARY"),
            lambda step: checkup_sharepoint.library_finding(step, partial(self._parts.find_drive, destination), site),
        )
        yield library
        yield from self._check_writing(destination, site, _needs(library))

    def _check_writing(self, destination: Destination, site: Site, needs: str) -> Iterator[Finding]:
        writable = []
        where = f" in {destination}" if len(self._parts.destinations) > 1 else ""
        for folder in self._folders(destination):
            found = _tried(
                checkup_sharepoint.permission_step(folder, self._test_name, where),
                needs,
                partial(self._permission_finding, folder, destination, site),
            )
            yield found
            writable += [folder] if found.verdict is Verdict.OK else []
        if no_routes := self._lacking(*_ROUTE_SETTINGS):
            yield Step("permission", "write, read and remove a file in each routed folder").skipped(no_routes)
        yield _tried(
            checkup_sharepoint.large_files_step(where),
            "" if writable else "the step permission",
            lambda step: self._large_files_finding(writable[0], destination, site, step),
        )

    def _folders(self, destination: Destination) -> Iterable[str]:
        """The folders of the routes into the library of DESTINATION, each once."""
        folders = [split_library(route.folder) for route in self._routes()]
        return dict.fromkeys(folder for alias, folder in folders if alias == destination.alias)

    def _permission_finding(self, folder: str, destination: Destination, site: Site, step: Step) -> Finding:
        library = self._parts.open_library(destination)
        return checkup_sharepoint.permission_finding(step, library, folder, self._test_name, site)

    def _large_files_finding(self, folder: str, destination: Destination, site: Site, step: Step) -> Finding:
        parts = self._parts
        upload = checkup_sharepoint.TrialUpload(folder=folder, name=self._test_name, modified=parts.now())
        library = parts.open_library(destination)
        return checkup_sharepoint.large_files_finding(step, parts.graph(), library, upload, site)

    def _check_minio(self) -> Iterator[Finding]:
        settings, source = self._settings, self._parts.source()
        user = _tried(
            checkup_minio.user_step(str(settings.minio_endpoint)),
            self._lacking(*_MINIO_SETTINGS),
            lambda step: checkup_minio.user_finding(step, source, settings.minio_buckets[0]),
        )
        yield user
        routes = self._routes()
        for bucket in settings.minio_buckets:
            prefixes = tuple(route.prefix for route in routes if route.bucket == bucket)
            watched = Watched(bucket, prefixes, way="kafka" if settings.kafka_brokers else "webhook")
            if needs := _needs(user):
                yield from checkup_minio.skip_bucket(watched, needs)
            else:
                yield from checkup_minio.check_bucket(source, watched)
        if no_routes := self._lacking(*_ROUTE_SETTINGS):
            yield Step("event rules", "look for a rule for each routed prefix").skipped(no_routes)

    def _check_service(self) -> Iterator[Finding]:
        settings, parts = self._settings, self._parts
        step = checkup_service.service_step(settings.port)
        needs = self._lacking("PORT")
        found, is_ours = (
            (step.skipped(needs), False) if needs else checkup_service.service_finding(step, parts.ask_ready)
        )
        yield found
        # Nobody else may be told the webhook's secret.
        yield self._webhook_finding("" if is_ours else "the step service")
        yield checkup_service.journal_finding(parts.write_journal, folder=settings.data_dir, uid=parts.uid)
        yield checkup_service.disk_finding(parts.free_bytes, folder=settings.data_dir)

    def _webhook_finding(self, needs: str) -> Finding:
        settings = self._settings
        if no_routes := self._lacking(*_ROUTE_SETTINGS):
            return Step("webhook", "post an event about an object that does not exist").skipped(no_routes)
        route = next(iter(self._routes()))
        name = f"{route.bucket}/{route.prefix}{self._test_name}"
        wait = settings.sync_wait_seconds
        post = partial(self._parts.post_event, name, wait + _ANSWER_MARGIN_SECONDS)
        return _tried(
            checkup_service.webhook_step(settings.port, name),
            needs or self._lacking("WEBHOOK_SECRET", "SYNC_WAIT_SECONDS"),
            lambda step: checkup_service.webhook_finding(step, post, waits=wait > 0),
        )

    def _routes(self) -> Iterable[Route]:
        """The routes; none while a setting that makes them is wrong."""
        return () if self._lacking(*_ROUTE_SETTINGS) else self._parts.routes

    def _lacking(self, *names: str) -> str:
        """Which of the settings NAMES are wrong, for a step that needs them; "" when none is."""
        wrong = [name for name in names if name in self._wrong]
        return f"the setting {' and '.join(wrong)}" if wrong else ""


def _tried(step: Step, needs: str, act: Callable[[Step], Finding]) -> Finding:
    return step.skipped(needs) if needs else act(step)


def _needs(finding: Finding) -> str:
    """What a step that needs the one of FINDING lacks; "" when that went well."""
    return "" if finding.verdict in {Verdict.OK, Verdict.WARNING} else f"the step {finding.step}"


def _variable(problem: str) -> str:
    """The variable that a problem begins with."""
    return problem.split(maxsplit=1)[0].rstrip(":").removesuffix("_FILE")
