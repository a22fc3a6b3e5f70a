"""A journal of earlier days is taken over as it is: what waited waits, what was parked is parked, and both are counted."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from unit.fakes import BUCKET, Clock, created, memory_folder, open_database, open_journal

from sharepoint_proxy.records import Counts, Outcome, State

EARLIER = """
CREATE TABLE counter (generation INTEGER NOT NULL);
INSERT INTO counter VALUES (4);
CREATE TABLE changes (
    bucket TEXT NOT NULL, key TEXT NOT NULL,
    generation INTEGER NOT NULL,
    state TEXT NOT NULL,
    working INTEGER NOT NULL DEFAULT 0,
    event TEXT NOT NULL,
    large INTEGER NOT NULL,
    marked_at REAL NOT NULL,
    due_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    status INTEGER,
    blocked_by TEXT,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;
CREATE INDEX changes_due ON changes (large, due_at) WHERE state = 'waiting' AND working = 0;
CREATE INDEX changes_working ON changes (working) WHERE working = 1;
CREATE INDEX changes_blocked ON changes (blocked_by) WHERE blocked_by IS NOT NULL;
INSERT INTO changes (bucket, key, generation, state, working, event, large, marked_at, due_at) VALUES
    ('lycee', 'held', 1, 'waiting', 1, 'put', 0, 1, 1),
    ('lycee', 'waits', 2, 'waiting', 0, 'put', 0, 2, 2),
    ('lycee', 'is large', 3, 'waiting', 0, 'put', 1, 3, 3),
    ('lycee', 'parked', 4, 'parked', 0, 'put', 0, 0, 0);
"""
"""What the first version made: a column of `changes` said which keys were worked on. The service died at work."""


@pytest.fixture
def path() -> Iterator[Path]:
    with memory_folder() as folder:
        path = folder / "journal.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(EARLIER)
        yield path


def test_all_that_waited_is_claimed_and_settled(path: Path) -> None:
    with closing(open_database(path)) as database:
        journal = open_journal(database, Clock())
        journal.recover()
        assert journal.counts() == Counts(waiting=3, working=0, parked=1, oldest_marked_at=1)

        jobs = journal.claim(places=16, large_places=4)
        assert [job.key for job in jobs] == ["held", "waits", "is large"]
        for job in jobs:
            journal.settle(job, Outcome(state=State.SETTLED))
        assert journal.counts() == Counts(waiting=0, working=0, parked=1, oldest_marked_at=None)


def test_it_takes_new_events(path: Path) -> None:
    with closing(open_database(path)) as database:
        journal = open_journal(database, Clock())

        assert journal.mark([created("parked"), created("new")]) == [5, 6]
        assert (journal.counts().waiting, journal.counts().parked) == (5, 0)
        assert {job.name for job in journal.claim(places=16, large_places=4)} >= {f"{BUCKET}/parked", f"{BUCKET}/new"}


def test_each_start_finds_the_same_counts(path: Path) -> None:
    counts = []
    for _ in range(3):
        with closing(open_database(path)) as database:
            counts.append(open_journal(database, Clock()).counts())

    assert counts == [Counts(waiting=3, working=0, parked=1, oldest_marked_at=1)] * 3
