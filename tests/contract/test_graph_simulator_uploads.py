"""Upload sessions of the simulator keep every rule that SharePoint's keep."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
import requests
from contract.plain_graph import GRID, PlainGraph, code, inner_code

from simulator.calls import CallKind
from simulator.graph_server import GraphSimulator
from simulator.options import GridRule, SimulatorOptions

MIB = 1024 * 1024
BEHAVIOUR = "@microsoft.graph.conflictBehavior"


def send_all(client: PlainGraph, url: str, content: bytes, *, size: int = GRID) -> requests.Response:
    """Send CONTENT in fragments of SIZE bytes; return the last answer."""
    for first in range(0, len(content), size):
        answer = client.send_part(url, content[first : first + size], first=first, total=len(content))
        assert answer.ok, answer.text
    return answer


def status(client: PlainGraph, url: str) -> list[str]:
    return list(client.bare("GET", url).json()["nextExpectedRanges"])


def test_a_session_lives_on_another_host_and_takes_a_file_in_fragments(client: PlainGraph) -> None:
    content = os.urandom(2 * GRID + 5)
    opened = client.open_session("big.bin", {BEHAVIOUR: "replace"}).json()
    url = opened["uploadUrl"]

    assert opened["nextExpectedRanges"] == ["0-"]
    assert urlsplit(url).netloc != urlsplit(client.drive).netloc
    assert "tempauth=" in url

    first = client.send_part(url, content[:GRID], first=0, total=len(content))
    assert (first.status_code, first.json()["nextExpectedRanges"]) == (202, [f"{GRID}-"])
    assert status(client, url) == [f"{GRID}-"]
    assert client.simulator.tree() == {}
    last = client.send_part(url, content[GRID:], first=GRID, total=len(content))
    assert (last.status_code, last.json()["name"], last.json()["size"]) == (201, "big.bin", len(content))
    assert client.simulator.content("big.bin") == content


def test_a_session_replaces_with_200_and_keeps_the_item(client: PlainGraph) -> None:
    item = client.put("a.bin").json()

    answer = send_all(client, client.upload_url("a.bin"), b"x" * GRID)

    assert (answer.status_code, answer.json()["id"]) == (200, item["id"])


def test_a_session_by_the_items_id_replaces_it(client: PlainGraph) -> None:
    item = client.put("a.bin").json()
    opened = client.ask("POST", f"items/{item['id']}/createUploadSession", json={}).json()

    assert send_all(client, opened["uploadUrl"], b"x" * GRID).json()["id"] == item["id"]


def test_a_session_cannot_be_opened_on_a_folder(client: PlainGraph) -> None:
    folder = client.put("a/b.txt").json()["parentReference"]["id"]

    answer = client.ask("POST", f"items/{folder}/createUploadSession", json={})

    assert (answer.status_code, code(answer)) == (400, "invalidRequest")


def test_the_conflict_behaviour_belongs_into_the_item(client: PlainGraph) -> None:
    client.put("a.bin")
    route = "root:/a.bin:/createUploadSession"

    assert code(client.open_session("a.bin", {BEHAVIOUR: "fail"})) == "nameAlreadyExists"
    assert client.open_session("a.bin", {BEHAVIOUR: "overwrite"}).status_code == 400
    assert client.ask("POST", route, json={BEHAVIOUR: "replace"}).status_code == 400
    assert client.ask("POST", route, data=b"").status_code == 200


def test_a_session_without_a_conflict_behaviour_replaces_and_is_noted(client: PlainGraph) -> None:
    """The documents promise "fail"; who leans on either should say what is meant."""
    client.put("a.bin")
    silent = client.open_session("a.bin").json()["uploadUrl"]

    assert send_all(client, silent, b"x" * GRID).status_code == 200
    client.upload_url("a.bin")
    notes = [call.note for call in client.simulator.calls() if call.kind is CallKind.SESSION_CREATE]
    assert notes == ["no conflictBehavior", ""]


def test_the_name_in_the_body_must_be_that_of_the_url(client: PlainGraph) -> None:
    assert client.open_session("a.bin", {"name": "b.bin"}).status_code == 400
    assert client.open_session("a.bin", {"name": "a.bin"}).status_code == 200


def test_a_session_renames_when_told_to(client: PlainGraph) -> None:
    client.put("a.bin")

    answer = send_all(client, client.upload_url("a.bin", {BEHAVIOUR: "rename"}), b"x" * GRID)

    assert (answer.status_code, answer.json()["name"]) == (201, "a 1.bin")


def test_a_session_honours_if_match(client: PlainGraph) -> None:
    item = client.put("a.bin").json()
    client.put("a.bin", b"newer")

    assert client.open_session("a.bin", headers={"If-Match": item["eTag"]}).status_code == 412


def test_a_session_needs_its_folder_unless_switched(client: PlainGraph) -> None:
    assert code(client.open_session("a/b/c.bin")) == "itemNotFound"

    client.simulator.change(session_makes_parents=True)
    assert send_all(client, client.upload_url("a/b/c.bin"), b"x" * GRID).status_code == 201
    assert client.simulator.tree() == {"a": None, "a/b": None, "a/b/c.bin": GRID}


def test_a_session_sets_the_dates_without_a_second_version(client: PlainGraph) -> None:
    info = {"createdDateTime": "2019-01-02T03:04:05Z", "lastModifiedDateTime": "2020-02-03T04:05:06Z"}

    answer = send_all(client, client.upload_url("a.bin", {"fileSystemInfo": info}), b"x" * GRID)

    assert answer.json()["fileSystemInfo"] == info
    stored = client.simulator.item("a.bin")
    assert stored is not None
    assert stored.versions == 1


def test_only_one_session_is_open_for_a_name(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")

    refused = client.open_session("A.bin", {BEHAVIOUR: "replace"})
    assert (refused.status_code, code(refused)) == (409, "nameAlreadyExists")
    assert client.bare("DELETE", url).status_code == 204
    assert client.open_session("a.bin").status_code == 200

    client.simulator.change(one_session_per_target=False)
    assert client.open_session("a.bin").status_code == 200


def test_a_token_is_refused_where_the_url_is_the_secret(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    content = b"x" * GRID

    put = client.send_part(url, content, first=0, total=len(content), **client.bearer)
    delete = client.send("DELETE", url)

    assert [(answer.status_code, code(answer)) for answer in (put, delete)] == [(401, "unauthenticated")] * 2
    assert client.send("GET", url).status_code == 200
    assert "SPRequestGuid" in put.headers
    assert send_all(client, url, content).status_code == 201


def test_the_secret_must_be_right(client: PlainGraph) -> None:
    url = client.upload_url("a.bin").replace("tempauth=", "tempauth=x")

    assert client.bare("GET", url).status_code == 401


@pytest.mark.parametrize(
    "span", [None, "bytes 0-327679/*", "0-327679/400000", "bytes 0-327680/400000", "bytes 0-1/1", "bytes 5-1/400000"]
)
def test_a_fragment_must_say_exactly_what_it_is(client: PlainGraph, span: str | None) -> None:
    headers = {"Content-Range": span} if span else {}

    answer = client.bare("PUT", client.upload_url("a.bin"), data=b"x" * GRID, headers=headers)

    assert (answer.status_code, code(answer)) == (400, "invalidRequest")


def test_a_fragment_of_unknown_length_is_refused(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")

    answer = client.bare("PUT", url, data=iter([b"x" * GRID]), headers={"Content-Range": f"bytes 0-{GRID - 1}/{GRID}"})

    assert answer.status_code == 400


@pytest.mark.parametrize("span", ["bytes 0--1/0", "bytes 0-0/0", "bytes */0"])
def test_an_empty_file_cannot_be_sent_by_a_session(client: PlainGraph, span: str) -> None:
    answer = client.bare("PUT", client.upload_url("a.bin"), data=b"", headers={"Content-Range": span})

    assert answer.status_code == 400


def test_the_total_must_not_change(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    client.send_part(url, b"x" * GRID, first=0, total=3 * GRID)

    answer = client.send_part(url, b"x" * GRID, first=GRID, total=4 * GRID)

    assert (answer.status_code, inner_code(answer)) == (400, "fragmentLengthMismatch")


def test_fragments_come_in_order(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    early = client.send_part(url, b"x" * GRID, first=GRID, total=3 * GRID)
    client.send_part(url, b"x" * GRID, first=0, total=3 * GRID)
    late = client.send_part(url, b"x" * GRID, first=0, total=3 * GRID)

    assert [(answer.status_code, code(answer)) for answer in (early, late)] == [(416, "invalidRange")] * 2
    assert [inner_code(answer) for answer in (early, late)] == ["fragmentOutOfOrder", "fragmentOverlap"]
    assert status(client, url) == [f"{GRID}-"]


def test_a_fragment_holds_at_most_60_mib(client: PlainGraph) -> None:
    content = bytes(60 * MIB + GRID)

    refused = client.send_part(client.upload_url("a.bin"), content, first=0, total=len(content))

    assert (refused.status_code, inner_code(refused)) == (400, "maxFragmentLengthExceeded")


def test_a_fragment_off_the_grid_is_refused_at_once(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")

    assert client.send_part(url, b"x" * (GRID + 1), first=0, total=3 * GRID).status_code == 400
    assert status(client, url) == ["0-"]


def test_a_fragment_off_the_grid_may_be_refused_only_at_the_end(client: PlainGraph) -> None:
    client.simulator.change(grid_rule=GridRule.AFTER_LAST_FRAGMENT)
    url = client.upload_url("a.bin")
    size = GRID + 1

    middle = client.send_part(url, b"x" * size, first=0, total=2 * size)
    client.bare("GET", url)
    last = client.send_part(url, b"x" * size, first=size, total=2 * size)

    assert [middle.status_code, last.status_code] == [202, 400]
    assert client.simulator.tree() == {}
    assert client.bare("GET", url).status_code == 404


@contextmanager
def begun_fragment(client: PlainGraph, url: str, *, sent: int) -> Iterator[ssl.SSLSocket]:
    """The connection on which SENT bytes of a fragment of 4 GRID out of 8 were sent."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=client.simulator.ca_path)
    head = f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {4 * GRID}\r\n"
    head += f"Content-Range: bytes 0-{4 * GRID - 1}/{8 * GRID}\r\n\r\n"
    with (
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secure,
    ):
        secure.sendall(head.encode() + b"a" * sent)
        yield secure


def break_off(client: PlainGraph, url: str, *, sent: int) -> int:
    """Send SENT bytes of a fragment, then close the connection; return how many arrived."""
    client.simulator.clear_calls()
    with begun_fragment(client, url, sent=sent):
        pass
    client.simulator.wait_for(lambda: [call.status for call in client.simulator.calls()] == [0])
    return client.simulator.calls()[0].bytes_received


def test_a_broken_fragment_leaves_an_odd_place_that_the_status_tells(client: PlainGraph) -> None:
    """Going on there without having asked is refused; having asked, one fragment may lead back to the grid."""
    url = client.upload_url("a.bin")
    received = break_off(client, url, sent=400_000)
    assert 0 < received <= 400_000

    blind = client.send_part(url, b"b" * (4 * GRID - received), first=received, total=8 * GRID)
    assert (blind.status_code, inner_code(blind)) == (416, "fragmentOutOfOrder")
    assert status(client, url) == [f"{received}-"]
    back = client.send_part(url, b"b" * (4 * GRID - received), first=received, total=8 * GRID)
    assert back.status_code == 202
    last = client.send_part(url, b"c" * 4 * GRID, first=4 * GRID, total=8 * GRID)
    assert last.status_code == 201
    assert client.simulator.content("a.bin") == b"a" * received + b"b" * (4 * GRID - received) + b"c" * 4 * GRID


def test_after_an_odd_start_whole_steps_are_accepted_too(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    received = break_off(client, url, sent=400_000)

    assert status(client, url) == [f"{received}-"]
    for first in (received, received + GRID):
        answer = client.send_part(url, b"b" * GRID, first=first, total=8 * GRID)
        assert (answer.status_code, answer.json()["nextExpectedRanges"]) == (202, [f"{first + GRID}-"])


def test_what_the_status_said_stays_true_while_an_older_request_is_under_way(client: PlainGraph) -> None:
    """A client that gave up a request and asked where to go on must not be overtaken by that request."""
    url = client.upload_url("a.bin")
    with begun_fragment(client, url, sent=GRID) as connection:
        told = status(client, url)
        with suppress(OSError):
            connection.sendall(b"a" * (3 * GRID))
            assert connection.recv(100) == b""

        assert status(client, url) == told


def test_a_broken_fragment_may_be_forgotten(client: PlainGraph) -> None:
    client.simulator.change(keep_partial_fragments=False)
    url = client.upload_url("a.bin")
    break_off(client, url, sent=400_000)

    assert status(client, url) == ["0-"]
    answer = send_all(client, url, b"b" * 8 * GRID, size=4 * GRID)
    assert answer.status_code == 201
    assert client.simulator.content("a.bin") == b"b" * 8 * GRID


def test_a_session_expires_15_minutes_after_its_last_fragment(client: PlainGraph) -> None:
    url = client.upload_url("a.bin")
    for index in range(3):
        client.simulator.advance(14 * 60)
        assert client.send_part(url, b"x" * GRID, first=index * GRID, total=9 * GRID).status_code == 202

    client.simulator.advance(15 * 60)
    answer = client.send_part(url, b"x" * GRID, first=3 * GRID, total=9 * GRID)
    assert (answer.status_code, code(answer)) == (404, "itemNotFound")
    assert client.simulator.pending_sessions() == []


def test_a_session_ends_after_a_day_whatever_happens(client: PlainGraph) -> None:
    client.simulator.change(session_idle_seconds=48 * 3600.0)
    url = client.upload_url("a.bin")
    client.simulator.advance(24 * 3600)

    answer = client.bare("GET", url)

    assert (answer.status_code, inner_code(answer)) == (401, "expiredToken")


def test_a_session_is_gone_when_finished_or_cancelled(client: PlainGraph) -> None:
    finished = client.upload_url("a.bin")
    send_all(client, finished, b"x" * GRID)
    cancelled = client.upload_url("b.bin")
    client.bare("DELETE", cancelled)

    for url in (finished, cancelled):
        assert [client.bare(method, url).status_code for method in ("GET", "DELETE")] == [404, 404]
        assert client.send_part(url, b"x" * GRID, first=0, total=GRID).status_code == 404


def test_a_session_can_wait_for_its_commit(client: PlainGraph) -> None:
    body = {"item": {BEHAVIOUR: "replace"}, "deferCommit": True}
    url = client.ask("POST", "root:/a.bin:/createUploadSession", json=body).json()["uploadUrl"]

    assert client.bare("POST", url).status_code == 400
    assert send_all(client, url, b"x" * GRID).status_code == 202
    assert client.simulator.tree() == {}
    assert client.bare("POST", url).status_code == 201
    assert client.simulator.tree() == {"a.bin": GRID}


def test_a_name_taken_meanwhile_is_a_conflict_for_fail_only(client: PlainGraph) -> None:
    careful = client.upload_url("a.bin", {BEHAVIOUR: "fail"})
    bold = client.upload_url("b.bin")
    for name in ("a.bin", "b.bin"):
        client.simulator.put_foreign(name, b"somebody was faster")

    refused = client.send_part(careful, b"x" * GRID, first=0, total=GRID)
    assert (refused.status_code, code(refused)) == (409, "nameAlreadyExists")
    assert send_all(client, bold, b"x" * GRID).status_code == 200


def test_a_session_whose_folder_was_deleted_finds_nothing(client: PlainGraph) -> None:
    client.put("a/b.txt")
    url = client.upload_url("a/big.bin")
    client.simulator.delete_foreign("a")

    assert client.send_part(url, b"x" * GRID, first=0, total=GRID).status_code == 404


def test_large_files_lie_on_disk_and_come_back_whole() -> None:
    content = os.urandom(3 * GRID)
    with GraphSimulator(options=SimulatorOptions(memory_limit=GRID)) as simulator, PlainGraph(simulator) as client:
        send_all(client, client.upload_url("a.bin"), content)
        location = client.ask("GET", "root:/a.bin:/content").headers["Location"]

        assert simulator.content("a.bin") == content
        assert client.bare("GET", location, headers={"Range": f"bytes={GRID - 1}-"}).content == content[GRID - 1 :]


def test_a_simulator_may_keep_no_bytes_but_sizes_and_hashes() -> None:
    options = SimulatorOptions(keep_content=False)
    with GraphSimulator(options=options) as simulator, PlainGraph(simulator) as client:
        kept_hash = send_all(client, client.upload_url("a.bin"), b"x" * 2 * GRID).json()["file"]["hashes"]

        assert simulator.tree() == {"a.bin": 2 * GRID}
        assert kept_hash == {"quickXorHash": simulator.item("a.bin").quickxor}  # type: ignore[union-attr] # it is there
        with pytest.raises(LookupError, match="keep no content"):
            simulator.content("a.bin")
        location = client.ask("GET", "root:/a.bin:/content").headers["Location"]
        assert client.bare("GET", location).status_code == 500
