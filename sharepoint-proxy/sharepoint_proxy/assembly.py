"""Makes the parts that the service and the commands share, from one proved configuration."""

import os
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

from sharepoint_proxy import environment, library, paths, routes
from sharepoint_proxy.bandwidth import Bandwidth, Body, Schedule
from sharepoint_proxy.certificate import CertificateFiles, Credential
from sharepoint_proxy.database import Database
from sharepoint_proxy.environment import WebhookSecrets
from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.graph import Graph
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.libraries import Libraries, Shelf
from sharepoint_proxy.library import Drive, Library
from sharepoint_proxy.paths import Routing
from sharepoint_proxy.routes import Routes
from sharepoint_proxy.settings import STAND_IN, Destination, Settings
from sharepoint_proxy.source import Source
from sharepoint_proxy.throttle import Throttle
from sharepoint_proxy.tokens import Tokens

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that the start needs, proved usable as far as that goes without a network.

    `destinations` are the libraries that the routes lead to; the buckets of `settings` are those of the routes.
    """

    settings: Settings
    routing: Routing
    destinations: tuple[Destination, ...]
    certificate: CertificateFiles
    webhook_secrets: Callable[[], tuple[str, ...]]
    warnings: tuple[str, ...]

    @property
    def credential(self) -> Credential:
        """The certificate in use, with its key."""
        return self.certificate.credential


def configure(variables: Mapping[str, str]) -> Configuration:
    """The configuration in VARIABLES; ConfigError that lists every problem of it."""
    reading = environment.read(variables)
    settings = reading.settings
    problems = list(reading.problems)
    found = _tried(problems, lambda: read_routes(settings))
    certificate = _tried(
        problems,
        lambda: CertificateFiles(settings.cert_path, settings.key_path, passphrase=settings.key_passphrase),
    )
    problems.extend(_ca_bundle_problems(variables))
    if problems or found is None or certificate is None:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Configuration(
        settings=replace(settings, minio_buckets=buckets_of(found.routing)),
        routing=found.routing,
        destinations=found.destinations,
        certificate=certificate,
        webhook_secrets=WebhookSecrets(variables),
        warnings=(*reading.warnings, *found.warnings),
    )


def read_routes(settings: Settings) -> Routes:
    """The routes of the settings, or of the file that they name; ConfigError that lists every problem."""
    if settings.routes_file is not None:
        text = _text_of(settings.routes_file)
        return routes.parse(
            text, name=str(settings.routes_file), site=settings.site_path, library=settings.document_library
        )
    routing = paths.parse_routing(
        settings.allowed_prefixes, buckets=settings.minio_buckets, bucket_as_folder=settings.bucket_as_folder
    )
    return Routes(routing, main_library(settings))


def main_library(settings: Settings) -> tuple[Destination, ...]:
    """The library that is named outside of the routes, if one is."""
    site = settings.site_path
    return (Destination(site=site, library=settings.document_library),) if site is not None else ()


def buckets_of(routing: Routing) -> tuple[str, ...]:
    """The buckets that are mirrored, each once."""
    return tuple(dict.fromkeys(route.bucket for route in routing.routes))


def _text_of(routes_file: Path) -> str:
    try:
        return routes_file.read_text(encoding="utf-8-sig")
    except OSError as error:
        advice = f"ROUTES_FILE {routes_file} cannot be read by uid {os.geteuid()} ({error.strerror}): correct the path, the mount or the owner."
    except ValueError:
        advice = f"ROUTES_FILE {routes_file} is no text in UTF-8: save it as that."
    raise ConfigError([advice])


def _ca_bundle_problems(variables: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the file of certificates to trust, which the libraries below would only tell at the first request."""
    bundle = variables.get("REQUESTS_CA_BUNDLE", "")
    if not bundle or Path(bundle).is_dir():
        return
    try:
        ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        yield f"REQUESTS_CA_BUNDLE {bundle} holds no certificates that can be read ({error.strerror or error})."


def configure_or_exit(variables: Mapping[str, str]) -> Configuration:
    """The configuration, or one message on stderr that lists every problem, and exit code 2."""
    try:
        return configure(variables)
    except ConfigError as error:
        refuse_start(error)


def _tried(problems: list[str], step: Callable[[], T]) -> T | None:
    try:
        return step()
    except ConfigError as error:
        # What is missing was said already; a stand-in for it is no second problem.
        problems.extend(problem for problem in error.problems if STAND_IN not in problem)
        return None


def refuse_start(error: ConfigError) -> NoReturn:
    """One message on stderr that lists every problem, and exit code 2."""
    lines = "".join(f"  - {problem}\n" for problem in error.problems)
    sys.stderr.write(f"sharepoint-proxy cannot start with this configuration:\n{lines}")
    raise SystemExit(2)


def journal_path(settings: Settings) -> Path:
    """The file of the journal."""
    return settings.data_dir / "journal.db"


def journal_in(made: Database, settings: Settings, clock: Callable[[], float] | None = None) -> Journal:
    """The journal whose rows MADE holds."""
    return Journal(
        made,
        place_of=paths.comparison_key,
        delete_grace_seconds=settings.delete_grace_seconds,
        clock=clock or steady_clock(),
    )


def steady_clock() -> Callable[[], float]:
    """Seconds since the epoch as they were at the start, then counted evenly: a clock that is set must not stop the mirror."""
    ahead = time.time() - time.monotonic()
    return lambda: ahead + time.monotonic()


def make_graph(
    configuration: Configuration,
    throttle: Throttle,
    *,
    answered: Callable[[str, str, int], None] = lambda _method, _path, _status: None,
) -> Graph:
    """The client of Graph, which keeps THROTTLE's pauses; ANSWERED is told the method, path and status of each request."""
    settings = configuration.settings
    tokens = Tokens(
        client_id=settings.client_id,
        authority=settings.authority,
        known_authority=settings.known_authority,
        scope=settings.graph_scope,
        credential=configuration.certificate.renewed,
    )
    return Graph(
        base_url=settings.graph_base_url,
        tokens=tokens,
        throttle=throttle,
        connections=settings.upload_workers + 2,
        answered=answered,
        paced=_paced(settings),
    )


def _paced(settings: Settings) -> Callable[[Body], Body]:
    """What slows uploads down, if anything does."""
    if not settings.bandwidth_limit_mbit and not settings.bandwidth_schedule:
        return lambda body: body
    schedule = Schedule.parse(settings.bandwidth_schedule, otherwise=settings.bandwidth_limit_mbit)
    return Bandwidth(schedule).paced


def make_source(settings: Settings) -> Source:
    """The client of MinIO."""
    endpoint = settings.minio_endpoint
    return Source(
        endpoint=endpoint.address,
        secure=endpoint.secure,
        access_key=settings.minio_access_key,
        secret_key=settings.minio_secret_key,
        region=settings.minio_region,
        connections=settings.upload_workers + 2,
    )


def find_drive(graph: Graph, destination: Destination) -> Drive:
    """The document library of these names."""
    site = destination.site
    return library.find_drive(
        graph, site_host=site.host, site_relative_path=site.relative_path, library=destination.library
    )


def make_libraries(graph: Graph, configuration: Configuration) -> Libraries:
    """The document libraries of the routes, each found when it is first needed."""
    return Libraries(
        [
            Shelf(alias=destination.alias, name=str(destination), find=partial(_library, graph, destination))
            for destination in configuration.destinations
        ]
    )


def _library(graph: Graph, destination: Destination) -> Library:
    return Library(graph, find_drive(graph, destination))
