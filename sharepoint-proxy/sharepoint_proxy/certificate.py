"""The certificate by which Entra ID knows the proxy, and its private key: read from files, and checked before they are used.

Administrators get these files in many ways, so PEM and DER are taken whatever a file's name, text or a chain around the
certificate does no harm, and one PEM file may hold both. All that is wrong is reported at once, with the command that helps.
"""

import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import Self, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    pkcs7,
)

from sharepoint_proxy.errors import ConfigError

T = TypeVar("T")

_log = logging.getLogger(__name__)

_MIN_RSA_BITS = 2048
_MAX_FILE_BYTES = 1024 * 1024
_PEM_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# A sequence that begins with the number 3 (RFC 7292, section 4); keys begin with 0 or 1, certificates with a sequence.
_PFX = re.compile(rb"0(?:[\x00-\x80]|\x81.|\x82..|\x83...|\x84....)\x02\x01\x03", re.DOTALL)
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)


class _Kind(Enum):
    """What a file holds."""

    CERTIFICATE = auto()
    REQUEST = auto()
    PRIVATE_KEY = auto()
    PUBLIC_KEY = auto()
    PKCS7 = auto()
    PFX = auto()
    UNKNOWN = auto()


_LABELS = (
    ("PRIVATE KEY", _Kind.PRIVATE_KEY),
    ("CERTIFICATE", _Kind.CERTIFICATE),
    ("CERTIFICATE REQUEST", _Kind.REQUEST),
    ("PUBLIC KEY", _Kind.PUBLIC_KEY),
    ("PKCS7", _Kind.PKCS7),
)
_DER_LOADERS: tuple[tuple[Callable[[bytes], object], _Kind], ...] = (
    (x509.load_der_x509_certificate, _Kind.CERTIFICATE),
    (x509.load_der_x509_csr, _Kind.REQUEST),
    (load_der_public_key, _Kind.PUBLIC_KEY),
    (pkcs7.load_der_pkcs7_certificates, _Kind.PKCS7),
)
_NO_CERTIFICATE = {
    _Kind.CERTIFICATE: "holds a damaged certificate: copy or export it again, from its BEGIN to its END line",
    _Kind.REQUEST: "holds a certificate signing request: name the certificate that was made from it",
    _Kind.PRIVATE_KEY: "holds a private key only: name the certificate that belongs to it",
    _Kind.PUBLIC_KEY: "holds a public key only: name the certificate that contains it",
    _Kind.PKCS7: "holds a PKCS#7 bundle: convert it with `openssl pkcs7 -print_certs -in app.p7b -out app.cer`"
    " (with `-inform DER` if that fails)",
    _Kind.PFX: "is a PFX (PKCS#12) file: convert it with `openssl pkcs12 -in app.pfx -clcerts -nokeys -out app.cer`",
    _Kind.UNKNOWN: "is not a certificate: name a .cer, .crt or .pem file in PEM or DER form",
}
_NO_KEY = {
    _Kind.CERTIFICATE: "holds a certificate and no key: name the private key that belongs to it",
    _Kind.REQUEST: "holds a certificate signing request: name the private key that it was made with",
    _Kind.PRIVATE_KEY: "holds a damaged private key, or one of an unknown kind: copy it again, or convert it with"
    " `openssl pkey -in old.key -out app.key`",
    _Kind.PUBLIC_KEY: "holds a public key: name the private key that belongs to it",
    _Kind.PKCS7: "holds certificates and no key: name the private key",
    _Kind.PFX: "is a PFX (PKCS#12) file: convert it with `openssl pkcs12 -in app.pfx -nocerts -nodes -out app.key`",
    _Kind.UNKNOWN: "is not a private key: name a PKCS#8 file in PEM or DER form",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate and the key that belongs to it, as MSAL takes them; `private_key_pem` is unencrypted PKCS#8."""

    certificate_pem: str = field(repr=False)
    private_key_pem: str = field(repr=False)
    thumbprint_sha256: str
    thumbprint_sha1: str
    not_before: datetime
    not_after: datetime


def load(certificate_path: Path, key_path: Path, *, passphrase: str | None, now: datetime) -> Credential:
    """The credential in two files, which may be one and the same.

    Raises ConfigError with every problem. A PASSPHRASE for a key that has none is ignored. NOW is a time with a zone.
    """
    return _joined(*_read(certificate_path, key_path), passphrase=passphrase, now=now)


def _read(certificate_path: Path, key_path: Path) -> tuple["_File", "_File"]:
    return _File.read("CERT_PATH", certificate_path), _File.read("KEY_PATH", key_path)


def _joined(certificate_file: "_File", key_file: "_File", *, passphrase: str | None, now: datetime) -> Credential:
    problems: list[str] = []
    certificates: list[x509.Certificate] = []
    key: RSAPrivateKey | None = None
    with _noted(problems):
        certificates = _certificates(certificate_file.proved())
    with _noted(problems):
        key = _private_key(key_file.proved(), passphrase)

    matching = [certificate for certificate in certificates if key is not None and _belong(certificate, key)]
    if certificates and key is not None and not matching:
        problems.append(
            f"The key in {key_file.label} does not belong to the certificate in {certificate_file.label}:"
            " name the two that were made together."
        )
    problems += [problem for certificate in (matching or certificates)[:1] for problem in _outdated(certificate, now)]
    if problems or key is None:
        raise ConfigError(problems)
    return _credential(matching[0], key)


class CertificateFiles:
    """The credential in two files, which may be replaced at any time; for any number of threads.

    Files that cannot be used, half written perhaps or not made together, are refused with one line in the log, and what was read
    before stays in use. Files that hold what they held are not proved again. CLOCK gives the time of day. Raises ConfigError, as
    `load` does, when there is nothing to begin with.
    """

    def __init__(
        self,
        certificate_path: Path,
        key_path: Path,
        *,
        passphrase: str | None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._certificate_path = certificate_path
        self._key_path = key_path
        self._passphrase = passphrase
        self._clock = clock
        self._reading = threading.Lock()
        self._refusal: tuple[str, ...] = ()
        self._files: tuple[_File, _File] | None = None
        self._credential = self._load()

    @property
    def credential(self) -> Credential:
        """The one in use."""
        return self._credential

    def renewed(self) -> Credential:
        """The one in the files, in use from now on; while they hold none that can be used, the one before."""
        with self._reading:
            try:
                self._take(self._load())
            except ConfigError as error:
                self._refuse(error.problems)
            return self._credential

    def problems(self) -> list[str]:
        """Why nobody can sign in any more: nothing, unless the one in use has expired and the files hold no other."""
        if self._has_expired():
            self.renewed()
        if not self._has_expired():
            return []
        return list(dict.fromkeys([_expired(self._credential.not_after), *self._refusal]))

    def _load(self) -> Credential:
        files, now = _read(self._certificate_path, self._key_path), self._clock()
        # The proof of an RSA key takes longer than all else here, and the metrics ask often.
        if files == self._files and self._credential.not_before <= now <= self._credential.not_after:
            return self._credential
        found = _joined(*files, passphrase=self._passphrase, now=now)
        self._files = files
        return found

    def _has_expired(self) -> bool:
        return self._clock() > self._credential.not_after

    def _take(self, found: Credential) -> None:
        if found.thumbprint_sha256 != self._credential.thumbprint_sha256:
            reason = f"The certificate was replaced; the new one ends on {found.not_after:%Y-%m-%d}."
            _log.info("certificate", extra={"reason": reason, "certificate_sha256": found.thumbprint_sha256})
        self._credential, self._refusal = found, ()

    def _refuse(self, problems: tuple[str, ...]) -> None:
        if problems != self._refusal:
            goes_on = () if self._has_expired() else ("The certificate that was read before stays in use.",)
            _log.error("certificate", extra={"reason": " ".join((*problems, *goes_on))})
        self._refusal = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One of the two files, `label` being how a sentence about it begins; `problem` says why nothing was read."""

    label: str
    data: bytes = field(default=b"", repr=False)
    problem: str = ""

    @classmethod
    def read(cls, variable: str, path: Path) -> "_File":
        """The file at PATH, which VARIABLE names."""
        label = f"{variable} {path}"
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_FILE_BYTES)
        except OSError as error:
            return cls(label=label, problem=f"{label} {_why_not_read(error, path)}.")
        if not data.strip():
            return cls(label=label, problem=f"{label} is empty: copy the file again.")
        # PowerShell's ">" writes UTF-16.
        return cls(label=label, data=data.decode("utf-16", "ignore").encode() if data[:2] in _UTF16_MARKS else data)

    def proved(self) -> Self:
        """Itself; raises ConfigError when nothing was read."""
        if self.problem:
            raise ConfigError([self.problem])
        return self

    def blocks(self, ending: str) -> list[bytes]:
        """The PEM blocks whose label ends so."""
        return [match[0] for match in _PEM_BLOCK.finditer(self.data) if match[1].decode().endswith(ending)]

    def kind(self) -> _Kind:
        """What the file seems to hold, or did before its end was lost."""
        labels = [match[1].decode() for match in _PEM_BEGIN.finditer(self.data)]
        for ending, kind in _LABELS:
            if any(label.endswith(ending) for label in labels):
                return kind
        if _PFX.match(self.data):
            return _Kind.PFX
        return next(
            (kind for load_der, kind in _DER_LOADERS if _tried(load_der, self.data) is not None), self._der_key()
        )

    def _der_key(self) -> _Kind:
        try:
            load_der_private_key(self.data, None)
        except TypeError:
            return _Kind.PRIVATE_KEY
        except _UNREADABLE:
            return _Kind.UNKNOWN
        return _Kind.PRIVATE_KEY


def _why_not_read(error: OSError, path: Path) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist: put the file there or correct the path, which in a container is the path inside it"
    if isinstance(error, IsADirectoryError):
        return "is a folder (Docker makes one where a file to mount is missing): remove it, and put the file there"
    if not isinstance(error, PermissionError):
        return f"cannot be read ({error.strerror}): correct the path"
    uid = os.geteuid()
    try:
        owner = path.stat()
    except OSError:
        return f"cannot be reached by uid {uid}: run `chmod a+x` on the folders above it"
    return (
        f"cannot be read by uid {uid} (it belongs to uid {owner.st_uid}, with mode {owner.st_mode & 0o7777:04o}): run"
        f" `chown {uid} {path}` and `chmod 400 {path}`, on the Docker host if it is mounted from there"
    )


def _certificates(file: _File) -> list[x509.Certificate]:
    loaded = [_tried(x509.load_pem_x509_certificate, block) for block in file.blocks("CERTIFICATE")]
    loaded = loaded or [_tried(x509.load_der_x509_certificate, file.data)]
    if certificates := [certificate for certificate in loaded if certificate is not None]:
        return certificates
    raise ConfigError([f"{file.label} {_NO_CERTIFICATE[file.kind()]}."])


def _private_key(file: _File, passphrase: str | None) -> RSAPrivateKey:
    try:
        key = _any_key(file, None)
    except TypeError:
        key = _encrypted_key(file, passphrase)
    except _UNREADABLE:
        raise ConfigError([f"{file.label} {_NO_KEY[file.kind()]}."]) from None
    if not isinstance(key, RSAPrivateKey):
        raise ConfigError(
            [f"{file.label} is not an RSA key: Entra ID takes no other, so make a new key and certificate."]
        )
    if key.key_size < _MIN_RSA_BITS:
        raise ConfigError(
            [f"{file.label} has {key.key_size} bits: make a new key and certificate with at least {_MIN_RSA_BITS}."]
        )
    return key


def _any_key(file: _File, password: bytes | None) -> PrivateKeyTypes:
    """The key; TypeError if it is encrypted and PASSWORD is None, one of _UNREADABLE if it cannot be read."""
    if blocks := file.blocks("PRIVATE KEY"):
        return load_pem_private_key(blocks[0], password)
    return load_der_private_key(file.data, password)


def _encrypted_key(file: _File, passphrase: str | None) -> PrivateKeyTypes:
    if passphrase is None:
        raise ConfigError([f"{file.label} is encrypted: give its passphrase in KEY_PASSPHRASE or KEY_PASSPHRASE_FILE."])
    try:
        return _any_key(file, passphrase.encode())
    except _UNREADABLE:
        raise ConfigError(
            [f"{file.label} is not opened by KEY_PASSPHRASE: give the passphrase that this key was encrypted with."]
        ) from None


def _belong(certificate: x509.Certificate, key: RSAPrivateKey) -> bool:
    return _tried(x509.Certificate.public_key, certificate) == key.public_key()


def _outdated(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        yield f"The certificate is not valid before {begin:%Y-%m-%d %H:%M} UTC: check this machine's clock, or wait."
    if now > end:
        yield _expired(end)


def _expired(end: datetime) -> str:
    return (
        f"The certificate expired on {end:%Y-%m-%d %H:%M} UTC: make a new one, register it in Entra ID, and put it"
        " and its key in the place of the old ones."
    )


def _credential(certificate: x509.Certificate, key: RSAPrivateKey) -> Credential:
    return Credential(
        certificate_pem=certificate.public_bytes(Encoding.PEM).decode(),
        private_key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        thumbprint_sha256=certificate.fingerprint(hashes.SHA256()).hex().upper(),
        thumbprint_sha1=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - a name, not a signature
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _tried(load_it: Callable[..., T], source: object) -> T | None:
    try:
        return load_it(source)
    except _UNREADABLE:
        return None


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Note the problems of the block and go on after it."""
    try:
        yield
    except ConfigError as error:
        problems.extend(error.problems)
