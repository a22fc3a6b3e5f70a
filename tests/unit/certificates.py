"""Keys and certificates in all the forms that certificate files come in."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
PASSPHRASE = "korrekt-pferd"
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sharepoint-proxy")])
KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)


def certificate_for(
    key: rsa.RSAPrivateKey, *, begin: datetime = NOW - timedelta(days=1), end: datetime = NOW + timedelta(days=1)
) -> x509.Certificate:
    """A self-signed certificate, valid for a day on each side of NOW."""
    builder = x509.CertificateBuilder(
        issuer_name=NAME,
        subject_name=NAME,
        public_key=key.public_key(),
        serial_number=7,
        not_valid_before=begin,
        not_valid_after=end,
    )
    return builder.sign(key, hashes.SHA256())


CERTIFICATE = certificate_for(KEY)
CERTIFICATE_PEM = CERTIFICATE.public_bytes(Encoding.PEM)
CERTIFICATE_DER = CERTIFICATE.public_bytes(Encoding.DER)


def key_bytes(
    encoding: Encoding = Encoding.PEM,
    form: PrivateFormat = PrivateFormat.PKCS8,
    *,
    key: rsa.RSAPrivateKey = KEY,
    passphrase: str | None = None,
) -> bytes:
    """KEY in a file's form."""
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase:
        encryption = BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(encoding, form, encryption)


KEY_PEM = key_bytes()
REQUEST = x509.CertificateSigningRequestBuilder(subject_name=NAME).sign(KEY, hashes.SHA256())
PUBLIC_KEY = KEY.public_key()
PFX = pkcs12.serialize_key_and_certificates(b"x", KEY, CERTIFICATE, None, BestAvailableEncryption(b"secret"))
PFX_WITHOUT_PASSWORD = pkcs12.serialize_key_and_certificates(b"x", KEY, CERTIFICATE, None, NoEncryption())
