"""One token for all threads: fetched once, renewed in time, dropped when Graph refuses it."""

import base64
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from contract.service_graph import SCOPE, Credential, make_tokens
from cryptography.hazmat.primitives import hashes

from sharepoint_proxy.errors import TransientError
from sharepoint_proxy.tokens import Tokens
from simulator import tls
from simulator.calls import CallKind
from simulator.faults import AnswerWith, CutConnection, CutPoint, Fault, FaultBody, Hang, Match, TruncateAnswer
from simulator.graph_server import GraphSimulator

THREADS = 16
LIFETIME_SECONDS = 200
"""Short enough for MSAL, which takes a token of under five minutes for expired, to ask for a new one each time."""

TOKEN = Match(CallKind.TOKEN)


@dataclass
class Clock:
    """Seconds that pass only when the test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def requests_for(graph: GraphSimulator, kind: CallKind = CallKind.TOKEN) -> list[int]:
    """The statuses of the token requests so far."""
    return [call.status for call in graph.calls() if call.kind is kind]


def in_threads(tokens: Tokens) -> set[str]:
    """What THREADS threads get that ask at the same moment."""
    together = threading.Barrier(THREADS)

    def ask(_: int) -> str:
        together.wait()
        return tokens.current()

    with ThreadPoolExecutor(THREADS) as threads:
        return set(threads.map(ask, range(THREADS)))


def _thumbprint(header: Mapping[str, str]) -> bytes:
    """The SHA-256 thumbprint in the HEADER of an assertion."""
    return base64.urlsafe_b64decode(header["x5t#S256"] + "==")


def _digest(issued: tls.Issued) -> bytes:
    """What the thumbprint of ISSUED must be."""
    return issued.certificate.fingerprint(hashes.SHA256())


def short_lived(graph: GraphSimulator) -> tuple[Tokens, Clock]:
    """Tokens that live for LIFETIME_SECONDS by a clock that the test turns."""
    graph.change(token_seconds=LIFETIME_SECONDS)
    clock = Clock()
    return make_tokens(graph, clock=clock), clock


def stranger(graph: GraphSimulator, **other: Any) -> Tokens:
    """Tokens for a certificate that nobody registered."""
    credential = Credential.of(tls.application("stranger"))
    known = {"client_id": graph.client_id, "authority": graph.authority, "scope": SCOPE, "known_authority": False}
    return Tokens(credential=lambda: credential, **{**known, **other})


def test_it_works(trusted_graph: GraphSimulator) -> None:
    token = make_tokens(trusted_graph).current()
    grant = trusted_graph.tenant.entra.find(token)
    assert grant is not None
    assert grant.application.client_id == trusted_graph.client_id


def test_it_fetches_one_token_for_all_threads(trusted_graph: GraphSimulator) -> None:
    trusted_graph.add_fault(Fault(TOKEN, Hang(0.2)))
    assert len(in_threads(make_tokens(trusted_graph))) == 1
    assert requests_for(trusted_graph) == [200]


def test_it_proves_itself_by_the_sha_256_thumbprint_of_its_certificate(trusted_graph: GraphSimulator) -> None:
    make_tokens(trusted_graph).current()

    (assertion,) = trusted_graph.tenant.entra.assertions
    header = jwt.get_unverified_header(assertion)
    assert header["alg"] == "PS256"
    assert _thumbprint(header) == _digest(tls.application())
    assert "x5t" not in header


def test_it_signs_each_request_anew(trusted_graph: GraphSimulator) -> None:
    """MSAL takes what it signed for fresh by the time of day, which may have been set back."""
    tokens = make_tokens(trusted_graph)
    tokens.drop(tokens.current())
    tokens.current()

    first, second = trusted_graph.tenant.entra.assertions
    assert first != second


def test_it_proves_itself_by_the_certificate_of_the_moment(trusted_graph: GraphSimulator) -> None:
    old, new = tls.application(), tls.application("replacement")
    trusted_graph.register(new.certificate)
    in_use = iter((old, new))
    tokens = make_tokens(trusted_graph, credential=lambda: Credential.of(next(in_use)))
    tokens.drop(tokens.current())
    tokens.current()

    shown = [jwt.get_unverified_header(assertion) for assertion in trusted_graph.tenant.entra.assertions]
    assert [_thumbprint(header) for header in shown] == [_digest(old), _digest(new)]


def test_it_renews_a_token_before_its_end(trusted_graph: GraphSimulator) -> None:
    tokens, clock = short_lived(trusted_graph)
    first = tokens.current()
    clock.now += 0.75 * LIFETIME_SECONDS
    assert tokens.current() == first
    clock.now += 0.1 * LIFETIME_SECONDS

    assert tokens.current() != first
    assert requests_for(trusted_graph) == [200, 200]


def test_it_renews_a_token_once_for_all_threads(trusted_graph: GraphSimulator) -> None:
    tokens, clock = short_lived(trusted_graph)
    tokens.current()
    clock.now += 0.9 * LIFETIME_SECONDS

    assert len(in_threads(tokens)) == 1
    assert requests_for(trusted_graph) == [200, 200]


def test_it_uses_an_old_token_to_its_end_while_entra_is_away(trusted_graph: GraphSimulator) -> None:
    tokens, clock = short_lived(trusted_graph)
    first = tokens.current()
    trusted_graph.add_fault(Fault(TOKEN, CutConnection(), times=None))
    clock.now += 0.9 * LIFETIME_SECONDS
    assert tokens.current() == first
    clock.now += 0.2 * LIFETIME_SECONDS
    with pytest.raises(TransientError):
        tokens.current()


def test_it_does_not_ask_for_each_call_while_entra_is_away(trusted_graph: GraphSimulator) -> None:
    """Each try may take its whole time-out, and every thread stands behind it."""
    tokens, clock = short_lived(trusted_graph)
    tokens.current()
    trusted_graph.add_fault(Fault(TOKEN, CutConnection(), times=None))
    clock.now += 0.9 * LIFETIME_SECONDS
    trusted_graph.clear_calls()

    assert len({tokens.current() for _ in range(20)}) == 1
    assert len(requests_for(trusted_graph)) <= 2


def test_it_drops_a_token_that_graph_refused(trusted_graph: GraphSimulator) -> None:
    """MSAL's own cache would go on handing it out."""
    tokens = make_tokens(trusted_graph)
    first = tokens.current()
    tokens.drop(first)

    assert tokens.current() != first
    assert requests_for(trusted_graph) == [200, 200]


def test_it_keeps_a_newer_token_than_the_one_refused(trusted_graph: GraphSimulator) -> None:
    tokens = make_tokens(trusted_graph)
    first = tokens.current()
    tokens.drop(first)
    second = tokens.current()
    tokens.drop(first)

    assert tokens.current() == second
    assert requests_for(trusted_graph) == [200, 200]


def test_it_says_what_entra_answered_to_a_wrong_certificate(trusted_graph: GraphSimulator) -> None:
    tokens = stranger(trusted_graph)
    for _ in range(2):
        with pytest.raises(TransientError, match=r"AADSTS700027: .*not registered") as caught:
            tokens.current()
        told = str(caught.value) + repr(caught.value)
        assert "\n" not in str(caught.value)
        assert "PRIVATE KEY" not in told
        assert "eyJ" not in told
    assert requests_for(trusted_graph) == [401, 401]


def test_it_recovers_once_the_certificate_is_registered(trusted_graph: GraphSimulator) -> None:
    tokens = stranger(trusted_graph)
    with pytest.raises(TransientError):
        tokens.current()
    trusted_graph.register(tls.application("stranger").certificate)
    assert tokens.current()


@pytest.mark.parametrize(("ahead", "note"), [(3600, True), (-3600, True), (60, False)])
def test_it_says_when_the_clocks_are_apart(trusted_graph: GraphSimulator, ahead: int, *, note: bool) -> None:
    """What was signed by a wrong clock is refused in words that only tell times."""
    trusted_graph.advance(ahead)
    with pytest.raises(TransientError) as caught:
        stranger(trusted_graph).current()

    assert ("This machine's clock and Entra ID's are 60 minutes apart" in str(caught.value)) is note


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "33333333-3333-3333-3333-333333333333"},
        {"scope": "https://other.example/.default"},
        {"authority": "https://localhost:1/tenant"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_it_says_why_there_is_no_token(trusted_graph: GraphSimulator, wrong: dict[str, str]) -> None:
    with pytest.raises(TransientError, match=r"^No token: .*\.$|^No token: .*AADSTS"):
        stranger(trusted_graph, **wrong).current()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Match(CallKind.OPENID), AnswerWith(500)),
        Fault(Match(CallKind.OPENID), AnswerWith(503, FaultBody.HTML)),
        Fault(Match(CallKind.OPENID), AnswerWith(200, FaultBody.HTML)),
        # MSAL itself tries a broken GET once more.
        Fault(Match(CallKind.OPENID), CutConnection(), times=2),
        Fault(TOKEN, AnswerWith(200, FaultBody.HTML)),
        Fault(TOKEN, CutConnection(CutPoint.AFTER_EFFECT)),
        Fault(TOKEN, TruncateAnswer()),
    ],
    ids=lambda fault: f"{fault.match.kind.value} {fault.action}",
)
def test_it_gets_over_a_failure_of_entra(trusted_graph: GraphSimulator, fault: Fault) -> None:
    tokens = make_tokens(trusted_graph)
    trusted_graph.add_fault(fault)
    with pytest.raises(TransientError, match="No token"):
        tokens.current()
    assert tokens.current()


def test_it_shows_no_token_when_it_is_printed(trusted_graph: GraphSimulator) -> None:
    tokens = make_tokens(trusted_graph)
    assert tokens.current() not in f"{tokens!r} {tokens._token!r}"
