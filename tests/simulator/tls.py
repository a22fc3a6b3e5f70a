"""Certificates for the simulator: an authority, a server certificate signed by it, and certificates of applications.

Key material is made once per process, because RSA keys are slow to make; each simulator writes it to its own folder.
"""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = dt.timedelta(days=90)
_BEGAN_BEFORE = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """The key as unencrypted PKCS#8 PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@cache
def authority() -> Issued:
    """The certificate authority of this process."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Simulator CA")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return Issued(builder.sign(key, hashes.SHA256()), key)


@cache
def server(public_name: str) -> Issued:
    """A server certificate for PUBLIC_NAME, localhost and the loopback addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority()
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in sorted({public_name, "localhost"})]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(issuer))
    builder = (
        _builder(_name(public_name), issuer.certificate.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer_key, critical=False)
    )
    return Issued(builder.sign(issuer.key, hashes.SHA256()), key)


@cache
def application(name: str = "sharepoint-proxy") -> Issued:
    """A self-signed RSA certificate as `openssl req -x509` makes it for an app registration; one per NAME."""
    return issue(name, lifetime=_LIFETIME)


def issue(name: str, *, lifetime: dt.timedelta, begins_in: dt.timedelta = -_BEGAN_BEFORE) -> Issued:
    """Such a certificate, a new one each time with a key of its own, that ends when LIFETIME is over from now on."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    builder = _builder(_name(name), _name(name), key.public_key(), lifetime=lifetime, begins_in=begins_in)
    return Issued(builder.sign(key, hashes.SHA256()), key)


@dataclass(frozen=True, slots=True)
class Files:
    """Where a simulator's certificates lie."""

    ca: Path
    app_certificate: Path
    app_key: Path


def write_files(folder: Path) -> Files:
    """Write the authority (ca.pem) and the registered application (app.pem, app.key) into FOLDER."""
    files = Files(folder / "ca.pem", folder / "app.pem", folder / "app.key")
    files.ca.write_bytes(authority().certificate_pem())
    files.app_certificate.write_bytes(application().certificate_pem())
    files.app_key.touch(mode=0o600)
    files.app_key.write_bytes(application().key_pem())
    return files


def server_context(public_name: str, folder: Path) -> ssl.SSLContext:
    """The TLS side of a listener known as PUBLIC_NAME; FOLDER holds its key for a moment, as `ssl` reads only files."""
    issued = server(public_name)
    both = folder / "server.pem"
    both.touch(mode=0o600)
    both.write_bytes(issued.key_pem() + issued.certificate_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    both.unlink()
    return context


def _public(issued: Issued) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
    return issued.key.public_key()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    *,
    lifetime: dt.timedelta = _LIFETIME,
    begins_in: dt.timedelta = -_BEGAN_BEFORE,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins_in)
        .not_valid_after(now + lifetime)
    )
