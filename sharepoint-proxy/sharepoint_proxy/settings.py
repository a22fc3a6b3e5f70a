"""The settings: one frozen object, and for each of its values which variable holds it and how the text is understood.

`Settings` is the table: a field's metadata hold the variable's name, its parser, its default, and for a required one what
to give. The parsers are strict and refuse with a sentence that begins "it must be"; they don't care where a text comes from.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from sharepoint_proxy.fragments import UNIT_BYTES

_PUBLIC_CLOUD = "https://login.microsoftonline.com"
_MICROSOFT_HOSTS = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoft.com",
        "login.windows.net",
        "login.microsoftonline.us",
        "login.usgovcloudapi.net",
        "login.partner.microsoftonline.cn",
        "login.chinacloudapi.cn",
        "login.microsoftonline.de",
        "login.sovcloud-identity.fr",
        "login.sovcloud-identity.de",
        "login.sovcloud-identity.sg",
    }
)
# They sign in users of any tenant; an application that acts for itself must name one.
_TENANTLESS = frozenset({"common", "organizations", "consumers"})
_MIB = 1024 * 1024
STAND_IN = "unset.invalid"
"""Stands in for a required value that is missing or wrong: no host can have this name (RFC 2606)."""
# Stands in for a required secret: it fits into no header, so that it opens nothing.
_NO_CREDENTIAL = "\n"

_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_IPV6 = re.compile(r"[0-9a-f.]*:[0-9a-f:.]*")
_URL_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_BUCKET = re.compile(r"(?!.*\.\.)(?!(\d+\.){3}\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SITE_SEGMENT = re.compile(r'(?!\.\.?$)(?!.*\.aspx$)[^"*:<>?\\|#\x00-\x1f\x7f]+', re.IGNORECASE)
_BROKER = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):\d{1,5}")
_TIME = r"([01]\d|2[0-3]):[0-5]\d"
_SCHEDULE_ITEM = re.compile(rf"(\*|{_TIME}-{_TIME})=\d{{1,5}}(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """How one variable is read; `parse` raises ValueError("it must be ...") for a text that it refuses."""

    name: str
    parse: Callable[[str], object]
    default: str | None
    required: str | None
    secret: bool

    @property
    def stand_in(self) -> object:
        """The value that takes the place of none or a wrong one."""
        if self.default is not None:
            return self.parse(self.default)
        if self.required is None:
            return None
        return _NO_CREDENTIAL if self.secret else self.parse(STAND_IN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where MinIO listens."""

    host: str
    port: int
    secure: bool

    @property
    def address(self) -> str:
        """`host:port`, as MinIO's SDK takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePath:
    """A SharePoint site; `relative_path` begins with a slash, and is empty for the tenant's root site."""

    host: str
    relative_path: str

    def __str__(self) -> str:
        return f"{self.host}:{self.relative_path or '/'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A document library by what the administrator calls it: its site, and its own name (None: the site's default library).

    `alias` stands before all paths and ids in it; the main library has none.
    """

    site: SitePath
    library: str | None
    alias: str = ""

    def __str__(self) -> str:
        return f'the library "{self.library}" of {self.site}' if self.library else f"the default library of {self.site}"


def _matching(pattern: str, rule: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"it must be {rule}")
        return text

    return parse


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"it must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _number(low: int, high: int) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not low <= float(text) <= high:
            raise ValueError(f"it must be a number from {low} to {high}, with a point for decimals")
        return float(text)

    return parse


_word = _matching(r"[A-Za-z0-9][A-Za-z0-9._-]*", "letters, digits, dots and hyphens, without spaces")
_region = _matching(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", "a region's name, like us-east-1")
_scope = _matching(r"\S+/\.default", "one scope that ends with /.default")
_token = _matching(r"[!-~]+", "one word of ASCII characters, because MinIO adds Bearer only to a token of one word")


def _tenant(text: str) -> str:
    if text.lower() in _TENANTLESS:
        raise ValueError("it must be one tenant, by its ID or one of its domains")
    return _word(text)


def _url(text: str, *schemes: str) -> SplitResult:
    """TEXT as a URL with the host in lower case and no slash at its end."""
    wrong = ValueError(f"it must be a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError:
        raise wrong from None
    if url.scheme not in schemes or not (_HOST_NAME.fullmatch(host) or _IPV6.fullmatch(host)) or port == 0:
        raise wrong
    if "@" in url.netloc or url.query or url.fragment or not _URL_PATH.fullmatch(url.path.rstrip("/")):
        raise ValueError("it must be a plain URL, without user, password, query, spaces or placeholders")
    return url._replace(netloc=url.netloc.lower().removesuffix(":"), path=url.path.rstrip("/"))


def _https(text: str) -> str:
    return _url(text, "https").geturl()


def _authority(text: str) -> str:
    url = _url(text, "https")
    if url.path.count("/") > 1:
        raise ValueError(f"it must be a URL that ends with the tenant, like {_PUBLIC_CLOUD}/contoso.onmicrosoft.com")
    if url.path:
        _tenant(url.path[1:])
    return url.geturl()


def _endpoint(text: str) -> Endpoint:
    url = _url(text if "://" in text else f"http://{text}", "http", "https")
    if url.path:
        raise ValueError("it must be MinIO's address alone, without a path or bucket, like http://minio:9000")
    secure = url.scheme == "https"
    return Endpoint(host=url.hostname or "", port=url.port or (443 if secure else 80), secure=secure)


def parse_site(text: str) -> SitePath:
    """The site in Graph's form or as a browser's address line shows it, which is percent-encoded."""
    pasted = unquote(text[len("https://") :]) if text.lower().startswith("https://") else text
    host, _, rest = pasted.partition("/")
    rest, name = rest.rstrip("/:"), host.removesuffix(":").lower()
    # "sites/team" lacks its host: a first word without a dot is a host only where a colon says so.
    is_host = _HOST_NAME.fullmatch(name) and ("." in name or host.endswith(":"))
    if not is_host or (rest and not all(map(_SITE_SEGMENT.fullmatch, rest.split("/")))):
        raise ValueError("it must be a site, like contoso.sharepoint.com:/sites/team, without library, page or query")
    return SitePath(host=name, relative_path=f"/{rest}" if rest else "")


def parse_library(text: str) -> str:
    """The library's name."""
    if not (name := text.strip("/")) or "/" in name:
        raise ValueError(
            "it must be one library's name; a folder in it is named by prefix=folder in ALLOWED_PREFIXES, or by a route's folder"
        )
    return name


def _items(text: str) -> tuple[str, ...]:
    items = tuple(dict.fromkeys(item.strip() for item in text.split(",") if item.strip()))
    if not items:
        raise ValueError("it must be a list, separated by commas")
    return items


def parse_bucket(text: str) -> str:
    """The bucket's name."""
    if not _BUCKET.fullmatch(text):
        raise ValueError("it must be a bucket's name: 3 to 63 small letters, digits, dots and hyphens")
    return text


def _buckets(text: str) -> tuple[str, ...]:
    if not all(map(_BUCKET.fullmatch, names := _items(text))):
        raise ValueError("it must be a list of bucket names, each 3 to 63 small letters, digits, dots and hyphens")
    return names


def _columns(text: str) -> tuple[tuple[str, str], ...]:
    if not text:
        return ()
    pairs = [(name.strip(), column.strip()) for name, _, column in (item.partition("=") for item in _items(text))]
    if not all(name and column and "=" not in column for name, column in pairs) or len(dict(pairs)) < len(pairs):
        raise ValueError("it must be a list like auteur=Auteur,titre=Title, each name once")
    return tuple(pairs)


def _brokers(text: str) -> tuple[str, ...]:
    names = _items(text) if text else ()
    if not all(map(_BROKER.fullmatch, names)):
        raise ValueError("it must be a list of brokers with their ports, like kafka-1:9092,kafka-2:9092")
    return names


def _word_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.upper() not in words:
            raise ValueError(f"it must be one of {', '.join(words)}")
        return text.upper()

    return parse


def _schedule(text: str) -> str:
    if not all(map(_SCHEDULE_ITEM.fullmatch, _items(text))):
        raise ValueError("it must be a list of times and their Mbit/s (0: no limit), like 07:30-18:00=20,*=0")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in (words := {"true", "1", "yes", "on", "false", "0", "no", "off"}):
        raise ValueError(f"it must be one of {', '.join(sorted(words))}")
    return text.lower() in {"true", "1", "yes", "on"}


_topic = _matching(
    r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", "a topic's name: letters, digits, dots, underscores and hyphens"
)
_security_protocol = _word_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_sasl_mechanism = _word_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def _log_level(text: str) -> str:
    return _matching("debug|info|warning|error|critical", "debug, info, warning, error or critical")(text.lower())


def _fragment_bytes(text: str) -> int:
    wanted = int(_number(1, 59)(text) * _MIB)
    return wanted - wanted % UNIT_BYTES


def _from(
    name: str,
    parse: Callable[[str], object],
    default: str | None = None,
    *,
    required: str | None = None,
    secret: bool = False,
) -> dict[str, Variable]:
    return {"variable": Variable(name=name, parse=parse, default=default, required=required, secret=secret)}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """What the administrator chose; neither its `repr` nor `public()` shows a secret."""

    tenant_id: str = field(
        metadata=_from("TENANT_ID", _tenant, required="the directory (tenant) ID of the app registration in Entra ID")
    )
    client_id: str = field(
        metadata=_from("CLIENT_ID", _word, required="the application (client) ID of the app registration in Entra ID")
    )
    cert_path: Path = field(metadata=_from("CERT_PATH", Path, required="the path of the certificate"))
    key_path: Path = field(metadata=_from("KEY_PATH", Path, required="the path of the certificate's private key"))
    key_passphrase: str | None = field(metadata=_from("KEY_PASSPHRASE", str, secret=True))
    authority: str = field(metadata=_from("AUTHORITY", _authority, _PUBLIC_CLOUD))
    graph_scope: str = field(metadata=_from("GRAPH_SCOPE", _scope, "https://graph.microsoft.com/.default"))
    graph_base_url: str = field(metadata=_from("GRAPH_BASE_URL", _https, "https://graph.microsoft.com/v1.0"))
    site_path: SitePath | None = field(
        metadata=_from("SITE_PATH", parse_site, required="the site, like contoso.sharepoint.com:/sites/team")
    )
    document_library: str | None = field(metadata=_from("DOCUMENT_LIBRARY", parse_library))
    webhook_secret: str = field(
        metadata=_from("WEBHOOK_SECRET", _token, required="a secret, made with `openssl rand -hex 32`", secret=True)
    )
    webhook_secret_previous: str | None = field(metadata=_from("WEBHOOK_SECRET_PREVIOUS", _token, secret=True))
    minio_endpoint: Endpoint = field(metadata=_from("MINIO_ENDPOINT", _endpoint, "http://minio:9000"))
    minio_access_key: str = field(
        metadata=_from("MINIO_ACCESS_KEY", str, required="the name of a MinIO user who may read", secret=True)
    )
    minio_secret_key: str = field(
        metadata=_from("MINIO_SECRET_KEY", str, required="the password of that MinIO user", secret=True)
    )
    minio_region: str = field(metadata=_from("MINIO_REGION", _region, "us-east-1"))
    minio_buckets: tuple[str, ...] = field(metadata=_from("MINIO_BUCKETS", _buckets, "lycee"))
    allowed_prefixes: str = field(
        metadata=_from("ALLOWED_PREFIXES", str, required="what to mirror, like bts-sio/,archives/2024/, or * for all")
    )
    bucket_as_folder: bool = field(metadata=_from("BUCKET_AS_FOLDER", _switch, "false"))
    data_dir: Path = field(metadata=_from("DATA_DIR", Path, "/data"))
    upload_workers: int = field(metadata=_from("UPLOAD_WORKERS", _whole(1, 64), "32"))
    large_uploads: int = field(metadata=_from("LARGE_UPLOADS", _whole(1, 63), "8"))
    chunk_bytes: int | None = field(metadata=_from("CHUNK_MIB", _fragment_bytes))
    delete_grace_seconds: float = field(metadata=_from("DELETE_GRACE_SECONDS", _number(0, 3600), "2"))
    reconcile_hours: float = field(metadata=_from("RECONCILE_HOURS", _number(0, 8760), "24"))
    metadata_columns: tuple[tuple[str, str], ...] = field(metadata=_from("METADATA_COLUMNS", _columns, ""))
    routes_file: Path | None = field(metadata=_from("ROUTES_FILE", Path))
    bandwidth_limit_mbit: float = field(metadata=_from("BANDWIDTH_LIMIT_MBIT", _number(0, 100_000), "0"))
    bandwidth_schedule: str | None = field(metadata=_from("BANDWIDTH_SCHEDULE", _schedule))
    sync_wait_seconds: float = field(metadata=_from("SYNC_WAIT_SECONDS", _number(0, 55), "25"))
    sync_max_lag_seconds: float = field(metadata=_from("SYNC_MAX_LAG_SECONDS", _number(0, 3600), "5"))
    max_attempts: int = field(metadata=_from("MAX_ATTEMPTS", _whole(1, 1000), "12"))
    max_delete_percent: float = field(metadata=_from("MAX_DELETE_PERCENT", _number(0, 100), "10"))
    kafka_brokers: tuple[str, ...] = field(metadata=_from("KAFKA_BROKERS", _brokers, ""))
    kafka_topic: str = field(metadata=_from("KAFKA_TOPIC", _topic, "minio-events"))
    kafka_dead_letter_topic: str | None = field(metadata=_from("KAFKA_DEAD_LETTER_TOPIC", _topic))
    kafka_group: str = field(metadata=_from("KAFKA_GROUP", str, "sharepoint-proxy"))
    kafka_session_seconds: int = field(metadata=_from("KAFKA_SESSION_SECONDS", _whole(1, 300), "10"))
    kafka_security_protocol: str = field(metadata=_from("KAFKA_SECURITY_PROTOCOL", _security_protocol, "PLAINTEXT"))
    kafka_sasl_mechanism: str | None = field(metadata=_from("KAFKA_SASL_MECHANISM", _sasl_mechanism))
    kafka_sasl_username: str | None = field(metadata=_from("KAFKA_SASL_USERNAME", str))
    kafka_sasl_password: str | None = field(metadata=_from("KAFKA_SASL_PASSWORD", str, secret=True))
    kafka_ca_path: Path | None = field(metadata=_from("KAFKA_CA_PATH", Path))
    kafka_cert_path: Path | None = field(metadata=_from("KAFKA_CERT_PATH", Path))
    kafka_key_path: Path | None = field(metadata=_from("KAFKA_KEY_PATH", Path))
    admin_password: str | None = field(metadata=_from("ADMIN_PASSWORD", str, secret=True))
    log_level: str = field(metadata=_from("LOG_LEVEL", _log_level, "info"))
    port: int = field(metadata=_from("PORT", _whole(1, 65535), "8080"))

    @property
    def known_authority(self) -> bool:
        """True if Microsoft runs the authority, so that MSAL may ask Microsoft about it (instance discovery)."""
        return urlsplit(self.authority).hostname in _MICROSOFT_HOSTS

    def public(self) -> dict[str, object]:
        """The values in effect, fit for JSON and for a log: a secret that is set shows as "***"."""
        return {name: _shown(variable, getattr(self, name)) for name, variable in VARIABLES.items()}

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.public().items())})"


VARIABLES: dict[str, Variable] = {item.name: item.metadata["variable"] for item in fields(Settings)}
"""How each field of `Settings` is read, by the field's name."""


def _shown(variable: Variable, value: object) -> object:
    if variable.secret and value is not None:
        return "***"
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, bool | int | float) else str(value)
