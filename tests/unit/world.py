"""A small world around the real journal, mirror and workers: MinIO and SharePoint in memory, and time that a test turns."""

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Self

from unit.fake_library import APPLICATION_ID, Death, FakeLibrary, Fault, Item, Wire
from unit.fake_source import NOW, FakeSource
from unit.fakes import BUCKET, GRACE_SECONDS, Clock, created, memory_folder, open_database, open_journal, removed

from sharepoint_proxy.alarms import Alarms
from sharepoint_proxy.column_memory import ColumnMemory
from sharepoint_proxy.events import SESSION_ABOVE_BYTES, ObjectEvent
from sharepoint_proxy.fragments import Fragments
from sharepoint_proxy.handover import Handover
from sharepoint_proxy.mirror_parts import Parts as MirrorParts
from sharepoint_proxy.paths import Routing, comparison_key, parse_routing
from sharepoint_proxy.records import Job, Outcome
from sharepoint_proxy.replica import CarefulHandover, ReplicaMirror
from sharepoint_proxy.sessions import Sessions
from sharepoint_proxy.throttle import Throttle
from sharepoint_proxy.worker import Workers

LARGE_BYTES = SESSION_ABOVE_BYTES + 3
FRAGMENT_BYTES = 8 * 320 * 1024
NEVER_GIVE_UP = 1_000_000
PATIENCE = 200


class World:
    """Everything between two dictionaries. Events wait in `pending` until they are delivered; jobs in `claimed` until run.

    BESIDE another one it has a journal of its own, and shares everything else: both are replicas then, if IS_REPLICA.
    """

    def __init__(
        self,
        *,
        prefixes: str = "*",
        library: type[FakeLibrary] = FakeLibrary,
        beside: "World | None" = None,
        is_replica: bool = False,
        routing: Routing | None = None,
    ) -> None:
        self._is_replica = is_replica
        self.clock: Clock = Clock() if beside is None else beside.clock
        self._began = self.clock.now
        self.meanwhile: deque[Callable[[], None] | None] = deque()
        """What happens at each of the next moments at which something can happen in between."""
        self.wire: Wire = Wire(self._happen) if beside is None else beside.wire
        self.source: FakeSource = FakeSource(self._happen) if beside is None else beside.source
        self.library: FakeLibrary = library(self.wire, self.clock) if beside is None else beside.library
        self.pending: list[ObjectEvent] = []
        self.claimed: list[Job] = []
        self.outcomes: list[tuple[str, Outcome]] = []
        self._foreign: dict[str, Item] = {}
        self._folder = contextlib.ExitStack()
        self._path = self._folder.enter_context(memory_folder()) / "journal.db"
        self.start(prefixes=prefixes, routing=routing)

    def start(self, *, prefixes: str | None = None, routing: Routing | None = None) -> None:
        """Start the proxy on the journal that is there."""
        if routing is not None:
            self._routing = routing
        elif prefixes is not None:
            self._routing = parse_routing(prefixes, buckets=(BUCKET,), bucket_as_folder=False)
        self.database = open_database(self._path)
        self.journal = open_journal(self.database, self.clock)
        self.journal.recover()
        handover = Handover(self.database)
        mirror = MirrorParts(
            routing=self._routing,
            source=self.source,
            journal=self.journal,
            handover=self._careful(handover) if self._is_replica else handover,
            memory=ColumnMemory(self.database),
            library=self.library,
            sessions=Sessions(
                self.library, self.library, fragments=partial(Fragments, FRAGMENT_BYTES), is_stopping=lambda: False
            ),
            metadata_columns=(),
            application_id=APPLICATION_ID,
            grace_seconds=GRACE_SECONDS,
            seconds=self.clock,
            clock=self._time_of_day,
        ).mirror()
        # Never started: a test runs its jobs one by one, and inside one another.
        self._workers = Workers(
            journal=self.journal,
            converge=self._as_replica(mirror.converge) if self._is_replica else mirror.converge,
            publish=self._note,
            throttle=Throttle(most=16),
            alarms=Alarms(),
            places=16,
            large_places=4,
            max_attempts=NEVER_GIVE_UP,
        )

    def _careful(self, handover: Handover) -> CarefulHandover:
        return CarefulHandover(handover, self.journal, grace_seconds=GRACE_SECONDS, clock=self.clock)

    def _as_replica(self, converge: Callable[[Job], Outcome]) -> Callable[[Job], Outcome]:
        self.journal.doubt_ledger()
        return ReplicaMirror(converge, routing=self._routing, source=self.source, journal=self.journal).converge

    def _time_of_day(self) -> datetime:
        return NOW + timedelta(seconds=self.clock.now - self._began)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()
        self._folder.close()

    def die(self, *, prefixes: str | None = None) -> None:
        """End the process in the middle of whatever it does, and start it again."""
        self.claimed.clear()
        self.database.close()
        self.start(prefixes=prefixes)

    def put_foreign(self, path: str, content: bytes) -> None:
        """Let a user have a file of their own in the library."""
        self._foreign[comparison_key(path)] = replace(self.library.put_directly(path, content))

    def put(self, key: str, content: bytes, *, in_parts: bool = False, age: timedelta = timedelta(0)) -> None:
        """Store an object; its event is pending."""
        self.source.put(key, content, in_parts=in_parts, age=age)
        self.pending.append(created(key, size=len(content)))

    def remove(self, key: str) -> None:
        """Delete an object; its event is pending."""
        self.source.remove(key)
        self.pending.append(removed(key))

    def deliver_all(self) -> None:
        """Hand every pending event to the journal, in order."""
        self.journal.mark(self.pending)
        self.pending.clear()

    def claim(self, *, places: int = 16, large_places: int = 4) -> None:
        """Let workers take what is due."""
        self.claimed += self.journal.claim(places=places, large_places=large_places)

    def work(self, index: int = 0) -> None:
        """Run one of the claimed jobs inside whatever runs already."""
        self._workers._run(self.claimed.pop(index))

    def plan(self, faults: Sequence[Fault | None], meanwhile: Sequence[Callable[[], None] | None]) -> None:
        """Let the next requests break as FAULTS say, and MEANWHILE happen at the next moments between two steps of a job."""
        self.wire.faults = deque(faults)
        self.meanwhile = deque(meanwhile)

    def run(self, index: int = 0) -> None:
        """Run one of the claimed jobs; the process may die of it."""
        try:
            self.work(index)
        except Death:
            self.die()

    def look(self) -> None:
        """Deliver, and run once each job that is due at the end of the grace period."""
        self.deliver_all()
        self.clock.turn(2)
        self.claim()
        while self.claimed:
            self.run()

    def calm(self) -> None:
        """With nothing more going wrong, deliver all and work until nothing is left to do."""
        self.wire.faults.clear()
        self.meanwhile.clear()
        self.deliver_all()
        self._work_until_quiet()
        for row in self.database.read("SELECT key FROM changes WHERE state = 'parked' AND blocked_by IS NULL"):
            self.pending.append(created(row["key"]))
        self.deliver_all()
        self._work_until_quiet()

    def blocked(self) -> dict[str, str]:
        """The parked keys, each with the key that holds its place."""
        rows = self.database.read(
            "SELECT key, blocked_by FROM changes WHERE state = 'parked' AND blocked_by IS NOT NULL"
        )
        return {row["key"]: row["blocked_by"].removeprefix(f"{BUCKET}/") for row in rows}

    def disagreements(self) -> list[str]:
        """What SharePoint holds otherwise than MinIO, apart from keys whose place another key holds."""
        wanted = {key: version.content for key, version in self.source.objects.items() if key not in self.blocked()}
        files = {self._place(key): content for key, content in wanted.items() if not key.endswith("/")}
        files |= {place: item.content or b"" for place, item in self._foreign.items()}
        there = {place: item.content for place, item in self.library.items.items() if item.content is not None}
        folders = [key for key in wanted if key.endswith("/")]
        return [
            *(f"{place} differs" for place in files if there.get(place) != files[place]),
            *(f"{place} is left over" for place in there if place not in files),
            *(f"{place} is not as its owner left it" for place in self._foreign if not self._is_untouched(place)),
            *(f"the folder {key} is missing" for key in folders if not self.library.is_folder(self._place(key))),
            *(f"the folder {key} is left over" for key in self._made_folders() if not self._is_wanted(key)),
        ]

    def _is_untouched(self, place: str) -> bool:
        return self.library.items.get(place) == self._foreign[place]

    def _made_folders(self) -> list[str]:
        rows = self.database.read("SELECT key FROM ledger WHERE is_folder AND made")
        return [row["key"] for row in rows]

    def _is_wanted(self, folder_key: str) -> bool:
        return any(comparison_key(key).startswith(comparison_key(folder_key)) for key in self.source.objects)

    def _place(self, key: str) -> str:
        target = self._routing.target(BUCKET, key)
        assert target is not None
        return comparison_key(target.path)

    def _work_until_quiet(self) -> None:
        for _ in range(PATIENCE):
            while self.claimed:
                self.run()
            due = self.journal.seconds_until_due(large_places=4)
            if due is None:
                return
            self.clock.turn(due)
            self.claim()
        raise AssertionError("The mirror does not come to rest.")

    def _note(self, job: Job, outcome: Outcome) -> None:
        self.outcomes.append((job.key, outcome))

    def _happen(self) -> None:
        if self.meanwhile and (action := self.meanwhile.popleft()) is not None:
            action()
