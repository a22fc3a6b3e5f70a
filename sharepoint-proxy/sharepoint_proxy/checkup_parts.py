"""Gives the check-up what it works with: the service's own clients, and the probes."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property, partial
from urllib.parse import urlsplit

from sharepoint_proxy import assembly, certificate, environment, probes, source
from sharepoint_proxy.certificate import Credential
from sharepoint_proxy.checkup import Checkup, Parts
from sharepoint_proxy.checkup_login import LoginHost
from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.graph import Graph
from sharepoint_proxy.library import Drive, Library
from sharepoint_proxy.paths import Routing
from sharepoint_proxy.probes import Reply
from sharepoint_proxy.routes import Routes
from sharepoint_proxy.settings import Destination, Settings
from sharepoint_proxy.throttle import Throttle
from sharepoint_proxy.tokens import Tokens

_GRAPH_ANSWER_SECONDS = 30.0
_READY_SECONDS = 10.0


def make_checkup(variables: Mapping[str, str]) -> Checkup:
    """The check-up of the configuration in VARIABLES, which need not be usable; it does nothing before it is asked for findings."""
    return Checkup(make_parts(variables))


def make_parts(variables: Mapping[str, str]) -> Parts:
    """What `make_checkup` gives to the check-up."""
    reading = environment.read(variables)
    settings = reading.settings
    sharepoint = _SharePoint(settings)
    found = _routes(settings)
    return Parts(
        settings=replace(settings, minio_buckets=assembly.buckets_of(found.routing) or settings.minio_buckets),
        warnings=reading.warnings,
        start_problems=partial(_start_problems, variables),
        load_credential=partial(_load_credential, settings),
        login=_login_host(settings.authority, variables),
        fetch_token=sharepoint.fetch_token,
        routes=found.routing.routes,
        destinations=found.destinations,
        graph=lambda: sharepoint.graph,
        find_drive=sharepoint.drive,
        open_library=lambda destination: _ReadableLibrary(sharepoint.graph, sharepoint.drive(destination)),
        source=partial(assembly.make_source, settings),
        ask_ready=partial(probes.ask_service, "GET", "/ready", port=settings.port, seconds=_READY_SECONDS),
        post_event=partial(_post_event, settings),
        write_journal=partial(_write_journal, settings),
        free_bytes=partial(probes.free_bytes, settings.data_dir),
        now=lambda: datetime.now(UTC),
        uid=os.geteuid(),
    )


class _SharePoint:
    """The clients of Entra ID and Graph, each made when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._drives: dict[Destination, Drive] = {}

    @cached_property
    def tokens(self) -> Tokens:
        settings = self._settings
        return Tokens(
            client_id=settings.client_id,
            authority=settings.authority,
            known_authority=settings.known_authority,
            scope=settings.graph_scope,
            credential=partial(_load_credential, settings),
        )

    def fetch_token(self) -> None:
        self.tokens.current()

    @cached_property
    def graph(self) -> Graph:
        return Graph(
            base_url=self._settings.graph_base_url,
            tokens=self.tokens,
            throttle=Throttle(most=1),
            connections=1,
            answer_seconds=_GRAPH_ANSWER_SECONDS,
        )

    def drive(self, destination: Destination) -> Drive:
        if destination not in self._drives:
            self._drives[destination] = assembly.find_drive(self.graph, destination)
        return self._drives[destination]


class _ReadableLibrary(Library):
    """A library whose files can be read, too."""

    def __init__(self, graph: Graph, drive: Drive) -> None:
        super().__init__(graph, drive)
        self._readable = graph
        self._items_path = f"/drives/{drive.id}/items"

    def open(self, item_id: str) -> AbstractContextManager[Iterator[bytes]]:
        return self._readable.download(f"{self._items_path}/{item_id}/content")


def _routes(settings: Settings) -> Routes:
    """The routes, or none where they are wrong; then the library that is named apart from them can be tried at least."""
    try:
        return assembly.read_routes(settings)
    except ConfigError:
        return Routes(Routing(()), assembly.main_library(settings))


def _start_problems(variables: Mapping[str, str]) -> Sequence[str]:
    try:
        assembly.configure(variables)
    except ConfigError as error:
        return error.problems
    return ()


def _load_credential(settings: Settings) -> Credential:
    now = datetime.now(UTC)
    return certificate.load(settings.cert_path, settings.key_path, passphrase=settings.key_passphrase, now=now)


def _login_host(authority: str, variables: Mapping[str, str]) -> LoginHost:
    # The variables that requests looks at, in its order.
    named = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if variables.get(name)), None)
    authorities = variables[named] if named else source.public_authorities()
    proxy = probes.web_proxy(urlsplit(authority).hostname or "", variables)
    return LoginHost(
        authority=authority,
        proxy=proxy,
        resolve=probes.resolve,
        greet=partial(probes.greet, proxy=proxy, authorities=authorities),
        trusted=f"the authorities of {named} {authorities}" if named else "the public authorities",
    )


def _post_event(settings: Settings, name: str, seconds: float) -> Reply:
    return probes.ask_service(
        "POST",
        "/s3event",
        port=settings.port,
        seconds=seconds,
        token=settings.webhook_secret,
        document={"EventName": "s3:ObjectCreated:Put", "Key": name},
    )


def _write_journal(settings: Settings) -> bool:
    """True once the journal was written to; where there is none, False once a file was made and removed in its folder."""
    path = assembly.journal_path(settings)
    if not path.exists():
        # A journal that another user made would be of no use to the service.
        probes.write_and_remove(settings.data_dir)
        return False
    # Without the tables' definitions: those of a running service are not changed under it.
    opened = Database(path, schema="")
    try:
        assembly.journal_in(opened, settings).check_writable()
    finally:
        opened.close()
    return True
