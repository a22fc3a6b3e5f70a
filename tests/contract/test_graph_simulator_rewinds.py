"""A simulated upload session may give up fragments that it took, and then expects just those again."""

import os

import pytest
from contract.plain_graph import GRID, PlainGraph, inner_code

from simulator.calls import CallKind
from simulator.faults import Fault, Match, RewindSession

CONTENT = os.urandom(4 * GRID + 5)


def send(client: PlainGraph, url: str, number: int) -> tuple[int, list[str]]:
    """Send fragment NUMBER; the status, and what the session says that it expects."""
    first = number * GRID
    answer = client.send_part(url, CONTENT[first : first + GRID], first=first, total=len(CONTENT))
    return answer.status_code, list(answer.json().get("nextExpectedRanges", []))


def order(client: PlainGraph, rewind: RewindSession, *, kind: CallKind = CallKind.FRAGMENT, after: int = 0) -> None:
    """Let REWIND meet one call of KIND."""
    client.simulator.add_fault(Fault(Match(kind), rewind, after=after))


@pytest.mark.parametrize(("fragments", "left"), [(1, 2), (2, 1), (3, 0), (9, 0)])
def test_the_answer_tells_what_is_expected_again(client: PlainGraph, fragments: int, left: int) -> None:
    url = client.upload_url("a.bin")
    order(client, RewindSession(fragments), after=2)

    assert [send(client, url, number) for number in range(2)] == [(202, [f"{GRID}-"]), (202, [f"{2 * GRID}-"])]
    assert send(client, url, 2) == (202, [f"{left * GRID}-"])
    for number in range(left, 5):
        status, _ = send(client, url, number)
    assert status == 201
    assert client.simulator.content("a.bin") == CONTENT


def test_untold_the_next_fragment_is_refused_and_the_status_tells(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    order(client, RewindSession(2, told=False), after=1)
    send(client, url, 0)

    assert send(client, url, 1) == (202, [f"{2 * GRID}-"])
    refused = client.send_part(url, CONTENT[2 * GRID : 3 * GRID], first=2 * GRID, total=len(CONTENT))
    assert (refused.status_code, inner_code(refused)) == (416, "fragmentOutOfOrder")
    assert client.bare("GET", url).json()["nextExpectedRanges"] == ["0-"]


def test_the_last_fragment_may_be_given_up_too(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    order(client, RewindSession(), after=4)
    answers = [send(client, url, number) for number in range(5)]

    assert answers[-1] == (202, [f"{4 * GRID}-"])
    assert client.simulator.tree() == {}
    assert send(client, url, 4)[0] == 201
    assert client.simulator.content("a.bin") == CONTENT


def test_a_look_at_the_session_may_find_it_so(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    send(client, url, 0)
    send(client, url, 1)
    order(client, RewindSession(), kind=CallKind.SESSION_STATUS)

    assert client.bare("GET", url).json()["nextExpectedRanges"] == [f"{GRID}-"]
