"""Joins what makes a service one replica of a Kafka consumer group, and starts it as that."""

import contextlib
import logging
import os
import signal
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from sharepoint_proxy.consumer import Consumer, Group, Metrics
from sharepoint_proxy.errors import ConfigError, JournalError
from sharepoint_proxy.handover import Handover
from sharepoint_proxy.journal import Journal
from sharepoint_proxy.mirror import Mirror
from sharepoint_proxy.paths import Routing
from sharepoint_proxy.replica import CarefulHandover, ReplicaMirror
from sharepoint_proxy.settings import Settings
from sharepoint_proxy.source import Source

_GUNICORN_FILE = Path(__file__).resolve().parents[1] / "gunicorn.conf.py"
_LEAVE_SECONDS = 10.0
_LOOK_SECONDS = 1.0

_log = logging.getLogger(__name__)


def prove(settings: Settings, *, is_installed: Callable[[str], object] = find_spec) -> None:
    """ConfigError, with all that is wrong, unless SETTINGS can make the service a replica, as far as no broker is needed to tell."""
    problems = [*_problems(settings)]
    if not is_installed("confluent_kafka"):
        problems.append(
            "Kafka's client is not installed: run `scripts/install kafka`, or build the image with"
            " `--build-arg REQUIREMENTS=requirements-kafka.txt`, as docker-compose.kafka.yml does."
        )
    if problems:
        raise ConfigError(problems)
    from sharepoint_proxy.kafka import refuse_unusable  # noqa: PLC0415 - only now it is known that it can be imported

    refuse_unusable(settings)


def _problems(settings: Settings) -> Iterator[str]:
    if not settings.kafka_brokers:
        yield "KAFKA_BROKERS is not set: give the brokers that MinIO publishes to, like kafka-1:9092,kafka-2:9092."
    credentials = (settings.kafka_sasl_mechanism, settings.kafka_sasl_username, settings.kafka_sasl_password)
    if settings.kafka_security_protocol.startswith("SASL") and not all(credentials):
        yield (
            f"KAFKA_SECURITY_PROTOCOL is {settings.kafka_security_protocol}: give KAFKA_SASL_MECHANISM,"
            " KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD too."
        )


def become_the_service(*, drain: bool) -> NoReturn:
    """Go on as gunicorn, in the place of this process, with the same environment; with DRAIN only until the journal is worked off."""
    application = "sharepoint_proxy.wsgi_drain:app" if drain else "sharepoint_proxy.wsgi_kafka:app"
    arguments = ["-m", "gunicorn", "--config", str(_GUNICORN_FILE), application]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - the arguments are ours


class Replica(ABC):
    """What a service has to be as one of several. From its making on the ledger of JOURNAL is believed only as far as that allows.

    CLOCK is the journal's, in seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        routing: Routing,
        journal: Journal,
        *,
        metrics: Metrics,
        wake: Callable[[], None],
        stopping: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        self._grace_seconds = settings.delete_grace_seconds
        self._clock = clock
        self._routing = routing
        self._journal = journal
        self._stopping = stopping
        self._consumer = Consumer(
            partial(_join, settings, journal),
            journal=journal,
            routing=routing,
            metrics=metrics,
            wake=wake,
            stopping=stopping,
        )
        self._thread = threading.Thread(target=self._run, name="replica", daemon=True)
        journal.doubt_ledger()

    @abstractmethod
    def _run(self) -> None:
        """What it does beside its workers, until STOPPING is set."""

    def start(self) -> None:
        """Begin, once the workers can work."""
        self._thread.start()

    def stop(self) -> None:
        """Return when the group is left; the event STOPPING has asked for it."""
        if self._thread.is_alive():
            self._thread.join(_LEAVE_SECONDS)

    def lag(self) -> Mapping[int, int]:
        """How many messages of each partition held here are not recorded yet."""
        return self._consumer.lag()

    def problems(self) -> Sequence[str]:
        """What keeps messages from coming."""
        return self._consumer.problems()

    def careful_handover(self, handover: Handover) -> CarefulHandover:
        """HANDOVER with what a replica has to beware of."""
        return CarefulHandover(handover, self._journal, grace_seconds=self._grace_seconds, clock=self._clock)

    def careful(self, mirror: Mirror, source: Source) -> ReplicaMirror:
        """MIRROR with what a replica has to beware of."""
        return ReplicaMirror(mirror.converge, routing=self._routing, source=source, journal=self._journal)


class Consuming(Replica):
    """A replica that takes its share of the messages."""

    def _run(self) -> None:
        self._consumer.run()


class Draining(Replica):
    """A replica that takes nothing more, and ends gunicorn when its journal holds nothing that waits."""

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            with contextlib.suppress(JournalError):
                counts = self._journal.counts()
                if counts.waiting + counts.working == 0:
                    _log.info("drained", extra={"parked": counts.parked})
                    # gunicorn's master is the parent of the process that serves.
                    os.kill(os.getppid(), signal.SIGTERM)
                    return


def _join(settings: Settings, journal: Journal) -> Group:
    from sharepoint_proxy.kafka import Membership  # noqa: PLC0415 - other services lack Kafka's client

    return Membership(settings, changed=journal.doubt_ledger)
