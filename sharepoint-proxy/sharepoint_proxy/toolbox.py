"""What the commands work with, made when a command asks for it, from the same settings as the service's."""

import http.client
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property
from http import HTTPStatus
from typing import Any, NoReturn

from sharepoint_proxy import assembly, consume_parts, tables
from sharepoint_proxy.assembly import Configuration
from sharepoint_proxy.backlog import Backlog
from sharepoint_proxy.checkup_parts import make_checkup
from sharepoint_proxy.database import Database
from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.explain import Explainer, Story
from sharepoint_proxy.findings import Finding
from sharepoint_proxy.graph import Graph
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.libraries import Libraries
from sharepoint_proxy.notes import Notes
from sharepoint_proxy.reconcile_parts import LAST, Reconciling
from sharepoint_proxy.records import Counts, Reconciled
from sharepoint_proxy.restore import Restorer
from sharepoint_proxy.restore_parts import make_restorer
from sharepoint_proxy.screen import Screen
from sharepoint_proxy.settings import Settings
from sharepoint_proxy.source import Source
from sharepoint_proxy.throttle import Throttle

_SERVICE_SECONDS = 10.0


class Toolbox:
    """The parts for the commands, from the environment VARIABLES. Wrong settings raise ConfigError where they are first needed."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables

    def screen(self, *, as_json: bool) -> Screen:
        """Where a command writes."""
        return Screen(as_json=as_json)

    @cached_property
    def configuration(self) -> Configuration:
        """The settings, proved."""
        return assembly.configure(self.variables)

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.configuration.settings

    @cached_property
    def database(self) -> Database:
        """The journal's file, which the service may be using too."""
        _refuse_another_user(self.settings)
        return Database(assembly.journal_path(self.settings), schema=tables.SCHEMA)

    @cached_property
    def journal(self) -> Journal:
        """The journal."""
        return assembly.journal_in(self.database, self.settings)

    @cached_property
    def backlog(self) -> Backlog:
        """The journal for a person."""
        return Backlog(self.database)

    @cached_property
    def graph(self) -> Graph:
        """The client of Graph, with a pace of its own."""
        return assembly.make_graph(self.configuration, Throttle(most=self.settings.upload_workers))

    @cached_property
    def libraries(self) -> Libraries:
        """The document libraries."""
        return assembly.make_libraries(self.graph, self.configuration)

    @cached_property
    def source(self) -> Source:
        """MinIO."""
        return assembly.make_source(self.settings)

    @cached_property
    def reconciling(self) -> Reconciling:
        """What makes reconciles."""
        # Nobody asks a command to stop but by Ctrl-C, which ends any sleep.
        sleep = threading.Event().wait
        return Reconciling(
            self.settings,
            self.configuration.routing,
            self.database,
            self.journal,
            self.source,
            self.libraries,
            sleep=sleep,
        )

    @cached_property
    def restorer(self) -> Restorer:
        """What brings files back."""
        return make_restorer(self.variables, database=self.database)

    @property
    def most_delete_percent(self) -> float:
        """The share of the files that a reconcile may delete."""
        return self.settings.max_delete_percent

    def story(self, bucket: str, key: str) -> Story:
        """What is known of a key."""
        explainer = Explainer(
            routing=self.configuration.routing,
            source=self.source,
            journal=self.journal,
            backlog=self.backlog,
            library=lambda: self.libraries,
            application_id=self.settings.client_id,
        )
        return explainer.story(bucket, key)

    def findings(self) -> Iterator[Finding]:
        """What a check finds, step by step."""
        return make_checkup(self.variables).findings()

    def consume(self, *, drain: bool) -> NoReturn:
        """Go on as the service, with its events from Kafka, or with DRAIN until its journal is worked off."""
        consume_parts.prove(self.settings)
        consume_parts.become_the_service(drain=drain)

    def counts(self) -> Counts:
        """How much the journal holds."""
        return self.journal.counts()

    def last_reconcile(self) -> Reconciled | None:
        """How the last reconcile ended."""
        return Reconciled.parse(Notes(self.database).read(LAST))

    def live(self) -> dict[str, Any] | None:
        """What the service says of itself; None when it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=_SERVICE_SECONDS)
        headers = {"Authorization": f"Bearer {self.settings.webhook_secret}"}
        with closing(connection):
            try:
                connection.request("GET", "/status.json", headers=headers)
                answer = connection.getresponse()
                body = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError):
                return None
        return body if answer.status == HTTPStatus.OK and isinstance(body, dict) else None

    def named(self, name: str) -> tuple[str, str]:
        """The bucket and key that NAME stands for: "bucket/key", or the key alone where one bucket is mirrored."""
        buckets = self.settings.minio_buckets
        bucket, _, key = name.partition("/")
        if bucket in buckets and key:
            return bucket, key
        if len(buckets) == 1:
            return buckets[0], name
        raise ConfigError([f"{name} begins with none of the buckets {', '.join(buckets)}: write bucket/key."])

    def scope(self, name: str) -> tuple[str, str]:
        """The same for the beginning of keys: NAME may be a bucket alone, which means all of it."""
        bucket, _, prefix = name.partition("/")
        return (bucket, "") if bucket in self.settings.minio_buckets and not prefix else self.named(name)


@contextmanager
def opened(variables: Mapping[str, str]) -> Iterator[Toolbox]:
    """A toolbox, put away at the end."""
    toolbox = Toolbox(variables)
    try:
        yield toolbox
    finally:
        if "database" in vars(toolbox):
            toolbox.database.close()


def _refuse_another_user(settings: Settings) -> None:
    """ConfigError when files that this user makes could not be written by the service."""
    try:
        owner = settings.data_dir.stat().st_uid
    except FileNotFoundError:
        raise ConfigError(
            [f"DATA_DIR {settings.data_dir} does not exist: start the service first, or correct it."]
        ) from None
    if owner != os.geteuid():
        raise ConfigError(
            [
                f"DATA_DIR {settings.data_dir} belongs to uid {owner}, and you are uid {os.geteuid()}: run this as that user."
            ]
        )
