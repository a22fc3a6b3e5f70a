"""The client of Graph: what each answer becomes, one token more after a 401, and pauses that all threads keep."""

import re
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from contract.service_graph import FRAGMENT_BYTES, MODIFIED, GrantedTokens, ServiceGraph, content_of, make_tokens

from sharepoint_proxy.backoff import PAUSE_WITHOUT_ADVICE_SECONDS
from sharepoint_proxy.errors import (
    AccessError,
    GatewayError,
    LockedError,
    OutageError,
    PermanentError,
    ProxyError,
    StoppingError,
    ThrottledError,
    TransientError,
)
from sharepoint_proxy.graph import Graph
from sharepoint_proxy.throttle import Throttle
from simulator.calls import CallKind
from simulator.faults import AnswerWith, CutConnection, CutPoint, Fault, FaultBody, Hang, Match, TruncateAnswer
from simulator.graph_server import GraphSimulator

OUR_CALLS = [kind for kind in CallKind if kind not in {CallKind.OPENID, CallKind.TOKEN}]
GET = Match(CallKind.ITEM_GET)
PUT = Match(CallKind.PUT_CONTENT)
THREADS = 16


def failure(call: Callable[[], object]) -> ProxyError:
    """What CALL raises."""
    with pytest.raises(ProxyError) as caught:
        call()
    return caught.value


@pytest.fixture
def signed_in(trusted_graph: GraphSimulator) -> Iterator[ServiceGraph]:
    """The service's clients with tokens of its own, the first of which the simulator has forgotten since."""
    clients = ServiceGraph(trusted_graph, tokens=make_tokens(trusted_graph))
    trusted_graph.revoke_tokens()
    yield clients
    clients.close()


def find(service: ServiceGraph) -> Callable[[], object]:
    """A call that only reads."""
    return lambda: service.library.find("a.txt")


def test_it_works(service: ServiceGraph) -> None:
    answer = service.graph.call("GET", f"/drives/{service.drive.id}/root")
    assert (answer.status, answer.body["id"], answer.code) == (200, answer.body["id"], "")


def test_it_gives_each_call_an_id_of_its_own(service: ServiceGraph) -> None:
    for _ in range(3):
        service.library.find("a.txt")
    assert len({call.client_request_id for call in service.calls()}) == 3


def test_it_follows_the_link_to_a_next_page(service: ServiceGraph) -> None:
    whole_url = f"{service.simulator.base_url}/drives/{service.drive.id}/root"
    assert service.graph.call("GET", whole_url).status == 200


def test_it_returns_the_statuses_that_the_caller_asks_for(service: ServiceGraph) -> None:
    answer = service.graph.call("GET", f"/drives/{service.drive.id}/root:/none", accept={404})
    assert (answer.status, answer.code) == (404, "itemNotFound")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, TransientError),
        (400, PermanentError),
        (403, AccessError),
        (404, AccessError),
        (412, TransientError),
        (413, PermanentError),
        (423, LockedError),
        (429, ThrottledError),
        (500, TransientError),
        (502, GatewayError),
        (503, GatewayError),
        (504, GatewayError),
        (507, OutageError),
    ],
)
def test_each_status_becomes_an_error_that_says_so(service: ServiceGraph, status: int, kind: type[ProxyError]) -> None:
    service.simulator.add_fault(Fault(PUT, AnswerWith(status, message="So it is.")))
    error = failure(lambda: service.put("a.txt", b"x"))

    assert type(error) is kind
    assert isinstance(error, PermanentError | TransientError)
    assert error.status == status
    assert re.match(rf'Graph answered {status} \w+ "So it is\."', str(error))


@pytest.mark.parametrize("body", [FaultBody.HTML, FaultBody.TEXT, FaultBody.NULL, FaultBody.EMPTY])
def test_it_needs_no_json_to_understand_a_refusal(service: ServiceGraph, body: FaultBody) -> None:
    """Front ends answer with HTML, text or nothing where Graph itself sends JSON (OneDrive/onedrive-api-docs#757)."""
    for status, kind in [(400, PermanentError), (404, AccessError), (423, LockedError), (503, GatewayError)]:
        service.simulator.add_fault(Fault(PUT, AnswerWith(status, body)))
        error = failure(lambda: service.put("a.txt", b"x"))
        assert type(error) is kind
        assert re.fullmatch(rf"Graph answered {status} request-id [0-9a-f-]{{36}}\.", str(error))


def test_an_error_holds_the_id_that_support_asks_for(service: ServiceGraph) -> None:
    service.simulator.add_fault(Fault(GET, AnswerWith(500)))
    assert re.search(r"generalException .*request-id [0-9a-f-]{36}\.$", str(failure(find(service))))


def test_a_full_library_is_probed_slowly(service: ServiceGraph) -> None:
    service.simulator.add_fault(Fault(PUT, AnswerWith(507)))
    error = failure(lambda: service.put("a.txt", b"x"))
    assert isinstance(error, TransientError)
    assert error.retry_after is not None
    assert error.retry_after >= 600


@pytest.mark.parametrize(
    "action",
    [*map(CutConnection, CutPoint), TruncateAnswer()],
    ids=lambda action: str(getattr(action, "at", "truncated")),
)
def test_a_connection_that_breaks_is_tried_again_later(
    service: ServiceGraph, action: CutConnection | TruncateAnswer
) -> None:
    service.simulator.add_fault(Fault(PUT, action))
    error = failure(lambda: service.put("a.txt", content_of(1_000_000)))
    assert type(error) is TransientError
    assert service.put("a.txt", b"x").size == 1


def test_it_says_what_kept_it_from_graph(trusted_graph: GraphSimulator) -> None:
    graph = Graph(
        base_url="https://localhost:1/v1.0",
        tokens=make_tokens(trusted_graph),
        throttle=Throttle(most=16),
        connections=1,
    )
    error = failure(lambda: graph.call("GET", "/me"))
    assert isinstance(error, TransientError)
    assert "refused" in str(error) or "NewConnectionError" in str(error)


def test_it_does_not_follow_a_redirect(service: ServiceGraph) -> None:
    """A simple upload above the limit is sent elsewhere, where it cannot go on."""
    service.simulator.add_fault(Fault(PUT, AnswerWith(302, headers={"Location": f"{service.simulator.base_url}/me"})))
    error = failure(lambda: service.put("a.txt", b"x"))
    assert isinstance(error, TransientError)
    assert error.status == 302
    assert service.kinds() == [CallKind.PUT_CONTENT]


def test_it_renews_the_token_after_a_401_and_sends_the_body_from_its_beginning(signed_in: ServiceGraph) -> None:
    content = content_of(3_000_000)
    signed_in.put("a.bin", content)

    assert signed_in.kinds() == [CallKind.PUT_CONTENT, CallKind.OPENID, CallKind.TOKEN, CallKind.PUT_CONTENT]
    assert signed_in.statuses(CallKind.PUT_CONTENT) == [401, 201]
    assert signed_in.simulator.content("a.bin") == content


def test_all_threads_renew_a_refused_token_once(signed_in: ServiceGraph) -> None:
    signed_in.simulator.latency = 0.1
    together = threading.Barrier(THREADS)

    def work(number: int) -> None:
        together.wait()
        signed_in.put(f"{number}.txt", b"x")

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))
    assert signed_in.statuses(CallKind.TOKEN) == [200]
    assert len(signed_in.simulator.tree()) == THREADS


def test_it_gives_up_after_a_second_401(service: ServiceGraph) -> None:
    service.simulator.add_fault(Fault(GET, AnswerWith(401), times=None))
    error = failure(find(service))
    assert isinstance(error, TransientError)
    assert error.status == 401
    assert service.statuses(CallKind.ITEM_GET) == [401, 401]


def test_it_sends_no_credentials_from_netrc(
    service: ServiceGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Authorization header on an upload URL is answered 401 (virtualzone/onedrive-uploader#39)."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    service.put("small.txt", b"x")
    service.send("big.bin", content_of(FRAGMENT_BYTES + 1))
    assert service.statuses(CallKind.FRAGMENT) == [202, 201]


@pytest.mark.parametrize(("status", "header"), [(429, "Retry-After"), (503, "retry-after")])
def test_no_thread_calls_while_graph_asks_for_a_pause(service: ServiceGraph, status: int, header: str) -> None:
    """Decimals are Graph's own, the small letters SharePoint's (microsoft-graph-docs-contrib#1060)."""
    service.simulator.add_fault(Fault(GET, AnswerWith(status, headers={header: "0.7"})))
    error = failure(find(service))
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda number: service.put(f"{number}.txt", b"x"), range(THREADS)))

    assert isinstance(error, ThrottledError)
    assert error.retry_after == 0.7
    (refused,) = service.calls(CallKind.ITEM_GET)
    assert min(call.at for call in service.calls(CallKind.PUT_CONTENT)) - refused.at >= 0.7


def test_it_understands_a_pause_until_a_date(service: ServiceGraph) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    service.simulator.add_fault(Fault(GET, AnswerWith(429, headers={"Retry-After": at})))
    failure(find(service))
    assert 55 < service.throttle.paused_seconds() <= 60


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "soon"}, {"Retry-After": "0"}, {"Retry-After": "-5"}])
def test_it_pauses_for_a_while_when_it_is_not_told_how_long(service: ServiceGraph, headers: dict[str, str]) -> None:
    """A 429 without a readable Retry-After is seen in the field (OneDrive/onedrive-api-docs#880)."""
    service.simulator.add_fault(Fault(GET, AnswerWith(429, headers=headers)))
    error = failure(find(service))

    assert isinstance(error, ThrottledError)
    assert error.retry_after == PAUSE_WITHOUT_ADVICE_SECONDS
    assert service.throttle.paused_seconds() > PAUSE_WITHOUT_ADVICE_SECONDS - 1


def test_a_503_without_advice_concerns_its_own_call_only(service: ServiceGraph) -> None:
    service.simulator.add_fault(Fault(GET, AnswerWith(503, FaultBody.HTML)))
    failure(find(service))
    assert service.throttle.paused_seconds() == 0


def test_upload_urls_keep_the_same_pause(service: ServiceGraph) -> None:
    url = service.library.create_session("big.bin", MODIFIED)
    service.simulator.add_fault(Fault(Match(CallKind.SESSION_STATUS), AnswerWith(429, headers={"Retry-After": "60"})))
    failure(lambda: service.graph.call_upload_url("GET", url))
    assert service.throttle.paused_seconds() > 59


def test_a_stop_ends_the_pause(service: ServiceGraph) -> None:
    service.throttle.refused(600)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(failure, find(service))
        service.throttle.stop()
        assert isinstance(waiting.result(10), StoppingError)
    assert service.calls() == []


def failing_calls(service: ServiceGraph, url: str) -> list[Callable[[], object]]:
    """Calls of every kind, at Graph and at the upload URL."""
    there = service.simulator.put_foreign("there.txt", b"x")
    return [
        lambda: service.library.find("there.txt"),
        lambda: service.put("a.txt", b"x"),
        lambda: service.library.create_session("b.bin", MODIFIED),
        lambda: service.library.delete(there.id),
        lambda: service.graph.call_upload_url("GET", url),
        lambda: service.graph.call_upload_url("DELETE", url),
    ]


@pytest.mark.parametrize(
    "action",
    [
        AnswerWith(400),
        AnswerWith(401),
        AnswerWith(423),
        AnswerWith(500, FaultBody.HTML),
        AnswerWith(503),
        CutConnection(),
        CutConnection(CutPoint.AFTER_EFFECT),
    ],
    ids=str,
)
def test_no_error_holds_a_url_or_a_token(service: ServiceGraph, action: AnswerWith) -> None:
    """Not in its text, nor in what a log would print of it, whatever Graph quotes in its message."""
    url = service.library.create_session("big.bin", MODIFIED)
    token = service.tokens.current()
    if isinstance(action, AnswerWith):
        action = AnswerWith(action.status, action.body, message=f"Go to {url}, not <{url}>")
    for kind in OUR_CALLS:
        service.simulator.add_fault(Fault(Match(kind), action, times=None))
    secret = url.partition("tempauth=")[2]

    for call in failing_calls(service, url):
        error = failure(call)
        told = "\n".join([str(error), repr(error), *traceback.format_exception(error)])
        assert secret not in told
        assert token not in told
        assert "https://" not in str(error) + repr(error)


def test_no_error_holds_an_upload_url_that_cannot_be_reached(service: ServiceGraph) -> None:
    """The text of a refused connection, as the libraries below write it, holds the whole address."""
    secret = uuid.uuid4().hex
    error = failure(lambda: service.graph.call_upload_url("GET", f"https://localhost:1/up?tempauth={secret}"))
    assert isinstance(error, TransientError)
    assert secret not in "".join([repr(error), *traceback.format_exception(error)])


def test_a_black_hole_ends(service: ServiceGraph) -> None:
    """An answer that does not come is waited for only so long, and longer the more was sent."""
    impatient = Graph(
        base_url=service.simulator.base_url,
        tokens=GrantedTokens(service.simulator),
        throttle=Throttle(most=1),
        connections=1,
        answer_seconds=0.3,
    )
    service.simulator.add_fault(Fault(GET, Hang(2)))
    error = failure(lambda: impatient.call("GET", f"/drives/{service.drive.id}/root:/none"))
    assert type(error) is TransientError
    assert "ReadTimeout" in str(error)
