"""The simulated token endpoint accepts what real clients send and refuses what Entra ID refuses, with its words."""

import base64
import hashlib
import time
import uuid
from collections.abc import Mapping
from datetime import timedelta

import jwt
import pytest
import requests
from contract.plain_graph import PlainGraph, code
from cryptography.hazmat.primitives import serialization

from simulator import tls

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def thumbprint(issued: tls.Issued, algorithm: str, *, padding: bool = False) -> str:
    digest = hashlib.new(algorithm, issued.certificate.public_bytes(serialization.Encoding.DER)).digest()
    text = base64.urlsafe_b64encode(digest).decode()
    return text if padding else text.rstrip("=")


def assertion(
    client: PlainGraph,
    *,
    claims: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    algorithm: str = "PS256",
    issued: tls.Issued | None = None,
) -> str:
    """A signed assertion as MSAL makes it, with CLAIMS over the usual ones; a None leaves a claim out."""
    issued = issued or tls.application()
    usual: dict[str, object] = {
        "aud": f"{client.simulator.authority}/oauth2/v2.0/token",
        "iss": client.simulator.client_id,
        "sub": client.simulator.client_id,
        "iat": time.time(),
        "exp": time.time() + 600,
        "jti": str(uuid.uuid4()),
    }
    payload = {name: value for name, value in {**usual, **(claims or {})}.items() if value is not None}
    chosen = {"x5t#S256": thumbprint(issued, "sha256")} if headers is None else dict(headers)
    return jwt.encode(payload, issued.key_pem(), algorithm=algorithm, headers=chosen)


def ask(client: PlainGraph, token: str, **form: str) -> requests.Response:
    fields = {"client_secret": "", "client_assertion_type": ASSERTION_TYPE, "client_assertion": token}
    return client.ask_for_token(**{**fields, **form})


def refusal(answer: requests.Response) -> tuple[int, str, list[int]]:
    body = answer.json()
    return answer.status_code, body["error"], body["error_codes"]


def test_the_openid_document_names_the_token_endpoint(client: PlainGraph) -> None:
    document = client.bare("GET", f"{client.simulator.authority}/v2.0/.well-known/openid-configuration").json()

    assert document["token_endpoint"] == f"{client.simulator.authority}/oauth2/v2.0/token"
    assert {"issuer", "authorization_endpoint"} <= document.keys()


def test_an_unknown_tenant_has_no_openid_document(client: PlainGraph) -> None:
    url = client.simulator.authority.replace(client.simulator.tenant_id, "nowhere.example")

    answer = client.bare("GET", f"{url}/v2.0/.well-known/openid-configuration")

    assert refusal(answer) == (400, "invalid_tenant", [90002])


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
@pytest.mark.parametrize(("name", "digest"), [("x5t", "sha1"), ("x5t#S256", "sha256")])
def test_it_accepts_both_signatures_with_both_thumbprints(
    client: PlainGraph, *, algorithm: str, name: str, digest: str, padding: bool
) -> None:
    headers = {name: thumbprint(tls.application(), digest, padding=padding)}

    answer = ask(client, assertion(client, algorithm=algorithm, headers=headers))

    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3599


def test_it_accepts_one_assertion_twice(client: PlainGraph) -> None:
    """MSAL uses an assertion for up to nine minutes."""
    token = assertion(client)

    assert [ask(client, token).status_code for _ in range(2)] == [200, 200]


def test_it_refuses_a_certificate_that_is_not_registered(client: PlainGraph) -> None:
    answer = ask(client, assertion(client, issued=tls.application("somebody else")))

    assert refusal(answer) == (401, "invalid_client", [700027])
    assert "The key was not found" in answer.json()["error_description"]


def test_it_refuses_a_signature_by_another_key(client: PlainGraph) -> None:
    """The thumbprint is the registered one, the key is not."""
    headers = {"x5t#S256": thumbprint(tls.application(), "sha256")}

    answer = ask(client, assertion(client, issued=tls.application("somebody else"), headers=headers))

    assert refusal(answer) == (401, "invalid_client", [700027])


def test_it_refuses_a_certificate_that_expired(client: PlainGraph) -> None:
    issued = tls.issue("ends soon", lifetime=timedelta(minutes=50))
    client.simulator.register(issued.certificate)

    assert ask(client, assertion(client, issued=issued)).status_code == 200
    client.simulator.advance(3600)
    answer = ask(client, assertion(client, issued=issued))
    assert refusal(answer) == (401, "invalid_client", [700027])
    assert (
        "[Reason - The key used is expired., Thumbprint of key used by client: '" in answer.json()["error_description"]
    )
    assert ask(client, assertion(client)).status_code == 200


def test_it_takes_what_a_fast_clock_signed_and_not_what_a_slow_one_did(client: PlainGraph) -> None:
    """Without `nbf` an assertion is valid from 1970 on."""
    fast, slow = ({"iat": time.time() + ahead, "exp": time.time() + ahead + 600} for ahead in (3600, -3600))
    refused = ask(client, assertion(client, claims=slow))

    assert ask(client, assertion(client, claims=fast)).status_code == 200
    assert refusal(refused) == (401, "invalid_client", [700024])
    assert "assertion valid from 1970-01-01T00:00:00Z" in refused.json()["error_description"]


def test_it_keeps_all_that_must_stay_secret(client: PlainGraph) -> None:
    """Also what is of no more use, so that a test can look for it where it must not be."""
    shown = assertion(client)
    given = ask(client, shown).json()["access_token"]
    url = client.upload_url("a.bin")
    client.simulator.revoke_tokens()
    client.bare("DELETE", url)

    assert {shown, given, url.rpartition("tempauth=")[2]} <= set(client.simulator.secrets())


@pytest.mark.parametrize(
    ("claims", "number"),
    [
        ({"aud": "https://login.microsoftonline.com/common/oauth2/v2.0/token"}, 700023),
        ({"iss": "somebody"}, 700021),
        ({"sub": "somebody"}, 700021),
        ({"exp": 1_000_000.0}, 700024),
        ({"exp": None}, 700025),
    ],
)
def test_it_refuses_claims_that_do_not_hold(client: PlainGraph, claims: dict[str, object], number: int) -> None:
    assert refusal(ask(client, assertion(client, claims=claims))) == (401, "invalid_client", [number])


def test_it_refuses_an_assertion_without_a_thumbprint(client: PlainGraph) -> None:
    assert refusal(ask(client, assertion(client, headers={}))) == (401, "invalid_client", [50027])


def test_a_scope_without_a_resource_means_graph(client: PlainGraph) -> None:
    assert client.ask_for_token(scope=".default").status_code == 200


def test_it_refuses_what_is_no_assertion(client: PlainGraph) -> None:
    assert refusal(ask(client, "not.a.token")) == (401, "invalid_client", [700027])


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"client_id": "33333333-3333-3333-3333-333333333333"}, (400, "unauthorized_client", [700016])),
        ({"scope": "https://graph.microsoft.com/Sites.ReadWrite.All"}, (400, "invalid_scope", [70011])),
        ({"scope": "https://elsewhere.example/.default"}, (400, "invalid_resource", [500011])),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", [70003])),
        ({"client_secret": "wrong"}, (401, "invalid_client", [7000215])),
        ({"client_secret": ""}, (401, "invalid_client", [7000218])),
    ],
)
def test_it_refuses_other_mistakes(
    client: PlainGraph, form: dict[str, str], expected: tuple[int, str, list[int]]
) -> None:
    assert refusal(client.ask_for_token(**form)) == expected


def test_a_refusal_has_the_shape_of_entra_id(client: PlainGraph) -> None:
    body = client.ask_for_token(client_secret="wrong").json()

    assert body["error_description"].startswith("AADSTS7000215: Invalid client secret")
    assert "\r\nTrace ID: " in body["error_description"]
    assert {"error_codes", "timestamp", "trace_id", "correlation_id", "error_uri"} <= body.keys()


def test_graph_wants_a_token_that_is_known_and_fresh(client: PlainGraph) -> None:
    url = f"{client.drive}/root"

    assert code(client.bare("GET", url)) == "InvalidAuthenticationToken"
    assert client.bare("GET", url, headers={"Authorization": "Bearer made-up"}).status_code == 401
    assert client.send("GET", url).status_code == 200

    client.simulator.advance(3600)
    answer = client.send("GET", url)
    assert answer.status_code == 401
    assert "expired" in answer.json()["error"]["message"]


def test_tokens_can_be_revoked(client: PlainGraph) -> None:
    client.simulator.revoke_tokens()

    assert client.ask("GET", "root").status_code == 401


def test_an_application_without_roles_is_denied(client: PlainGraph) -> None:
    client.simulator.change(app_roles=())

    answer = client.ask("GET", "root")

    assert (answer.status_code, code(answer)) == (403, "AccessDenied")


def test_a_site_that_was_not_granted_is_denied(client: PlainGraph) -> None:
    client.simulator.change(granted_sites=())

    assert code(client.send("GET", client.site)) == "accessDenied"
    assert client.ask("GET", "root").status_code == 403
