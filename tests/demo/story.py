"""The story in chapters: what a user does, why it matters, and what must have been seen afterwards."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise

from demo.school import ANNOUNCED_ONLY, School
from demo.wording import call_name, plural
from simulator.calls import Call, CallKind
from simulator.faults import AnswerWith, Fault, Match
from simulator.minio_sender import Delivery

MIB = 1024 * 1024
FILM_BYTES = 12 * MIB

REPORTS = 20
ACCEPTED_FIRST = 5
RETRY_AFTER_SECONDS = 3
# A call that had left before the first refusal came may still arrive: the refusals end once no more do.
_LAST_STRAGGLER_SECONDS = 1.5
# The clocks of two processes are read a moment apart.
_CLOCK_TOLERANCE_SECONDS = 0.1
_AT_ONCE_SECONDS = 1.0
# A machine that stalls between two events lets the service wait for the second as if it had come alone.
_SLOW_ANSWERS_ALLOWED = 2

NOTE = "administration/note.txt"
FILM = "archives/2024/open day.mp4"
COURSE = "bts-sio/Été 2024/C++ & co (100 %).txt"
RENAMED_COURSE = "bts-sio/Été 2024/C++, leçon 1.txt"
SECRET_DIARY = f"{ANNOUNCED_ONLY}diary.txt"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one chapter."""

    deliveries: Sequence[Delivery]
    calls: Sequence[Call]


Check = Callable[[Evidence], Iterator[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """ACT is what happens in MinIO; CHECK yields a sentence for each thing that breaks PROMISE."""

    title: str
    text: str
    act: Callable[[School], None]
    promise: str
    check: Check


def calls_are(*wanted: tuple[CallKind, HTTPStatus]) -> Check:
    """The calls at Graph are these and no others, and MinIO was told that all is done (204)."""

    def check(evidence: Evidence) -> Iterator[str]:
        made = [(call.kind, call.status) for call in evidence.calls]
        if made != list(wanted):
            yield f"The calls at Graph should be {_calls(wanted)}, and are {_calls(made)}."
        for delivery in evidence.deliveries:
            if delivery.status != HTTPStatus.NO_CONTENT:
                yield f"The webhook should answer 204, and answered {delivery.status} for {delivery.key}."

    return check


def _calls(calls: Sequence[tuple[CallKind, int]]) -> str:
    return ", ".join(f"{call_name(kind)} answered {int(status)}" for kind, status in calls) or "none"


def no_byte_left_twice(evidence: Evidence) -> Iterator[str]:
    """The film went over the line once, in fragments."""
    sent = sum(call.bytes_received for call in evidence.calls if call.kind is CallKind.FRAGMENT)
    if sent != FILM_BYTES:
        yield f"The fragments should be {FILM_BYTES:,} bytes together, and are {sent:,}."


def it_was_moved(evidence: Evidence) -> Iterator[str]:
    """The file got its new name by one call; no byte of it was sent, and nothing deleted."""
    kinds = [call.kind for call in evidence.calls]
    if kinds.count(CallKind.PATCH) != 1:
        yield f"A rename should be one move, and was {kinds.count(CallKind.PATCH)}."
    if {CallKind.PUT_CONTENT, CallKind.DELETE} & set(kinds):
        yield "A rename should neither send nor delete anything, and did."


def the_pause_was_kept(evidence: Evidence) -> Iterator[str]:
    """After the last refusal no call left for as long as Graph had asked, and no event was held up by it."""
    arrivals = sorted(evidence.calls, key=lambda call: call.at)
    refused = [call for call in arrivals if call.status == HTTPStatus.TOO_MANY_REQUESTS]
    if not refused:
        yield "Graph should have refused some calls, and refused none."
    for before, after in pairwise(arrivals):
        silence = after.at - before.at
        if refused and before is refused[-1] and silence < RETRY_AFTER_SECONDS - _CLOCK_TOLERANCE_SECONDS:
            yield f"Graph asked for {RETRY_AFTER_SECONDS} s without calls, and the next one came after {silence:.1f} s."
    slow = sum(delivery.seconds > _AT_ONCE_SECONDS for delivery in evidence.deliveries)
    if slow > _SLOW_ANSWERS_ALLOWED:
        yield f"MinIO should have its answers at once, and waited for {plural(slow, 'answer')}."


def drop_reports_while_graph_refuses(school: School) -> None:
    """Graph takes the first files and then refuses all, until the service has fallen silent."""
    refusal = AnswerWith(HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    school.graph.add_fault(Fault(Match(CallKind.PUT_CONTENT), refusal, times=None, after=ACCEPTED_FIRST))
    with school.at_once():
        for number in range(1, REPORTS + 1):
            school.save(f"bts-sio/reports/report {number:02}.txt", f"Report {number}\n".encode() * 100)
    school.graph.wait_for(lambda: _seconds_since_refusal(school.graph.calls()) is not None, timeout=30)
    while (_seconds_since_refusal(school.graph.calls()) or 0.0) < _LAST_STRAGGLER_SECONDS:
        time.sleep(0.1)
    school.graph.clear_faults()


def _seconds_since_refusal(calls: Sequence[Call]) -> float | None:
    refused = [call.at for call in calls if call.status == HTTPStatus.TOO_MANY_REQUESTS]
    return time.time() - max(refused) if refused else None


STORY = (
    Chapter(
        title="A small file",
        text="The secretary saves a note in MinIO. One call takes it to SharePoint, and its folder is made on the way.",
        act=lambda school: school.save(NOTE, b"The meeting is at ten.\n"),
        promise="one call, and MinIO had its answer once the file was there",
        check=calls_are((CallKind.PUT_CONTENT, HTTPStatus.CREATED)),
    ),
    Chapter(
        title="The same file again, corrected",
        text=(
            "She corrects the note. SharePoint replaces the bytes of the same file (200, not 201): links to it stay valid, "
            "and the version before can be brought back."
        ),
        act=lambda school: school.save(NOTE, b"The meeting is at eleven.\n"),
        promise="one call, to the same file",
        check=calls_are((CallKind.PUT_CONTENT, HTTPStatus.OK)),
    ),
    Chapter(
        title="A film of 12 MiB, sent in parts",
        text=(
            "A teacher uploads a film. SharePoint takes large files through an upload session, in fragments, and could go on "
            "with it after an interruption. The session does not make folders, so the service does; archives/2024/ is set up "
            "to be Archives/2024/ there."
        ),
        act=lambda school: school.save(FILM, school.made_up(FILM_BYTES)),
        promise="each byte of the film was sent once",
        check=no_byte_left_twice,
    ),
    Chapter(
        title="Accents, spaces, +, & and %",
        text="A course has a name that URLs stumble over. It must be the same name in SharePoint, letter by letter.",
        act=lambda school: school.save(COURSE, 'std::cout << "Voilà !";\n'.encode()),
        promise="one call",
        check=calls_are((CallKind.PUT_CONTENT, HTTPStatus.CREATED)),
    ),
    Chapter(
        title="A rename",
        text=(
            "The course gets another name. MinIO knows no rename: it makes a copy and deletes the original, and tells of both. "
            "The service sees that both are one, and moves the file in SharePoint: links to it stay valid, and not a byte is sent."
        ),
        act=lambda school: school.rename(COURSE, RENAMED_COURSE),
        promise="one move, and not a byte sent",
        check=it_was_moved,
    ),
    Chapter(
        title="A deletion",
        text=(
            "The note is deleted. The service waits two seconds, in case it comes back at once, and then puts the file "
            "into SharePoint's recycle bin."
        ),
        act=lambda school: school.remove(NOTE),
        promise="one call",
        check=calls_are((CallKind.DELETE, HTTPStatus.NO_CONTENT)),
    ),
    Chapter(
        title="A file that is nobody's business",
        text=(
            "Somebody saves a diary under a prefix that is not to be mirrored. MinIO tells of it all the same. The service "
            "answers that nothing is left to do, and Graph does not hear of it."
        ),
        act=lambda school: school.save(SECRET_DIARY, b"Dear diary\n"),
        promise="no call",
        check=calls_are(),
    ),
    Chapter(
        title="A throttled minute, cut short",
        text=(
            f"A class drops {REPORTS} reports at once. After {ACCEPTED_FIRST} of them Graph has had enough: 429, come back in "
            f"{RETRY_AFTER_SECONDS} seconds (up to a minute and more in real life). All threads fall silent for that long. "
            "MinIO does not wait: it is told that the events are written down (202), and every report arrives in the end."
        ),
        act=drop_reports_while_graph_refuses,
        promise="no call during the pause, and MinIO was not held up",
        check=the_pause_was_kept,
    ),
)
