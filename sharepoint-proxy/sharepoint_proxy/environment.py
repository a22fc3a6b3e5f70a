"""The environment variables become `Settings`, in one pass that reports everything wrong with them, not the first thing only.

A value may stand in quotes (`docker run --env-file` leaves them in), and an empty one means unset (compose's `${NAME:-}`).
A secret may come from a file instead: the variable with `_FILE` added names it.
"""

import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sharepoint_proxy.settings import VARIABLES, Settings, Variable

_log = logging.getLogger(__name__)

# The root user of the MinIO server, who stands in if the proxy has no user of its own.
_ROOT_USER = {
    "MINIO_ACCESS_KEY": "MINIO_ROOT_USER",
    "MINIO_ACCESS_KEY_FILE": "MINIO_ROOT_USER_FILE",
    "MINIO_SECRET_KEY": "MINIO_ROOT_PASSWORD",
    "MINIO_SECRET_KEY_FILE": "MINIO_ROOT_PASSWORD_FILE",
}
_NEEDED_WITHOUT_ROUTES: dict[str, object] = {"SITE_PATH": None, "ALLOWED_PREFIXES": ""}
"""What ROUTES_FILE makes dispensable, and the values that stand for none."""

_REPLACED_BY_ROUTES = ("MINIO_BUCKETS", "ALLOWED_PREFIXES", "BUCKET_AS_FOLDER")
_OURS = {variable.name for variable in VARIABLES.values()}
_SECRETS = {variable.name for variable in VARIABLES.values() if variable.secret}
_KNOWN = (
    _OURS | {f"{name}_FILE" for name in _SECRETS} | {*_ROOT_USER.values(), "MINIO_IMAGE", "MC_IMAGE", "KAFKA_IMAGE"}
)

_WEBHOOK_FILES = ("WEBHOOK_SECRET_FILE", "WEBHOOK_SECRET_PREVIOUS_FILE")
_WORKERS_A_LARGE_UPLOAD = 4
_LOOK_EACH_SECONDS = 1.0
_SECRET_FILE_MAX_BYTES = 64 * 1024
_SHORT_SECRET_CHARACTERS = 16
_SHOWN_CHARACTERS = 120
# The secrets of .env.example begin with it.
_EXAMPLE_VALUE = "change-me"
# High enough to leave the variables of other programs alone, such as XDG_DATA_DIRS.
_SIMILARITY = 0.85
_NOT_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_GUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings, what forbids the start (they then hold stand-ins), and what an administrator should look at."""

    settings: Settings
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def read(environment: Mapping[str, str]) -> Reading:
    """What ENVIRONMENT asks for; a wrong value becomes a problem, nothing is raised, and no sentence holds a secret."""
    texts = {name: text for name, raw in environment.items() if (text := _cleaned(raw))}
    misspelt = _misspelt(texts)
    reader = _Reader(_with_root_user(texts))
    settings = Settings(**{name: reader.value(variable) for name, variable in VARIABLES.items()})
    settings = reader.with_free_worker(_with_tenant(settings))
    warnings = (*_warnings(reader.texts, settings), *misspelt)
    return Reading(settings=settings, problems=tuple(reader.problems), warnings=warnings)


class WebhookSecrets:
    """The secrets by which the webhook knows its senders; read anew when a file that holds one changes, so that no restart is needed.

    ENVIRONMENT is that of `read`; CLOCK is monotonic, in seconds. The files are looked at once a second at most.
    """

    def __init__(self, environment: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._environment = environment
        self._files = [Path(_cleaned(environment[name])) for name in _WEBHOOK_FILES if environment.get(name)]
        self._clock = clock
        self._seen: object = None
        self._looked_at = float("-inf")
        self._secrets: tuple[str, ...] = ()
        # While one thread looks, the others go by what was seen before, which must not be nothing.
        self._look()

    def __call__(self) -> tuple[str, ...]:
        """The present secret and, while one is set, the previous one."""
        now = self._clock()
        if now - self._looked_at >= _LOOK_EACH_SECONDS:
            self._looked_at = now
            self._look()
        return self._secrets

    def _look(self) -> None:
        seen = [_fingerprint(path) for path in self._files]
        if seen == self._seen:
            return
        reading = read(self._environment)
        names = tuple(problem for problem in reading.problems if problem.startswith("WEBHOOK_SECRET"))
        if names and self._secrets:
            # Half-written, perhaps: the old ones do until it can be read.
            _log.error("configuration", extra={"reason": " ".join(names)})
            return
        self._seen = seen
        settings = reading.settings
        self._secrets = tuple(filter(None, (settings.webhook_secret, settings.webhook_secret_previous)))


def _fingerprint(path: Path) -> object:
    """What changes when the file is written or replaced."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one variable after the other; what is wrong with one is noted, and its stand-in returned."""

    texts: dict[str, str]
    problems: list[str] = field(default_factory=list)

    def value(self, variable: Variable) -> Any:
        """The variable's value, else its stand-in."""
        try:
            self._take_from_file(variable)
        except ValueError as error:
            self.problems.append(f"{error}.")
            return variable.stand_in
        text = self.texts.get(variable.name)
        if text is None and "ROUTES_FILE" in self.texts and variable.name in _NEEDED_WITHOUT_ROUTES:
            return _NEEDED_WITHOUT_ROUTES[variable.name]
        if text is None and variable.required:
            self.problems.append(f"{variable.name} is not set: give {variable.required}.")
        return variable.stand_in if text is None else self._parsed(variable, text)

    def _take_from_file(self, variable: Variable) -> None:
        name = f"{variable.name}_FILE"
        if not variable.secret or name not in self.texts:
            return
        if variable.name in self.texts:
            raise ValueError(f"{variable.name} and {name} are both set: keep one of them")
        self.texts[variable.name] = _secret_in_file(name, self.texts[name])

    def _parsed(self, variable: Variable, text: str) -> object:
        try:
            return variable.parse(_one_line(text))
        except ValueError as error:
            shown = "cannot be used" if variable.secret else f"is {_quoted(text)}"
            self.problems.append(f"{variable.name} {shown}: {error}.")
            # One sentence is enough: from here on the variable counts as not given.
            del self.texts[variable.name]
            return variable.stand_in

    def with_free_worker(self, settings: Settings) -> Settings:
        """SETTINGS with workers left for small files while all large uploads run: three quarters, or at least one where that was chosen."""
        if "LARGE_UPLOADS" not in self.texts:
            return replace(settings, large_uploads=max(1, settings.upload_workers // _WORKERS_A_LARGE_UPLOAD))
        most = max(1, settings.upload_workers - 1)
        if settings.large_uploads > most:
            self.problems.append(
                f"LARGE_UPLOADS is {settings.large_uploads}: with {settings.upload_workers} UPLOAD_WORKERS it must be"
                f" at most {most}, so that small files always find a free worker."
            )
        return replace(settings, large_uploads=min(settings.large_uploads, most))


def _cleaned(text: str) -> str:
    """TEXT without surrounding white space and without one pair of quotes."""
    text = text.strip()
    quoted = re.fullmatch(r"""(["'])(.*)\1""", text, re.DOTALL)
    return quoted[2].strip() if quoted else text


def _one_line(text: str) -> str:
    if _NOT_TEXT.search(text):
        raise ValueError("it must be one line of UTF-8 text, without control characters")
    return text


def _quoted(text: str) -> str:
    """TEXT for a sentence, without the credentials that a pasted URL may hold."""
    text = re.sub(r"^(\w+://)?.*@", r"\1***@", text, flags=re.DOTALL)
    text = re.sub(r"\?.+", "?...", text, flags=re.DOTALL)
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")


def _secret_in_file(name: str, path: str) -> str:
    # Whoever gives the secret itself here by mistake shall not find it in the log.
    if not path.startswith("/"):
        raise ValueError(f"{name} must be an absolute path, like /run/secrets/{name.removesuffix('_FILE').lower()}")
    try:
        with Path(path).open("rb") as file:
            secret = file.read(_SECRET_FILE_MAX_BYTES).decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        uid = os.geteuid()
        advice = f"run `chown {uid}` on it" if isinstance(error, PermissionError) else "correct the path or the mount"
        raise ValueError(f"{name} {path!r} cannot be read by uid {uid} ({error.strerror}): {advice}") from None
    except ValueError:
        raise ValueError(
            f"{name} {path!r} does not hold UTF-8 text: write the secret into it, and nothing else"
        ) from None
    if not secret:
        raise ValueError(f"{name} {path!r} is empty: write the secret into it")
    return secret


def _with_root_user(texts: dict[str, str]) -> dict[str, str]:
    """TEXTS, with MinIO's root user in the place of the proxy's own if that one is not named at all."""
    if any(name in texts for name in _ROOT_USER):
        return dict(texts)
    return texts | {name: texts[root] for name, root in _ROOT_USER.items() if root in texts}


def _with_tenant(settings: Settings) -> Settings:
    if urlsplit(settings.authority).path:
        return settings
    return replace(settings, authority=f"{settings.authority}/{settings.tenant_id}")


def _warnings(texts: Mapping[str, str], settings: Settings) -> Iterator[str]:
    yield from _weak_secrets({name: texts[name] for name in sorted(_SECRETS) if name in texts})
    own = [name for name in ("MINIO_ACCESS_KEY", "MINIO_ACCESS_KEY_FILE") if name in texts]
    if any(texts[name] == texts.get(_ROOT_USER[name]) for name in own):
        yield "MinIO's root user is used: a user who can only read is safer, in MINIO_ACCESS_KEY and MINIO_SECRET_KEY."
    if "://" not in texts.get("MINIO_ENDPOINT", "://"):
        yield f"MINIO_ENDPOINT names no protocol: {settings.minio_endpoint} is used."
    if "CLIENT_ID" in texts and not _GUID.fullmatch(texts["CLIENT_ID"]):
        yield "CLIENT_ID does not look like an application ID, which is a GUID."
    if not settings.authority.lower().endswith(f"/{settings.tenant_id.lower()}"):
        yield "AUTHORITY ends with another tenant than TENANT_ID: that of AUTHORITY is asked for tokens."
    if not urlsplit(settings.graph_base_url).path:
        yield "GRAPH_BASE_URL has no version at its end, such as /v1.0."
    if settings.routes_file is not None:
        for name in filter(texts.__contains__, _REPLACED_BY_ROUTES):
            yield f"{name} is not used: ROUTES_FILE says what is mirrored, and where to."
    elif len(settings.minio_buckets) > 1 and not settings.bucket_as_folder:
        yield "MINIO_BUCKETS names several buckets that share one folder: with BUCKET_AS_FOLDER=true each has its own."


def _weak_secrets(secrets: Mapping[str, str]) -> Iterator[str]:
    for name, secret in secrets.items():
        if secret.startswith(_EXAMPLE_VALUE):
            yield f"{name} still has the value of .env.example, which everybody can read: choose another."
        elif name.startswith("WEBHOOK_SECRET") and len(secret) < _SHORT_SECRET_CHARACTERS:
            yield f"{name} has less than {_SHORT_SECRET_CHARACTERS} characters: make one with `openssl rand -hex 32`."


def _misspelt(names: Iterable[str]) -> list[str]:
    """A sentence for each of NAMES that is nearly one of ours."""
    return [
        f"{name!r} is not read: did you mean {near}?"
        for name in sorted(set(names) - _KNOWN)
        if (near := _nearest(name.upper().removeprefix("SHAREPOINT_")))
    ]


def _nearest(name: str) -> str | None:
    if (bare := name.removesuffix("_FILE")) in _OURS:
        return bare
    return next(iter(get_close_matches(name, _KNOWN, n=1, cutoff=_SIMILARITY)), None)
