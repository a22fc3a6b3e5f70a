"""What the check-up says of the way to a token: which answer of Entra ID, of a web proxy, of a clock asks for what."""

import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from sharepoint_proxy.checkup_login import LoginHost, check_login_host, token_finding, token_step
from sharepoint_proxy.errors import OutageError, Subject
from sharepoint_proxy.findings import Finding, Verdict

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
AUTHORITY = "https://login.example.org/contoso"
SCOPE = "https://graph.example.org/.default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    """An answer of the login host, by default a good one."""

    protocol: str = "TLSv1.3"
    issuer: str = "Example CA"
    status: int = 200
    body: bytes = json.dumps({"token_endpoint": f"{AUTHORITY}/oauth2/v2.0/token"}).encode()
    at: datetime = NOW
    date: datetime | None = NOW


@dataclass(frozen=True, slots=True, kw_only=True)
class WebProxy:
    """A web proxy as a variable names it."""

    variable: str = "HTTPS_PROXY"
    host: str = "proxy.example.org"
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.host}:3128"


@dataclass(slots=True)
class Internet:
    """Answers everything with `greeting`, or fails with `error`; `resolved` holds the names that were looked up."""

    greeting: Greeting = field(default_factory=Greeting)
    error: OSError | None = None
    resolved: list[str] = field(default_factory=list)

    def resolve(self, host: str) -> tuple[str, ...]:
        self.resolved.append(host)
        if host.endswith(".invalid"):
            raise socket.gaierror(-2, "Name or service not known")
        return ("192.0.2.1", "192.0.2.2")

    def greet(self, _: str) -> Greeting:
        if self.error is not None:
            raise self.error
        return self.greeting


def findings(
    internet: Internet,
    *,
    authority: str = AUTHORITY,
    proxy: WebProxy | None = None,
    lacks_host: str = "",
    lacks_tenant: str = "",
) -> dict[str, Finding]:
    """What is found, by step."""
    login = LoginHost(
        authority=authority,
        proxy=proxy,
        resolve=internet.resolve,
        greet=internet.greet,
        trusted="the public authorities",
    )
    found = check_login_host(login, lacks_host=lacks_host, lacks_tenant=lacks_tenant)
    return {finding.step: finding for finding in found}


def token_after(said: str) -> Finding:
    """What is found when Entra ID says this instead of giving a token."""

    def refuse() -> object:
        raise OutageError(f"No token: {said}", subject=Subject.TOKEN)

    return token_finding(token_step(client_id="app", authority=AUTHORITY), refuse, scope=SCOPE)


def test_everything_fine_is_told_in_four_lines() -> None:
    found = findings(Internet())

    assert {step: finding.verdict for step, finding in found.items()} == dict.fromkeys(
        ("DNS", "TLS", "clock", "tenant"), Verdict.OK
    )
    assert found["DNS"].found == "192.0.2.1, 192.0.2.2"
    assert found["TLS"].tried == "connect to login.example.org:443, trusting the public authorities"


def test_behind_a_web_proxy_the_proxys_name_is_looked_up_and_not_the_login_hosts() -> None:
    internet = Internet()
    found = findings(internet, proxy=WebProxy())

    assert internet.resolved == ["proxy.example.org"]
    assert "login.example.org is looked up there, not here" in found["DNS"].tried
    assert "through the web proxy proxy.example.org:3128 of HTTPS_PROXY" in found["TLS"].tried


def test_a_web_proxy_that_cannot_be_asked_is_told_and_the_rest_skipped() -> None:
    found = findings(Internet(), proxy=WebProxy(problem="it is reached by socks5"))

    assert found["DNS"].verdict is Verdict.FAILED
    assert "HTTPS_PROXY" in found["DNS"].advice
    assert found["TLS"].found == "not tried: it needs the step DNS"
    assert found["clock"].verdict is found["tenant"].verdict is Verdict.SKIPPED


@pytest.mark.parametrize(
    ("error", "said", "advised"),
    [
        (ssl.SSLCertVerificationError(1, "untrusted"), "not trusted", "REQUESTS_CA_BUNDLE"),
        (ssl.SSLError(1, "wrong version number"), "no TLS is spoken", "firewall"),
        (TimeoutError(), "no answer in time", "port 443"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused", "HTTPS_PROXY"),
    ],
)
def test_a_broken_way_says_which_kind_it_is(error: OSError, said: str, advised: str) -> None:
    tls = findings(Internet(error=error))["TLS"]

    assert tls.verdict is Verdict.FAILED
    assert said in tls.found
    assert advised in tls.advice


def test_a_web_proxy_that_refuses_is_sent_to_its_own_variable() -> None:
    error = OSError("Tunnel connection failed: 407 Proxy Authentication Required")
    tls = findings(Internet(error=error), proxy=WebProxy())["TLS"]

    assert "407" in tls.found
    assert tls.advice.startswith("Check HTTPS_PROXY, with user and password")


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [
        (timedelta(0), Verdict.OK),
        (timedelta(seconds=60), Verdict.OK),
        (timedelta(seconds=-61), Verdict.WARNING),
        (timedelta(minutes=5), Verdict.WARNING),
        (timedelta(minutes=-5), Verdict.WARNING),
        (timedelta(minutes=5, seconds=1), Verdict.FAILED),
        (timedelta(hours=-2), Verdict.FAILED),
    ],
)
def test_the_clock_may_be_off_by_five_minutes(ahead: timedelta, verdict: Verdict) -> None:
    clock = findings(Internet(Greeting(date=NOW - ahead)))["clock"]

    assert clock.verdict is verdict
    assert verdict is Verdict.OK or ("ahead" if ahead > timedelta(0) else "behind") in clock.found


def test_a_host_without_a_date_leaves_the_clock_open() -> None:
    assert findings(Internet(Greeting(date=None)))["clock"].verdict is Verdict.WARNING


@pytest.mark.parametrize(
    ("body", "said", "advised"),
    [
        (b"<html>login</html>", "an answer 404 that is not Entra ID's", "AUTHORITY must be"),
        (b"[]", "an answer 404 that is not Entra ID's", "AUTHORITY must be"),
        (
            b'{"error_description": "AADSTS90002: Tenant not found.\\r\\nTrace ID: 1"}',
            "AADSTS90002: Tenant not found.",
            "copy TENANT_ID from Entra ID",
        ),
    ],
)
def test_an_answer_that_is_no_tenants_page_is_told(body: bytes, said: str, advised: str) -> None:
    tenant = findings(Internet(Greeting(status=404, body=body)))["tenant"]

    assert tenant.verdict is Verdict.FAILED
    assert tenant.found == said
    assert advised in tenant.advice


def test_without_a_tenant_the_host_is_still_tried() -> None:
    found = findings(Internet(), lacks_tenant="the setting TENANT_ID")

    assert found["TLS"].verdict is found["clock"].verdict is Verdict.OK
    assert found["tenant"].found == "not tried: it needs the setting TENANT_ID"


def test_without_a_host_nothing_is_tried() -> None:
    internet = Internet()
    found = findings(internet, lacks_host="the setting AUTHORITY")

    assert internet.resolved == []
    assert {finding.verdict for finding in found.values()} == {Verdict.SKIPPED}


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("AADSTS90002: Tenant 'x' not found.", "TENANT_ID"),
        ("AADSTS700016: Application was not found.", "CLIENT_ID"),
        ("AADSTS7000112: Application is disabled.", "Enabled for users to sign-in"),
        ("AADSTS7000229: missing service principal", "Create Service Principal"),
        ("AADSTS700027: not registered", "Certificates & secrets"),
        ("AADSTS700024: not within its valid time range", "timedatectl"),
        ("AADSTS1002012: scope is not valid", "GRAPH_SCOPE"),
        ("AADSTS53003: blocked", "Conditional Access"),
        ("AADSTS90033: unavailable", "check again"),
        ("AADSTS999999: something new", "https://login.microsoftonline.com/error?code=999999"),
        ("https://login.example.org cannot be used (ValueError).", "the steps above"),
    ],
)
def test_a_refused_token_says_what_to_do_in_entra_id(said: str, advised: str) -> None:
    token = token_after(said)

    assert token.verdict is Verdict.FAILED
    assert said in token.found
    assert advised in token.advice


def test_a_number_is_not_taken_for_one_that_begins_like_it() -> None:
    """700023 and 700024 are not 70002."""
    assert "too old" in token_after("AADSTS700024: x").advice
    assert "AUTHORITY" in token_after("AADSTS700023: x").advice


@pytest.mark.parametrize("fetch", [lambda: "eyJ-the-token"])
def test_a_token_is_not_shown(fetch: Callable[[], object]) -> None:
    token = token_finding(token_step(client_id="app", authority=AUTHORITY), fetch, scope=SCOPE)

    assert token.verdict is Verdict.OK
    assert "eyJ" not in str(token)
