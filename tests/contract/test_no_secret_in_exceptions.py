"""Whatever fails at Graph or Entra ID, no exception shows a token, an assertion or an upload URL, nor does what caused it."""

import traceback
from collections.abc import Iterator
from itertools import product

import pytest
from contract.service_graph import FRAGMENT_BYTES, ServiceGraph, content_of, make_tokens

from sharepoint_proxy.errors import ProxyError
from simulator.calls import CallKind
from simulator.faults import Action, AnswerWith, CutConnection, CutPoint, Fault, FaultBody, LoseSession, Match
from simulator.graph_server import GraphSimulator
from simulator.secrecy import leaks

CONTENT = content_of(3 * FRAGMENT_BYTES)
LIKE_A_JWT = "eyJ"
"""How every assertion begins, whole or cut."""

ACTIONS: dict[str, Action] = {
    "401": AnswerWith(401),
    "400": AnswerWith(400),
    "500 HTML": AnswerWith(500, FaultBody.HTML),
    "200 null": AnswerWith(200, FaultBody.NULL),
    "cut before": CutConnection(CutPoint.BEFORE_BODY),
    "cut within": CutConnection(CutPoint.HALF_BODY),
}
UPLOADS = list(product((CallKind.SESSION_CREATE, CallKind.FRAGMENT), ACTIONS))
SESSIONS = list(product((CallKind.SESSION_STATUS, CallKind.SESSION_CANCEL), ACTIONS))
SIGNING_IN = list(product((CallKind.OPENID, CallKind.TOKEN), ACTIONS))


@pytest.fixture
def clients(trusted_graph: GraphSimulator) -> Iterator[ServiceGraph]:
    """The service's clients, which sign in as the service does; there is a folder to write into."""
    made = ServiceGraph(trusted_graph, tokens=make_tokens(trusted_graph))
    made.library.make_folder("a")
    yield made
    made.close()


def fail_always(clients: ServiceGraph, kind: CallKind, action: str) -> None:
    """Let ACTION meet each call of KIND."""
    clients.simulator.add_fault(Fault(Match(kind), ACTIONS[action], times=None))


def found_in(clients: ServiceGraph, error: BaseException) -> list[str]:
    """The secrets in all that a log could show of ERROR."""
    told = {"traceback": "".join(traceback.format_exception(error)), "repr": repr(error)}
    return leaks((LIKE_A_JWT, *clients.simulator.secrets()), told)


@pytest.mark.parametrize(("kind", "action"), UPLOADS, ids=str)
def test_an_upload_that_fails_shows_no_secret(clients: ServiceGraph, kind: CallKind, action: str) -> None:
    fail_always(clients, kind, action)
    with pytest.raises(ProxyError) as caught:
        clients.send("a/big.bin", CONTENT)

    assert found_in(clients, caught.value) == []


@pytest.mark.parametrize(("kind", "action"), SESSIONS, ids=str)
def test_a_lost_session_that_answers_nothing_shows_no_secret(
    clients: ServiceGraph, kind: CallKind, action: str
) -> None:
    """It can neither be asked where it stands nor be cancelled."""
    clients.simulator.add_fault(Fault(Match(CallKind.FRAGMENT), LoseSession(), times=None, after=1))
    fail_always(clients, kind, action)
    with pytest.raises(ProxyError) as caught:
        clients.send("a/big.bin", CONTENT)

    assert found_in(clients, caught.value) == []


@pytest.mark.parametrize(("kind", "action"), SIGNING_IN, ids=str)
def test_a_failure_to_sign_in_shows_no_secret(clients: ServiceGraph, kind: CallKind, action: str) -> None:
    clients.simulator.revoke_tokens()
    fail_always(clients, kind, action)
    with pytest.raises(ProxyError) as caught:
        clients.put("a.txt", b"hello")

    assert found_in(clients, caught.value) == []
