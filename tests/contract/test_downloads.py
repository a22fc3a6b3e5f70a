"""The bytes of a file of the library, by way of an address that is a secret of its own."""

import re

import pytest
from contract.plain_graph import PlainGraph
from contract.service_graph import ServiceGraph, content_of

from sharepoint_proxy.errors import AccessError, GatewayError, ProxyError, ThrottledError, TransientError
from sharepoint_proxy.files import Files
from simulator.calls import CallKind
from simulator.faults import AnswerWith, CorruptBytes, CutConnection, CutPoint, Fault, FaultBody, Match, TruncateAnswer

CONTENT = content_of(300_000)
ASKED, BYTES = Match(CallKind.DOWNLOAD), Match(CallKind.DOWNLOAD_BYTES)


@pytest.fixture
def files(service: ServiceGraph) -> Files:
    """The files of a library that holds one of them, `folder/a.bin`."""
    service.simulator.put_foreign("folder/a.bin", CONTENT)
    return Files(service.graph, service.drive.id)


def fetch(files: Files, *, offset: int = 0) -> bytes:
    """The file from OFFSET on."""
    listed = files.find("folder/a.bin")
    assert listed is not None
    with files.open(listed.item.id, offset=offset) as pieces:
        return b"".join(pieces)


def failure(files: Files) -> ProxyError:
    """The error that ends the download."""
    with pytest.raises(ProxyError) as caught:
        fetch(files)
    return caught.value


@pytest.mark.parametrize("offset", [0, 1, 123_456, len(CONTENT) - 1])
def test_it_gives_the_bytes_from_any_place_on(files: Files, service: ServiceGraph, offset: int) -> None:
    """The simulator refuses a bearer token at the address that Graph gives out."""
    assert fetch(files, offset=offset) == CONTENT[offset:]
    assert service.statuses(CallKind.DOWNLOAD, CallKind.DOWNLOAD_BYTES) == [302, 206 if offset else 200]


def test_the_simulator_refuses_a_token_at_that_address(client: PlainGraph) -> None:
    """So a client that sent one along would not pass here."""
    client.put("a.txt")
    address = client.ask("GET", "root:/a.txt:/content").headers["Location"]
    assert client.bare("GET", address).content == b"hello"
    assert client.send("GET", address).status_code == 401


def test_the_simulator_sends_wrong_bytes_when_it_is_told_to(client: PlainGraph) -> None:
    """Of the announced length, for the next download alone."""
    client.put("a.txt")
    client.simulator.add_fault(Fault(Match(CallKind.DOWNLOAD_BYTES, path="a.txt"), CorruptBytes()))
    address = client.ask("GET", "root:/a.txt:/content").headers["Location"]
    wrong, right = (client.bare("GET", address).content for _ in range(2))
    assert (len(wrong), wrong[1:], right) == (5, b"ello", b"hello")
    assert wrong != right


def test_each_download_asks_for_a_fresh_address(files: Files, service: ServiceGraph) -> None:
    """The last one may be too old by now."""
    fetch(files)
    service.simulator.advance(2 * 3600)
    assert fetch(files) == CONTENT


def test_a_token_that_ran_out_is_renewed(files: Files, service: ServiceGraph) -> None:
    service.simulator.revoke_tokens()
    assert fetch(files) == CONTENT


@pytest.mark.parametrize("match", [ASKED, BYTES], ids=["asking", "fetching"])
@pytest.mark.parametrize(("status", "kind"), [(404, AccessError), (429, ThrottledError), (503, GatewayError)])
def test_each_status_becomes_an_error_that_says_so(
    files: Files, service: ServiceGraph, match: Match, status: int, kind: type[ProxyError]
) -> None:
    service.simulator.add_fault(Fault(match, AnswerWith(status, FaultBody.HTML)))
    error = failure(files)
    assert type(error) is kind
    assert re.match(f"Graph answered {status}", str(error))


def test_a_refused_address_says_nothing_of_the_token(files: Files, service: ServiceGraph) -> None:
    service.simulator.add_fault(Fault(BYTES, AnswerWith(401)))
    assert type(failure(files)) is AccessError


def test_an_answer_with_other_bytes_than_asked_for_is_no_answer(files: Files, service: ServiceGraph) -> None:
    """All of the file where its end was asked for."""
    service.simulator.add_fault(Fault(BYTES, AnswerWith(200, FaultBody.TEXT)))
    with pytest.raises(TransientError, match="another part of the file"):
        fetch(files, offset=10)


@pytest.mark.parametrize(
    "action", [TruncateAnswer(), CutConnection(CutPoint.BEFORE_BODY), CutConnection(CutPoint.AFTER_EFFECT)]
)
def test_what_breaks_off_is_tried_again_later(
    files: Files, service: ServiceGraph, action: TruncateAnswer | CutConnection
) -> None:
    service.simulator.add_fault(Fault(BYTES, action))
    error = failure(files)
    assert type(error) is TransientError
    assert "tempauth" not in str(error)
    assert error.__cause__ is None


def test_an_answer_without_an_address_is_no_answer(files: Files, service: ServiceGraph) -> None:
    service.simulator.add_fault(Fault(ASKED, AnswerWith(302)))
    assert type(failure(files)) is TransientError


def test_a_download_that_is_left_early_leaves_the_client_usable(files: Files) -> None:
    listed = files.find("folder/a.bin")
    assert listed is not None
    for _ in range(20):
        with files.open(listed.item.id) as pieces:
            next(pieces)
    assert fetch(files) == CONTENT


def test_a_folder_is_read_page_by_page(files: Files, service: ServiceGraph) -> None:
    service.simulator.put_foreign("folder/é #%&+.txt", b"odd")
    service.simulator.put_foreign("folder/sub/c.txt", b"below")
    service.simulator.change(children_page=2)
    folder = files.find("folder")
    assert folder is not None

    first, link = files.page(folder.item.id)
    rest, end = files.page(folder.item.id, link)
    assert [(each.item.name, each.item.size, each.item.is_folder) for each in (*first, *rest)] == [
        ("a.bin", len(CONTENT), False),
        ("sub", 5, True),
        ("é #%&+.txt", 3, False),
    ]
    assert end is None
    assert all(each.modified for each in (*first, *rest))
    assert service.statuses(CallKind.CHILDREN) == [200, 200]


def test_it_finds_what_is_there_and_nothing_else(files: Files, service: ServiceGraph) -> None:
    service.simulator.put_foreign("folder/é #%&+.txt", b"odd")
    root, folder, odd = files.find(""), files.find("folder"), files.find("folder/é #%&+.txt")
    assert root is not None
    assert root.item.size == len(CONTENT) + 3
    assert folder is not None
    assert folder.item.is_folder
    assert odd is not None
    assert odd.item.quickxor is not None
    assert files.find("folder/none") is None
