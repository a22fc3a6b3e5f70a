"""The check-up's steps on the way to a token: name, TLS, clock, tenant, token; what each answer means, and what to do then.

The numbers are those of Microsoft's page "Microsoft Entra authentication and authorization error codes"; the ones that it lacks
are quoted in MicrosoftDocs/azure-docs#28469 (7000112), Azure/Commercial-Marketplace-SaaS-Accelerator#830 (7000229),
AzureAD/microsoft-authentication-library-for-dotnet#3150 (500014) and microsoftgraph/microsoft-graph-docs#14323 (1002012).
"""

import json
import re
import ssl
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

from sharepoint_proxy.errors import ProxyError
from sharepoint_proxy.findings import Finding, Step, Verdict

MOST_CLOCK_DIFFERENCE = timedelta(minutes=5)
"""Entra ID takes an assertion whose times are off by so much (AADSTS700024 beyond)."""

_NOTEWORTHY_CLOCK_DIFFERENCE = timedelta(minutes=1)
_SHOWN_ADDRESSES = 4
_HTTPS_PORT = 443

_APPLICATION = "Entra ID > App registrations > your application"
_CODE = re.compile(r"AADSTS(\d+)")
_CERTIFICATE_ADVICE = (
    f"Upload the file of CERT_PATH, never the key, in {_APPLICATION} > Certificates & secrets > Certificates, and compare the"
    " thumbprint and the end date there with those of the step certificate."
)
_SCOPE_ADVICE = (
    "GRAPH_SCOPE must be Graph's address in the cloud of AUTHORITY, followed by /.default; for the public cloud leave"
    " GRAPH_SCOPE, GRAPH_BASE_URL and AUTHORITY unset."
)
_CLOCK_ADVICE = (
    "Set this machine's clock by NTP (`timedatectl set-ntp true`); a container has the clock of its host, and a virtual machine"
    " may have to be told to follow its host after a pause."
)
_WAIT_ADVICE = "Entra ID itself is in trouble: check again in some minutes."
_DISABLED_ADVICE = (
    "The application is disabled: switch on Entra ID > Enterprise applications > your application > Properties >"
    " Enabled for users to sign-in."
)
_WRONG_TENANT_ADVICE = (
    f"There is no such tenant: copy TENANT_ID from {_APPLICATION} > Overview > Directory (tenant) ID."
)
_ADVICE = {
    "90002": _WRONG_TENANT_ADVICE,
    "900023": _WRONG_TENANT_ADVICE,
    "90038": "The tenant lives in a national cloud: set AUTHORITY, GRAPH_SCOPE and GRAPH_BASE_URL to the addresses of that cloud.",
    "700016": (
        f"The tenant has no such application: copy CLIENT_ID from {_APPLICATION} > Overview > Application (client) ID (neither the"
        " object ID nor that of a secret), and TENANT_ID from the same page."
    ),
    "70001": _DISABLED_ADVICE,
    "7000112": _DISABLED_ADVICE,
    "7000229": (
        f"The application is registered but has no service principal in its tenant: {_APPLICATION} > Overview > Managed application"
        " in local directory > Create Service Principal."
    ),
    "700025": (
        f"The application is registered as a public client: {_APPLICATION} > Authentication > Allow public client flows must be No."
    ),
    "700027": f"The application does not have this certificate, or has one that ended. {_CERTIFICATE_ADVICE}",
    "700021": f"The signature is not that of this application. {_CERTIFICATE_ADVICE}",
    "50012": f"The signature is not accepted. {_CERTIFICATE_ADVICE}",
    "7000222": f"What is registered for the application has ended. {_CERTIFICATE_ADVICE}",
    "700023": "The token was asked for at another address than Entra ID calls its own: AUTHORITY must be that of the tenant's cloud.",
    "700024": f"By Entra ID's clock the signed request is too old. {_CLOCK_ADVICE}",
    "70011": _SCOPE_ADVICE,
    "1002012": _SCOPE_ADVICE,
    "500011": _SCOPE_ADVICE,
    "500014": "Microsoft Graph is disabled in this tenant: ask Microsoft's support, or whoever owns the subscription.",
    "53003": "A Conditional Access policy blocks the application: see Entra ID > Conditional Access > Policies, those for workload identities.",
    "90006": _WAIT_ADVICE,
    "90012": _WAIT_ADVICE,
    "90024": _WAIT_ADVICE,
    "90033": _WAIT_ADVICE,
    "90055": _WAIT_ADVICE,
}


class WebProxy(Protocol):
    """A web proxy between us and the outside; as text it is its host and port."""

    @property
    def variable(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def problem(self) -> str: ...


class Greeting(Protocol):
    """What a host answered over TLS; DATE is by its clock, AT by ours."""

    @property
    def protocol(self) -> str: ...
    @property
    def issuer(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def at(self) -> datetime: ...
    @property
    def date(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginHost:
    """The way to AUTHORITY: the web proxy on it, if any; what finds the addresses of a host; what GETs a URL over TLS.

    The last two raise OSError. TRUSTED says in words whose certificates are trusted.
    """

    authority: str
    proxy: WebProxy | None
    resolve: Callable[[str], tuple[str, ...]]
    greet: Callable[[str], Greeting]
    trusted: str

    @property
    def host(self) -> str:
        """The login host's name."""
        return urlsplit(self.authority).hostname or ""

    @property
    def address(self) -> str:
        """Its name and port."""
        return f"{self.host}:{urlsplit(self.authority).port or _HTTPS_PORT}"

    @property
    def page(self) -> str:
        """The tenant's own page, from which MSAL learns where tokens are given out."""
        return f"{self.authority}/v2.0/.well-known/openid-configuration"


def check_login_host(login: LoginHost, *, lacks_host: str, lacks_tenant: str) -> Generator[Finding, None, bool]:
    """Go to the login host as far as the tenant's page; true if a token can be asked for there.

    LACKS_HOST and LACKS_TENANT name wrong settings for want of which host or tenant are not known, or are empty.
    """
    name = Step("DNS", f"look up {login.host}").skipped(lacks_host) if lacks_host else _name_finding(login)
    yield name
    greeting = None
    if name.verdict is Verdict.OK:
        connected, greeting = _greeted(login)
        yield connected
    else:
        yield _tls_step(login).skipped(lacks_host or "the step DNS")
    yield _clock_finding(login, greeting)
    tenant = _tenant_finding(login, greeting, lacks_tenant)
    yield tenant
    return tenant.verdict is Verdict.OK


def token_step(*, client_id: str, authority: str) -> Step:
    """The step that asks for a token."""
    return Step("token", f"ask {authority} for a token as application {client_id}")


def token_finding(step: Step, fetch: Callable[[], object], *, scope: str) -> Finding:
    """What came of FETCH, which raises ProxyError with Entra ID's words; the token itself is not looked at."""
    try:
        fetch()
    except ProxyError as error:
        advice = (
            _entra_advice(str(error))
            or "Look at the steps above: the login host must be reached, and AUTHORITY be right."
        )
        return step.failed(str(error), advice=advice)
    return step.ok(f"a token for {scope}")


def _name_finding(login: LoginHost) -> Finding:
    proxy = login.proxy
    if proxy is None:
        step = Step("DNS", f"look up {login.host}")
        advice = (
            f"Check AUTHORITY, and that this machine can look up names (`getent hosts {login.host}`). Where only a web proxy leads"
            " outside, name it in HTTPS_PROXY."
        )
        return _looked_up(step, login, login.host, advice)
    step = Step("DNS", f"look up the web proxy {proxy} of {proxy.variable}; {login.host} is looked up there, not here")
    if proxy.problem:
        return step.failed(proxy.problem, advice=f"Correct {proxy.variable}, or unset it if no web proxy is needed.")
    return _looked_up(step, login, proxy.host, f"Correct {proxy.variable}, or unset it if no web proxy is needed.")


def _looked_up(step: Step, login: LoginHost, name: str, advice: str) -> Finding:
    try:
        addresses = login.resolve(name)
    except OSError as error:
        return step.failed(f"no address: {error.strerror or error}", advice=advice)
    return step.ok(", ".join(addresses[:_SHOWN_ADDRESSES]))


def _tls_step(login: LoginHost) -> Step:
    through = f" through the web proxy {login.proxy} of {login.proxy.variable}" if login.proxy else ""
    return Step("TLS", f"connect to {login.address}{through}, trusting {login.trusted}")


def _greeted(login: LoginHost) -> tuple[Finding, Greeting | None]:
    step = _tls_step(login)
    try:
        greeting = login.greet(login.page)
    except OSError as error:
        return step.failed(_network_trouble(error), advice=_network_advice(error, login)), None
    return step.ok(f"{greeting.protocol}, with a certificate that {greeting.issuer} signed"), greeting


def _network_trouble(error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {getattr(error, 'verify_message', error)}"
        case ssl.SSLError():
            return f"no TLS is spoken there ({getattr(error, 'reason', None) or error})"
        case TimeoutError():
            return "no answer in time"
    return error.strerror or str(error)


def _network_advice(error: OSError, login: LoginHost) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            "If a firewall or web proxy opens TLS connections, put its authority, together with the public ones, into one PEM file and"
            f" name that in REQUESTS_CA_BUNDLE; `openssl s_client -showcerts -connect {login.address}` shows who signs."
            " Or this machine's clock is wrong."
        )
    if login.proxy is not None:
        return f"Check {login.proxy.variable}, with user and password if the web proxy wants them, and that it lets {login.host} through."
    return (
        f"The firewall must let this machine reach port {_HTTPS_PORT} of {login.host}, of Graph and of the SharePoint site; where only"
        " a web proxy leads outside, name it in HTTPS_PROXY."
    )


def _clock_finding(login: LoginHost, greeting: Greeting | None) -> Finding:
    step = Step("clock", f"compare this machine's clock with the Date of {login.host}")
    if greeting is None:
        return step.skipped("the step TLS")
    if greeting.date is None:
        return step.warning("the answer has no date", advice=f"Compare by hand: `date -u`. {_CLOCK_ADVICE}")
    ahead = greeting.at - greeting.date
    seconds = round(abs(ahead).total_seconds())
    found = f"this machine is {seconds} s {'ahead' if ahead > timedelta(0) else 'behind'}"
    if abs(ahead) > MOST_CLOCK_DIFFERENCE:
        return step.failed(f"{found}, more than Entra ID allows", advice=_CLOCK_ADVICE)
    if abs(ahead) > _NOTEWORTHY_CLOCK_DIFFERENCE:
        return step.warning(f"{found}; Entra ID allows {MOST_CLOCK_DIFFERENCE.seconds} s", advice=_CLOCK_ADVICE)
    return step.ok(f"{seconds} s apart")


def _tenant_finding(login: LoginHost, greeting: Greeting | None, lacks_tenant: str) -> Finding:
    step = Step("tenant", f"read the page of the tenant at {login.authority}")
    if greeting is None or lacks_tenant:
        return step.skipped(lacks_tenant or "the step TLS")
    document = _document(greeting.body)
    endpoint = document.get("token_endpoint")
    if greeting.status == HTTPStatus.OK and isinstance(endpoint, str):
        return step.ok(f"it exists; its tokens come from {endpoint}")
    said = str(document.get("error_description") or f"an answer {greeting.status} that is not Entra ID's")
    said = said.splitlines()[0]
    advice = _entra_advice(said) or "AUTHORITY must be the address of Entra ID; leave it unset for the public cloud."
    return step.failed(said, advice=advice)


def _entra_advice(said: str) -> str:
    """What to do about the AADSTS number in what Entra ID SAID; "" when there is none."""
    if (code := _CODE.search(said)) is None:
        return ""
    unknown = f"Microsoft explains this number at https://login.microsoftonline.com/error?code={code[1]}."
    return _ADVICE.get(code[1], unknown)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
