"""After an outage one key tries for all, and neither what runs long nor what MinIO alone can settle is in its way."""

import threading

from unit.workers import PATIENCE_SECONDS, FakeJournal, Stage, job, running

from sharepoint_proxy.alarms import Alarms
from sharepoint_proxy.errors import OutageError, Subject
from sharepoint_proxy.records import Action, Job, Outcome, State

DONE = Outcome(state=State.SETTLED, action=Action.UPLOADED)


class Trouble:
    """Work that fails once with an outage for the key "unlucky"; "film" takes until it is let go."""

    def __init__(self, subject: Subject = Subject.MINIO) -> None:
        self.stage = Stage(holds=lambda one: one.key == "film")
        self._subject = subject
        self._failed = threading.Event()

    def converge(self, one: Job) -> Outcome:
        if one.key == "unlucky" and not self._failed.is_set():
            self._failed.set()
            raise OutageError("MinIO cannot be reached.", subject=self._subject)
        return self.stage.perform(one)


def test_a_long_upload_does_not_hold_up_the_key_that_tries() -> None:
    trouble = Trouble()
    with running(FakeJournal([job("film", large=True)]), trouble.converge, places=4, large_places=2) as world:
        trouble.stage.await_entries(1)
        world.add(job("unlucky"))
        assert world.journal.next_settled()[1].state is State.WAITING
        world.add(job("small"))
        world.workers.wake()

        assert world.journal.next_settled()[0].key == "small", "while the film is still on its way"
        trouble.stage.let_all_go()


def test_after_an_outage_all_places_are_open_again() -> None:
    trouble = Trouble(Subject.GRAPH)
    together = threading.Barrier(3)

    def converge(one: Job) -> Outcome:
        if one.key.startswith("many"):
            together.wait(PATIENCE_SECONDS)
        return DONE if one.key != "unlucky" else trouble.converge(one)

    with running(FakeJournal([job("unlucky")]), converge, places=3) as world:
        world.journal.next_settled()
        world.add(job("first"))
        world.workers.wake()
        world.journal.next_settled()
        for number in range(3):
            world.add(job(f"many {number}"))
        world.workers.wake()

        assert {one.key for one, _ in world.journal.await_settled(3)} == {"many 0", "many 1", "many 2"}


def test_a_library_that_is_closed_holds_up_no_other_and_is_told_until_something_of_its_own_works() -> None:
    closed = OutageError("Compta waits.", subject=Subject.LIBRARY, library="compta", retry_after=1800, status=403)
    told: list[list[str]] = []

    def converge(one: Job) -> Outcome:
        told.append(world.alarms.sentences())
        if one.key == "closed":
            raise closed
        return Outcome(state=State.SETTLED, action=Action.DELETED, path=one.key)

    with running(FakeJournal([]), converge) as world:
        world.add(job("closed"))
        outcome = world.journal.next_settled()[1]
        for key in ("a", "archives:/a", "compta:/a", "b"):
            world.add(job(key))
            world.journal.next_settled()

    assert (outcome.state, outcome.counts_as_attempt) == (State.WAITING, False)
    assert outcome.delay >= 1800
    assert told == [[], *[["Compta waits."]] * 3, []]


def test_each_library_has_an_alarm_of_its_own() -> None:
    alarms = Alarms()

    assert alarms.sound(Subject.QUOTA, "One is full.", library="one")
    assert alarms.sound(Subject.QUOTA, "The main one is full.")
    assert not alarms.sound(Subject.QUOTA, "One is full, still.", library="one")
    assert alarms.sentences() == ["One is full, still.", "The main one is full."]
    assert alarms.subjects() == {Subject.QUOTA}
    alarms.end(Subject.QUOTA, Subject.LIBRARY)
    assert alarms.sentences() == ["One is full, still."]
    alarms.end(Subject.QUOTA, library="one")
    assert alarms.subjects() == frozenset()
