"""The course of a soak: all at once for some minutes, then peace, a last look at what waits, and the comparison."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import requests

from simulator.items import StoredItem
from soak import keys
from soak.comparison import Comparison, Difference, Row, journal_rows
from soak.ground import Ground
from soak.killer import Kill, Killer
from soak.tally import Tally
from soak.users import Memory, Users
from soak.weather import Weather

_PROGRESS_SECONDS = 10.0
_SETTLE_SECONDS = 180.0
_LOOK_SECONDS = 0.25
_NUDGE_SECONDS = 3.0
"""A key that is not due for longer is told of once more, as an administrator would who does not want to wait."""

_LONGEST_SESSION_SECONDS = 60.0
_LONGEST_SURPRISE = 2000
_GIVEN_UP = "Given up after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a soak did, and what came of it; `log` is what the service wrote in all its lives."""

    seconds: float
    settle_seconds: float
    memory: Memory
    delivered: int
    attempts: int
    kills: Counter[Kill]
    faults: Counter[str]
    tally: Tally
    nudged: int
    files: int
    parked: list[Row]
    empty_folders: list[str]
    sessions_left: int
    differences: list[Difference]
    log: list[str]


class Soak:
    """One soak of SECONDS in FOLDER; SAY is told a line of progress now and then."""

    def __init__(self, folder: Path, *, seconds: float, seed: int, say: Callable[[str], None]) -> None:
        self._ground = Ground(folder)
        self._seconds = seconds
        self._seed = seed
        self._say = say
        self._nudged: dict[tuple[str, str], float] = {}
        self._nudges = 0

    def run(self) -> Report:
        """Load, peace, comparison."""
        began = time.monotonic()
        with self._ground as ground:
            foreign = self._put_foreign_files()
            ground.service.start()
            users = Users(ground.minio, seed=self._seed)
            weather = Weather(ground.graph, ground.minio, seed=self._seed)
            killer = Killer(ground, seed=self._seed)
            self._load(users, weather, killer)
            peace = time.monotonic()
            differences = [*self._settle()]
            comparison = self._compare(foreign)
            differences += [*comparison.differences(), *_surprises(ground.service.history, killer.suicides)]
            deliveries = ground.minio.deliveries()
            return Report(
                seconds=time.monotonic() - began,
                settle_seconds=time.monotonic() - peace,
                memory=users.memory,
                delivered=sum(delivery.is_delivered for delivery in deliveries),
                attempts=len(deliveries),
                kills=killer.count,
                faults=weather.met,
                tally=ground.tally,
                nudged=self._nudges,
                files=comparison.files,
                parked=comparison.parked,
                empty_folders=comparison.empty_folders(),
                sessions_left=len(ground.graph.pending_sessions()),
                differences=differences,
                log=ground.service.history,
            )

    def _put_foreign_files(self) -> Mapping[str, StoredItem]:
        return {path: self._ground.graph.put_foreign(path, content) for path, content in keys.foreign_files().items()}

    def _load(self, users: Users, weather: Weather, killer: Killer) -> None:
        """Users, faults and kills for the whole time; afterwards everything runs and nothing fails."""
        with ExitStack() as acting:
            # The users end first: while MinIO is down their requests are repeated.
            for each in (weather, killer, users):
                acting.callback(each.stop)
                each.start()
            began = time.monotonic()
            while (passed := time.monotonic() - began) < self._seconds:
                time.sleep(min(_PROGRESS_SECONDS, self._seconds - passed))
                self._tell(time.monotonic() - began, users, killer)

    def _tell(self, passed: float, users: Users, killer: Killer) -> None:
        rows = journal_rows(self._ground.service.data_dir)
        parked = sum(row.state == "parked" for row in rows)
        self._ground.graph.clear_calls()
        self._say(
            f"{passed:5.0f} s: {users.memory.done.total():,} operations, {killer.count.total():,} kills, "
            f"{self._ground.tally.uploads:,} uploads; {len(rows) - parked:,} keys wait, {parked:,} are parked"
        )

    def _settle(self) -> Iterator[Difference]:
        """Return when nothing waits; a difference if that takes too long."""
        self._say("Peace. What still waits is waited for ...")
        deadline = time.monotonic() + _SETTLE_SECONDS
        # Sessions whose answer was lost, which nobody can go on with or cancel, have to run out.
        self._ground.graph.advance(_LONGEST_SESSION_SECONDS)
        try:
            self._ground.minio.drain(_SETTLE_SECONDS)
        except TimeoutError as error:
            yield Difference(f"Not all events were taken: {error}.")
        while (rows := self._unsettled()) and time.monotonic() < deadline:
            self._nudge(rows)
            time.sleep(_LOOK_SECONDS)

    def _unsettled(self) -> list[Row]:
        rows = journal_rows(self._ground.service.data_dir)
        return [row for row in rows if row.state == "waiting" or _GIVEN_UP in row.reason]

    def _nudge(self, rows: list[Row]) -> None:
        """Send an event for each key that was given up, or that waits for long."""
        for row in rows:
            is_late = row.state == "parked" or row.due_at > time.time() + _NUDGE_SECONDS
            if is_late and time.monotonic() - self._nudged.get((row.bucket, row.key), 0.0) > _NUDGE_SECONDS:
                self._nudged[row.bucket, row.key] = time.monotonic()
                self._send_event(row)

    def _send_event(self, row: Row) -> None:
        event = {"EventName": "s3:ObjectCreated:Put", "Key": f"{row.bucket}/{row.key}"}
        try:
            self._nudges += self._ground.service.post(event).ok
        except requests.RequestException:
            # It is still starting; the next look comes soon.
            return

    def _compare(self, foreign: Mapping[str, StoredItem]) -> Comparison:
        ground = self._ground
        rows = journal_rows(ground.service.data_dir)
        return Comparison(ground.minio.client(), ground.graph, rows=rows, foreign=foreign)


def _surprises(log: list[str], suicides: int) -> Iterator[Difference]:
    """A difference for each time that the service ended unasked, and each that it calls a defect of its own."""
    if suicides:
        yield Difference(f"The service ended by itself, {suicides} times.")
    for line in log:
        if '"event": "defect"' in line or line.startswith("Traceback"):
            yield Difference(f"The service was surprised: {line[:_LONGEST_SURPRISE]}")
