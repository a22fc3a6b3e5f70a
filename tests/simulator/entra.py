"""Entra ID for one tenant: the openid document and tokens for applications that prove themselves by a certificate.

Errors have the shape and the AADSTS numbers of "Microsoft identity platform and the OAuth 2.0 client credentials flow"
and "Microsoft Entra authentication and authorization error codes" (learn.microsoft.com). Accepted as real clients send
them: RS256 with `x5t`, PS256 with `x5t#S256`, thumbprints with or without padding, times as floats, no `nbf`, no `kid`.
Without `nbf` an assertion counts as valid from 1970 on (AzureAD/microsoft-authentication-library-for-dotnet#4951): one that a
fast clock signed is taken.
"""

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from simulator.clock import to_text

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = ("RS256", "PS256")
_CLOCK_SKEW_SECONDS = 300
_INVALID_SIGNATURE = "Client assertion contains an invalid signature."


class EntraError(Exception):
    """A refused request: HTTP STATUS, OAuth ERROR word and AADSTS CODE."""

    def __init__(self, status: int, error: str, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.error = error
        self.code = code
        self.text = text

    def body(self, now: float) -> dict[str, object]:
        """The JSON that Entra ID answers with."""
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        stamp = to_text(now).replace("T", " ")
        details = f"Trace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {stamp}"
        return {
            "error": self.error,
            "error_description": f"AADSTS{self.code}: {self.text}\r\n{details}",
            "error_codes": [self.code],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={self.code}",
        }


@dataclass(slots=True)
class Application:
    """An app registration with its uploaded certificates, by both kinds of thumbprint."""

    client_id: str
    roles: tuple[str, ...]
    secret: str | None = None
    _certificates: dict[str, x509.Certificate] = field(default_factory=dict)

    def register(self, certificate: x509.Certificate) -> None:
        """Upload CERTIFICATE, which must hold an RSA key."""
        if not isinstance(certificate.public_key(), rsa.RSAPublicKey):
            raise TypeError("Entra ID takes RSA certificates only.")
        der = certificate.public_bytes(serialization.Encoding.DER)
        for digest in (hashlib.sha1(der, usedforsecurity=False), hashlib.sha256(der)):
            self._certificates[base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")] = certificate

    def key(self, thumbprint: str, *, now: float) -> rsa.RSAPublicKey:
        """The public key of the certificate with THUMBPRINT (base64url); raise AADSTS700027 if there is none, or it expired."""
        certificate = self._certificates.get(thumbprint.rstrip("="))
        if certificate is None:
            text = "The certificate with identifier used to sign the client assertion is not registered on application."
            raise _unusable_key(text, "The key was not found.", thumbprint)
        if now > certificate.not_valid_after_utc.timestamp():
            raise _unusable_key(_INVALID_SIGNATURE, "The key used is expired.", thumbprint, _validity(certificate))
        key = certificate.public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            raise TypeError("register takes RSA certificates only")
        return key


def _unusable_key(text: str, reason: str, thumbprint: str, *found: str) -> EntraError:
    """AADSTS700027 in the words of "Troubleshoot Azure Local registration issues" (learn.microsoft.com)."""
    details = ", ".join((f"Reason - {reason}", f"Thumbprint of key used by client: '{thumbprint}'", *found))
    return EntraError(401, "invalid_client", 700027, f"{text} [{details}]")


def _validity(certificate: x509.Certificate) -> str:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"Found key 'Start={begin:%m/%d/%Y %H:%M:%S}, End={end:%m/%d/%Y %H:%M:%S}'"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token stands for; `expires_at` is a Unix time in seconds."""

    application: Application
    expires_at: float


class Entra:
    """One tenant's token service; `authority` is set once the port is known, `token_seconds` may change.

    `tokens` holds all that were ever given out and `assertions` all that were ever shown, so that a test can look for them where
    they must not be.
    """

    def __init__(self, *, tenant_id: str, resource: str, token_seconds: int, clock: Callable[[], float]) -> None:
        self.tenant_id = tenant_id
        self.authority = ""
        self.token_seconds = token_seconds
        self.tokens: list[str] = []
        self.assertions: list[str] = []
        self._resource = resource
        self._clock = clock
        self._applications: dict[str, Application] = {}
        self._grants: dict[str, Grant] = {}

    @property
    def token_endpoint(self) -> str:
        """The URL that assertions must name as their audience."""
        return f"{self.authority}/oauth2/v2.0/token"

    def add(self, application: Application) -> None:
        """Make APPLICATION known to the tenant."""
        self._applications[application.client_id] = application

    def openid_document(self, tenant: str) -> dict[str, object]:
        """The document at `/{TENANT}/v2.0/.well-known/openid-configuration`; raise AADSTS90002 for another tenant."""
        self._check_tenant(tenant)
        return {
            "issuer": f"{self.authority}/v2.0",
            "authorization_endpoint": f"{self.authority}/oauth2/v2.0/authorize",
            "token_endpoint": self.token_endpoint,
            "jwks_uri": f"{self.authority}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "tenant_region_scope": "EU",
        }

    def grant(self, tenant: str, form: Mapping[str, str], basic: tuple[str, str] | None = None) -> dict[str, object]:
        """Answer a token request with FORM (and BASIC credentials, if it sent any); raise EntraError."""
        self._check_tenant(tenant)
        client_id = form.get("client_id") or (basic[0] if basic else "")
        if form.get("grant_type") != "client_credentials":
            raise EntraError(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        self._check_scope(form.get("scope", ""))
        application = self._application(client_id)
        self._authenticate(application, form, basic)
        token = secrets.token_urlsafe(64)
        self.tokens.append(token)
        self._grants[token] = Grant(application, self._clock() + self.token_seconds)
        return {
            "token_type": "Bearer",
            "expires_in": self.token_seconds,
            "ext_expires_in": self.token_seconds,
            "access_token": token,
        }

    def find(self, token: str) -> Grant | None:
        """What TOKEN stands for, expired or not."""
        return self._grants.get(token)

    def revoke_all(self) -> None:
        """Make every token given out so far unknown."""
        self._grants.clear()

    def _check_tenant(self, tenant: str) -> None:
        if tenant.lower() != self.tenant_id.lower():
            text = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
            raise EntraError(400, "invalid_tenant", 90002, text)

    def _check_scope(self, scope: str) -> None:
        # Without a resource Microsoft Graph is meant; rclone asks so.
        if scope == ".default":
            return
        if not scope.endswith("/.default"):
            text = f"The provided request must include a 'scope' input parameter. The scope {scope!r} is not valid."
            raise EntraError(400, "invalid_scope", 70011, text)
        if scope.removesuffix("/.default") != self._resource:
            text = f"The resource principal named {scope.removesuffix('/.default')} was not found in the tenant."
            raise EntraError(400, "invalid_resource", 500011, text)

    def _application(self, client_id: str) -> Application:
        if application := self._applications.get(client_id):
            return application
        text = f"Application with identifier '{client_id}' was not found in the directory '{self.tenant_id}'."
        raise EntraError(400, "unauthorized_client", 700016, text)

    def _authenticate(self, application: Application, form: Mapping[str, str], basic: tuple[str, str] | None) -> None:
        secret = form.get("client_secret") or (basic[1] if basic else None)
        if assertion := form.get("client_assertion"):
            self.assertions.append(assertion)
            if form.get("client_assertion_type") != _ASSERTION_TYPE:
                raise EntraError(400, "invalid_request", 900144, "The client_assertion_type is missing or unknown.")
            self._check_assertion(application, assertion)
        elif secret is None:
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise EntraError(401, "invalid_client", 7000218, text)
        elif application.secret is None or not hmac.compare_digest(secret.encode(), application.secret.encode()):
            raise EntraError(401, "invalid_client", 7000215, "Invalid client secret provided.")

    def _check_assertion(self, application: Application, assertion: str) -> None:
        key = application.key(_thumbprint(assertion), now=self._clock())
        try:
            claims = jwt.decode(
                assertion,
                key,
                algorithms=_ALGORITHMS,
                audience=self.token_endpoint,
                leeway=_CLOCK_SKEW_SECONDS,
                options={"require": ["exp", "aud", "iss", "sub"], "verify_iat": False},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            raise _untimely(assertion) from error
        except jwt.InvalidTokenError as error:
            raise _refused_assertion(error) from error
        if claims["iss"] != application.client_id or claims["sub"] != application.client_id:
            text = "Client assertion application identifier doesn't match 'client_id' parameter."
            raise EntraError(401, "invalid_client", 700021, text)


def _thumbprint(assertion: str) -> str:
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError as error:
        raise _refused_assertion(error) from error
    thumbprint = header.get("x5t#S256") or header.get("x5t")
    if not isinstance(thumbprint, str):
        text = (
            "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId specified."
        )
        raise EntraError(401, "invalid_client", 50027, text)
    return thumbprint


def _untimely(assertion: str) -> EntraError:
    claims = jwt.decode(assertion, options={"verify_signature": False})
    begin, end = (to_text(float(claims.get(name, 0))) for name in ("nbf", "exp"))
    text = (
        f"Client assertion is not within its valid time range. Current time: {to_text(time.time())}, "
        f"assertion valid from {begin}, expiry time of assertion {end}."
    )
    return EntraError(401, "invalid_client", 700024, text)


def _refused_assertion(error: jwt.InvalidTokenError) -> EntraError:
    if isinstance(error, jwt.InvalidAudienceError):
        return EntraError(401, "invalid_client", 700023, "Client assertion audience claim does not match Realm issuer.")
    if isinstance(error, jwt.MissingRequiredClaimError):
        return EntraError(401, "invalid_client", 700025, f"Client assertion lacks the claim {error.claim!r}.")
    return EntraError(401, "invalid_client", 700027, _INVALID_SIGNATURE)
