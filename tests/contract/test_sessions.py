"""The upload session: fragments in order, and what it does when one of them, the session or its last answer is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from contract.service_graph import (
    FRAGMENT_BYTES,
    GRID,
    MODIFIED,
    BreakingSource,
    ServiceGraph,
    content_of,
    reader_of,
)

from sharepoint_proxy.errors import (
    LockedError,
    PermanentError,
    SourceChangedError,
    StoppingError,
    TransientError,
)
from simulator.calls import CallKind
from simulator.faults import (
    Action,
    AnswerWith,
    CorruptBytes,
    CutConnection,
    CutPoint,
    Fault,
    FaultBody,
    LoseSession,
    Match,
    TruncateAnswer,
)

FRAGMENT = Match(CallKind.FRAGMENT)
CANCEL = Match(CallKind.SESSION_CANCEL)
SIZE = 3 * FRAGMENT_BYTES + 12_345
CONTENT = content_of(SIZE)
PATH = "big.bin"


def fragment_sizes(service: ServiceGraph) -> list[int]:
    """The bytes of each fragment that reached the simulator."""
    return [call.bytes_received for call in service.calls(CallKind.FRAGMENT)]


def count(service: ServiceGraph, kind: CallKind) -> int:
    """How many calls of KIND were made."""
    return len(service.calls(kind))


def break_fragment(service: ServiceGraph, number: int, action: Action, *, times: int | None = 1) -> None:
    """Let fragment NUMBER, counted from 0, meet ACTION."""
    service.simulator.add_fault(Fault(FRAGMENT, action, times=times, after=number))


def test_it_works(service: ServiceGraph) -> None:
    item = service.send(PATH, CONTENT)

    assert service.kinds() == [CallKind.SESSION_CREATE, *[CallKind.FRAGMENT] * 4]
    assert fragment_sizes(service) == [FRAGMENT_BYTES, FRAGMENT_BYTES, FRAGMENT_BYTES, 12_345]
    assert service.simulator.content(PATH) == CONTENT
    assert (item.name, item.size) == (PATH, SIZE)
    assert item.quickxor == reader_of(CONTENT).quickxor()


def test_it_shows_the_date_of_the_object(service: ServiceGraph) -> None:
    service.send(PATH, CONTENT)
    stored = service.simulator.item(PATH)
    assert stored is not None
    assert datetime.fromtimestamp(stored.modified, UTC) == MODIFIED


@pytest.mark.parametrize("size", [1, FRAGMENT_BYTES - 1, FRAGMENT_BYTES, FRAGMENT_BYTES + 1, 2 * FRAGMENT_BYTES])
def test_it_sends_no_empty_fragment(service: ServiceGraph, size: int) -> None:
    service.send(PATH, content_of(size))
    assert sum(fragment_sizes(service)) == size
    assert 0 not in fragment_sizes(service)


def test_it_keeps_the_url_before_the_first_fragment(service: ServiceGraph) -> None:
    """What is lost after this line can be gone on with."""
    break_fragment(service, 0, AnswerWith(400))
    with pytest.raises(PermanentError):
        service.send(PATH, CONTENT)
    (url,) = service.kept
    assert url is not None
    assert url.startswith("https://")


def test_it_replaces_a_file_which_keeps_its_id(service: ServiceGraph) -> None:
    first = service.put(PATH, b"old")
    assert service.send(PATH, CONTENT).id == first.id
    assert service.statuses(CallKind.FRAGMENT)[-1] == 200


def test_it_makes_missing_folders(service: ServiceGraph) -> None:
    service.send(f"a/b/{PATH}", CONTENT)
    assert service.simulator.content(f"a/b/{PATH}") == CONTENT


@pytest.mark.parametrize("keeps_part", [True, False])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_it_goes_on_where_a_fragment_broke(service: ServiceGraph, number: int, *, keeps_part: bool) -> None:
    """That may be inside the fragment, off the grid of 320 KiB (OneDrive/onedrive-api-docs#75)."""
    service.simulator.change(keep_partial_fragments=keeps_part)
    break_fragment(service, number, CutConnection(CutPoint.HALF_BODY))
    service.send(PATH, CONTENT)

    assert service.simulator.content(PATH) == CONTENT
    broken = service.calls(CallKind.FRAGMENT)[number]
    assert broken.status == 0
    assert sum(fragment_sizes(service)) == SIZE + (0 if keeps_part else broken.bytes_received)
    assert count(service, CallKind.SESSION_STATUS) == 1
    assert count(service, CallKind.SESSION_CREATE) == 1


def test_it_leaves_the_grid_only_where_the_session_did(service: ServiceGraph) -> None:
    break_fragment(service, 1, CutConnection(CutPoint.HALF_BODY))
    service.send(PATH, CONTENT)
    sizes = fragment_sizes(service)
    assert sizes[1] % GRID != 0
    assert sizes[2] == FRAGMENT_BYTES


def test_it_gets_over_several_breaks_as_long_as_bytes_arrive(service: ServiceGraph) -> None:
    for number in range(6):
        break_fragment(service, number, CutConnection(CutPoint.HALF_BODY))
    service.send(PATH, CONTENT)
    assert service.simulator.content(PATH) == CONTENT


@pytest.mark.parametrize("status", [500, 503, 504])
def test_it_asks_what_arrived_before_it_sends_again(service: ServiceGraph, status: int) -> None:
    """A fragment answered 5xx may be stored all the same (OneDrive/onedrive-api-docs#64)."""
    break_fragment(service, 1, AnswerWith(status, FaultBody.HTML, after_effect=True))
    service.send(PATH, CONTENT)
    assert sum(fragment_sizes(service)) == SIZE
    assert service.simulator.content(PATH) == CONTENT


def test_it_realigns_after_a_fragment_in_the_wrong_place(service: ServiceGraph) -> None:
    """A throttled fragment that was stored makes its repetition overlap: 416."""
    break_fragment(service, 1, AnswerWith(429, headers={"Retry-After": "0.1"}, after_effect=True))
    service.send(PATH, CONTENT)
    assert service.statuses(CallKind.FRAGMENT) == [202, 429, 416, 202, 201]
    assert service.simulator.content(PATH) == CONTENT


def test_a_throttled_fragment_waits_and_goes_on(service: ServiceGraph) -> None:
    break_fragment(service, 2, AnswerWith(429, headers={"retry-after": "0.5"}))
    service.send(PATH, CONTENT)
    refused, again = service.calls(CallKind.FRAGMENT)[2:4]
    assert (refused.status, again.status) == (429, 202)
    assert again.at - refused.at >= 0.5


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (AnswerWith(500), TransientError),
        (AnswerWith(423), LockedError),
        (AnswerWith(409), TransientError),
        (CutConnection(), TransientError),
    ],
    ids=str,
)
def test_it_leaves_the_session_for_later_when_nothing_gets_through(
    service: ServiceGraph, action: Action, error: type[TransientError]
) -> None:
    """It tries a few times at once; after that the longer waits are the journal's."""
    break_fragment(service, 2, action, times=None)
    with pytest.raises(error) as caught:
        service.send(PATH, CONTENT)
    assert type(caught.value) is error
    assert count(service, CallKind.FRAGMENT) <= 2 + 4
    assert service.simulator.pending_sessions() == [PATH]
    service.simulator.clear_faults()
    service.simulator.clear_calls()

    service.send(PATH, CONTENT, session_url=service.kept[0])
    assert fragment_sizes(service) == [FRAGMENT_BYTES, 12_345]
    assert count(service, CallKind.SESSION_CREATE) == 0
    assert service.simulator.content(PATH) == CONTENT
    assert len(service.kept) == 1


def test_the_hash_covers_what_was_sent_before_the_restart(service: ServiceGraph) -> None:
    break_fragment(service, 2, AnswerWith(400))
    with pytest.raises(PermanentError):
        service.send(PATH, CONTENT)
    reader = reader_of(CONTENT)
    item = service.send(PATH, reader, session_url=service.kept[0])
    assert reader.quickxor() == item.quickxor == reader_of(CONTENT).quickxor()


def test_it_replaces_a_lost_session_once(service: ServiceGraph) -> None:
    break_fragment(service, 2, LoseSession())
    service.send(PATH, CONTENT)

    first, nothing, second = service.kept
    assert nothing is None
    assert None is not first != second is not None
    assert count(service, CallKind.SESSION_CREATE) == 2
    assert service.simulator.content(PATH) == CONTENT


def test_it_frees_the_name_of_a_lost_session(service: ServiceGraph) -> None:
    """A session that answers 404 may still keep others from its file (abraunegg/onedrive#3859)."""
    break_fragment(service, 0, LoseSession(name_stays_taken=True))
    service.send(PATH, CONTENT)
    assert service.statuses(CallKind.SESSION_CREATE) == [200, 200]
    assert service.simulator.pending_sessions() == []


def test_it_does_not_go_round_in_circles(service: ServiceGraph) -> None:
    """Each session for an edited Office file may be lost at its first fragment (rclone/rclone#9767)."""
    break_fragment(service, 0, LoseSession(), times=None)
    with pytest.raises(TransientError, match="lost"):
        service.send(PATH, CONTENT)
    assert count(service, CallKind.SESSION_CREATE) == 2
    assert service.kept[-1] is None
    assert service.simulator.pending_sessions() == []


@pytest.mark.parametrize(
    "action",
    [
        CutConnection(CutPoint.AFTER_EFFECT),
        AnswerWith(503, after_effect=True),
        AnswerWith(201, FaultBody.HTML, after_effect=True),
        TruncateAnswer(),
    ],
    ids=str,
)
def test_it_finds_the_file_when_the_last_answer_was_lost(service: ServiceGraph, action: Action) -> None:
    """The session of a finished upload answers 404 (OneDrive/onedrive-api-docs#757)."""
    break_fragment(service, 3, action)
    item = service.send(PATH, CONTENT)

    assert item.size == SIZE
    assert sum(fragment_sizes(service)) == SIZE
    assert count(service, CallKind.SESSION_CREATE) == 1


def test_it_finds_the_file_that_a_session_from_before_the_restart_became(service: ServiceGraph) -> None:
    service.send(PATH, CONTENT)
    service.simulator.clear_calls()
    service.send(PATH, CONTENT, session_url=service.kept[0])
    assert count(service, CallKind.FRAGMENT) == 0
    assert count(service, CallKind.SESSION_CREATE) == 0


def test_it_does_not_take_the_old_file_for_the_new_one(service: ServiceGraph) -> None:
    """Of the same length, and under the name whose session was lost."""
    service.simulator.put_foreign(PATH, content_of(SIZE, seed=1))
    break_fragment(service, 3, LoseSession())
    service.send(PATH, CONTENT)
    assert service.simulator.content(PATH) == CONTENT


def test_it_starts_again_when_the_session_is_too_old(service: ServiceGraph) -> None:
    url = service.library.create_session(PATH, MODIFIED)
    service.simulator.advance(3600)
    service.send(PATH, CONTENT, session_url=url)
    assert service.simulator.content(PATH) == CONTENT


def test_it_starts_again_when_the_secret_in_the_url_has_expired(service: ServiceGraph) -> None:
    """401 on an upload URL means that its life of a day is over (OneDrive/onedrive-api-docs#1073)."""
    service.simulator.change(session_idle_seconds=10 * 24 * 3600.0)
    url = service.library.create_session(PATH, MODIFIED)
    service.simulator.advance(25 * 3600)
    service.simulator.change(one_session_per_target=False)
    service.send(PATH, CONTENT, session_url=url)
    assert service.statuses(CallKind.SESSION_STATUS) == [401]
    assert service.simulator.content(PATH) == CONTENT


def test_it_stops_at_the_next_fragment_and_goes_on_after_the_restart(service: ServiceGraph) -> None:
    def stop_after_two() -> None:
        service.simulator.wait_for(lambda: count(service, CallKind.FRAGMENT) >= 2)
        service.stopping.set()

    service.simulator.latency = 0.1
    watcher = threading.Thread(target=stop_after_two)
    watcher.start()
    with pytest.raises(StoppingError):
        service.send(PATH, CONTENT)
    watcher.join()
    assert service.simulator.pending_sessions() == [PATH]

    service.stopping.clear()
    service.send(PATH, CONTENT, session_url=service.kept[0])
    assert sum(fragment_sizes(service)) == SIZE
    assert service.simulator.content(PATH) == CONTENT


@pytest.mark.parametrize("break_at", [0, 1, 100_000, FRAGMENT_BYTES, FRAGMENT_BYTES + 250_000, SIZE - 1])
def test_it_reads_on_when_the_source_breaks(service: ServiceGraph, break_at: int) -> None:
    """At once, from the byte that the session has: a short hiccup of MinIO costs no try."""
    service.send(PATH, BreakingSource(CONTENT, break_at=break_at).reader())
    assert service.simulator.content(PATH) == CONTENT
    assert count(service, CallKind.SESSION_CREATE) == 1


def test_it_does_not_go_on_with_another_version_of_the_object(service: ServiceGraph) -> None:
    source = BreakingSource(CONTENT, break_at=FRAGMENT_BYTES + 250_000, error=SourceChangedError("It changed."))
    with pytest.raises(SourceChangedError):
        service.send(PATH, source.reader())
    assert service.statuses(CallKind.SESSION_STATUS) == []
    assert service.simulator.item(PATH) is None


def test_it_cancels_a_session(service: ServiceGraph) -> None:
    url = service.library.create_session(PATH, MODIFIED)
    service.sessions.cancel(url)
    service.sessions.cancel(url)
    assert service.statuses(CallKind.SESSION_CANCEL) == [204, 404]
    assert service.simulator.pending_sessions() == []


@pytest.mark.parametrize("action", [AnswerWith(400), AnswerWith(401)], ids=str)
def test_a_session_that_cannot_be_cancelled_is_left_to_expire(service: ServiceGraph, action: Action) -> None:
    url = service.library.create_session(PATH, MODIFIED)
    service.simulator.add_fault(Fault(CANCEL, action))
    service.sessions.cancel(url)
    assert count(service, CallKind.SESSION_CANCEL) == 1


@pytest.mark.parametrize("action", [AnswerWith(429), AnswerWith(500), CutConnection(CutPoint.AFTER_EFFECT)], ids=str)
def test_a_cancellation_that_fails_is_tried_again(service: ServiceGraph, action: Action) -> None:
    """The URL is the only means to free the name that the session holds, so it must not be forgotten before."""
    url = service.library.create_session(PATH, MODIFIED)
    service.simulator.add_fault(Fault(CANCEL, action))
    with pytest.raises(TransientError):
        service.sessions.cancel(url)


def test_an_unreadable_answer_does_not_cost_what_was_sent(service: ServiceGraph) -> None:
    """A page in HTML with the status of success says nothing about the session: it is asked where it stands."""
    break_fragment(service, 2, AnswerWith(202, FaultBody.HTML, after_effect=True))
    service.send(PATH, CONTENT)
    assert sum(fragment_sizes(service)) == SIZE
    assert count(service, CallKind.SESSION_CREATE) == 1


def test_damage_on_the_way_shows_in_the_hash(service: ServiceGraph) -> None:
    break_fragment(service, 1, CorruptBytes())
    item = service.send(PATH, CONTENT)
    assert item.size == SIZE
    assert not reader_of(CONTENT).is_content_of(item)


def test_uploads_do_not_disturb_each_other(service: ServiceGraph) -> None:
    contents = {f"{number}.bin": content_of(SIZE, seed=number) for number in range(4)}
    with ThreadPoolExecutor() as threads:
        list(threads.map(service.send, contents, contents.values()))
    assert all(service.simulator.content(path) == content for path, content in contents.items())
