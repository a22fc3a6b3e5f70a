"""The credential is read from whatever form an administrator has, and everything wrong with it is said at once."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.certificates import (
    CERTIFICATE,
    CERTIFICATE_DER,
    CERTIFICATE_PEM,
    KEY,
    KEY_PEM,
    NOW,
    OTHER_KEY,
    PASSPHRASE,
    PFX,
    PFX_WITHOUT_PASSWORD,
    PUBLIC_KEY,
    REQUEST,
    certificate_for,
    key_bytes,
)

from sharepoint_proxy.certificate import Credential, load
from sharepoint_proxy.errors import ConfigError

ROOT = Path(__file__).parents[2]
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good pair of files, of which a test replaces one."""
    (tmp_path / "app.cer").write_bytes(CERTIFICATE_PEM)
    (tmp_path / "app.key").write_bytes(KEY_PEM)
    return tmp_path


def load_from(folder: Path, passphrase: str | None = None, now: datetime = NOW) -> Credential:
    return load(folder / "app.cer", folder / "app.key", passphrase=passphrase, now=now)


def problems_of(folder: Path, passphrase: str | None = None, now: datetime = NOW) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_from(folder, passphrase, now)
    return list(caught.value.problems)


def only_problem_of(folder: Path, passphrase: str | None = None, now: datetime = NOW) -> str:
    (problem,) = problems_of(folder, passphrase, now)
    return problem


def test_it_reads_a_pair_of_pem_files(folder: Path) -> None:
    credential = load_from(folder)

    assert credential.certificate_pem.encode() == CERTIFICATE_PEM
    assert credential.private_key_pem.encode() == KEY_PEM
    assert credential.thumbprint_sha256 == CERTIFICATE.fingerprint(hashes.SHA256()).hex().upper()
    assert credential.thumbprint_sha1 == CERTIFICATE.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name
    assert credential.not_before == NOW - timedelta(days=1)
    assert credential.not_after == NOW + timedelta(days=1)


def test_it_never_shows_the_key_in_its_repr(folder: Path) -> None:
    assert "PRIVATE" not in repr(load_from(folder))


@pytest.mark.parametrize(
    "content",
    [
        CERTIFICATE_DER,
        b"Bag Attributes\n    friendlyName: app\nsubject=CN = app\r\n" + CERTIFICATE_PEM + b"\n\n",
        CERTIFICATE_PEM.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + CERTIFICATE_PEM,
        CERTIFICATE_PEM.decode().encode("utf-16"),
        KEY_PEM + CERTIFICATE_PEM,
        certificate_for(OTHER_KEY).public_bytes(Encoding.PEM) + CERTIFICATE_PEM,
        CERTIFICATE_PEM.replace(b"MII", b"!!!") + CERTIFICATE_PEM,
    ],
    ids=["DER", "text around", "CRLF", "UTF-8 mark", "UTF-16", "key first", "chain in odd order", "one damaged"],
)
def test_it_finds_the_certificate_that_belongs_to_the_key(folder: Path, content: bytes) -> None:
    (folder / "app.cer").write_bytes(content)

    assert load_from(folder).certificate_pem.encode() == CERTIFICATE_PEM


@pytest.mark.parametrize(
    "content",
    [
        key_bytes(Encoding.DER),
        key_bytes(form=PrivateFormat.TraditionalOpenSSL),
        key_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL),
        CERTIFICATE_PEM + KEY_PEM,
        b"Key Attributes: <No Attributes>\r\n" + KEY_PEM.replace(b"\n", b"\r\n"),
    ],
    ids=["DER", "traditional PEM", "traditional DER", "certificate first", "text around"],
)
@pytest.mark.parametrize("passphrase", [None, "not needed"])
def test_it_reads_an_unencrypted_key_in_any_form(folder: Path, content: bytes, passphrase: str | None) -> None:
    (folder / "app.key").write_bytes(content)

    assert load_from(folder, passphrase).private_key_pem.encode() == KEY_PEM


@pytest.mark.parametrize(
    "content",
    [
        key_bytes(passphrase=PASSPHRASE),
        key_bytes(Encoding.DER, passphrase=PASSPHRASE),
        key_bytes(form=PrivateFormat.TraditionalOpenSSL, passphrase=PASSPHRASE),
    ],
    ids=["PEM", "DER", "traditional PEM"],
)
def test_it_opens_an_encrypted_key_with_its_passphrase_only(folder: Path, content: bytes) -> None:
    (folder / "app.key").write_bytes(content)

    assert load_from(folder, PASSPHRASE).private_key_pem.encode() == KEY_PEM
    assert "give its passphrase in KEY_PASSPHRASE" in only_problem_of(folder)
    wrong = only_problem_of(folder, "falsches-pferd")
    assert "not opened by KEY_PASSPHRASE" in wrong
    assert "falsches-pferd" not in wrong


def test_it_reads_both_from_one_pem_file(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(KEY_PEM + CERTIFICATE_PEM)

    assert load(both, both, passphrase=None, now=NOW).certificate_pem.encode() == CERTIFICATE_PEM


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (KEY_PEM, "holds a private key only"),
        (key_bytes(Encoding.DER), "holds a private key only"),
        (key_bytes(Encoding.DER, passphrase=PASSPHRASE), "holds a private key only"),
        (REQUEST.public_bytes(Encoding.PEM), "certificate signing request"),
        (REQUEST.public_bytes(Encoding.DER), "certificate signing request"),
        (PUBLIC_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "a public key only"),
        (PUBLIC_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "a public key only"),
        (PFX, "openssl pkcs12 -in app.pfx -clcerts -nokeys"),
        (PFX_WITHOUT_PASSWORD, "openssl pkcs12 -in app.pfx -clcerts -nokeys"),
        (pkcs7.serialize_certificates([CERTIFICATE], Encoding.PEM), "openssl pkcs7 -print_certs"),
        (pkcs7.serialize_certificates([CERTIFICATE], Encoding.DER), "openssl pkcs7 -print_certs"),
        (CERTIFICATE_PEM.replace(b"MII", b"!!!"), "a damaged certificate"),
        (CERTIFICATE_PEM[:400], "a damaged certificate"),
        (CERTIFICATE_DER[:-1], "is not a certificate"),
        (CERTIFICATE_DER.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09"), "is not a certificate"),
        (b"<html>Sign in</html>", "is not a certificate"),
        (b"  \n", "is empty"),
    ],
)
def test_it_names_what_stands_in_the_place_of_the_certificate(folder: Path, content: bytes, words: str) -> None:
    (folder / "app.cer").write_bytes(content)

    problem = only_problem_of(folder)

    assert problem.startswith(f"CERT_PATH {folder / 'app.cer'} ")
    assert words in problem


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CERTIFICATE_PEM, "holds a certificate and no key"),
        (CERTIFICATE_DER, "holds a certificate and no key"),
        (REQUEST.public_bytes(Encoding.PEM), "certificate signing request"),
        (PUBLIC_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "holds a public key"),
        (PUBLIC_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), "holds a public key"),
        (PFX, "openssl pkcs12 -in app.pfx -nocerts -nodes"),
        (pkcs7.serialize_certificates([CERTIFICATE], Encoding.PEM), "holds certificates and no key"),
        (KEY_PEM.replace(b"MII", b"!!!"), "a damaged private key"),
        (KEY_PEM[:400], "a damaged private key"),
        (b"password123", "is not a private key"),
        (b"", "is empty"),
    ],
)
def test_it_names_what_stands_in_the_place_of_the_key(folder: Path, content: bytes, words: str) -> None:
    (folder / "app.key").write_bytes(content)

    problem = only_problem_of(folder)

    assert problem.startswith(f"KEY_PATH {folder / 'app.key'} ")
    assert words in problem
    assert "password123" not in problem


def test_it_refuses_a_key_that_is_not_rsa(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / "app.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    assert "is not an RSA key" in only_problem_of(folder)


def test_it_refuses_a_short_rsa_key(folder: Path) -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - short on purpose
    (folder / "app.key").write_bytes(key_bytes(key=short))

    assert "has 1024 bits" in only_problem_of(folder)


def test_it_refuses_a_key_of_another_certificate(folder: Path) -> None:
    (folder / "app.key").write_bytes(key_bytes(key=OTHER_KEY))

    assert "does not belong to the certificate" in only_problem_of(folder)


def test_it_says_when_a_certificate_expired(folder: Path) -> None:
    last_moment = CERTIFICATE.not_valid_after_utc

    assert load_from(folder, now=last_moment)
    assert "expired on 2026-06-02 12:00 UTC" in only_problem_of(folder, now=last_moment + timedelta(seconds=1))


def test_it_says_when_a_certificate_becomes_valid(folder: Path) -> None:
    first_moment = CERTIFICATE.not_valid_before_utc

    assert load_from(folder, now=first_moment)
    assert "not valid before 2026-05-31 12:00 UTC" in only_problem_of(folder, now=first_moment - timedelta(seconds=1))


@pytest.mark.parametrize("stranger_first", [True, False])
def test_it_looks_at_the_dates_of_the_keys_own_certificate_only(folder: Path, *, stranger_first: bool) -> None:
    expired = certificate_for(OTHER_KEY, begin=NOW - timedelta(days=9), end=NOW - timedelta(days=2))
    pair = [expired.public_bytes(Encoding.PEM), CERTIFICATE_PEM]
    (folder / "app.cer").write_bytes(b"".join(pair if stranger_first else reversed(pair)))

    assert load_from(folder).certificate_pem.encode() == CERTIFICATE_PEM


def test_of_two_certificates_for_one_key_the_first_is_used(folder: Path) -> None:
    expired = certificate_for(KEY, begin=NOW - timedelta(days=9), end=NOW - timedelta(days=2))
    (folder / "app.cer").write_bytes(CERTIFICATE_PEM + expired.public_bytes(Encoding.PEM))

    assert load_from(folder).certificate_pem.encode() == CERTIFICATE_PEM


def test_it_reports_the_problems_of_both_files_at_once(folder: Path) -> None:
    expired = certificate_for(KEY, begin=NOW - timedelta(days=9), end=NOW - timedelta(days=2))
    (folder / "app.cer").write_bytes(expired.public_bytes(Encoding.PEM))
    (folder / "app.key").write_bytes(key_bytes(passphrase=PASSPHRASE))

    key_problem, date_problem = problems_of(folder)

    assert "KEY_PASSPHRASE" in key_problem
    assert "expired" in date_problem


def test_it_reports_two_missing_files_at_once(tmp_path: Path) -> None:
    certificate_problem, key_problem = problems_of(tmp_path)

    assert certificate_problem.startswith(f"CERT_PATH {tmp_path / 'app.cer'} does not exist")
    assert key_problem.startswith(f"KEY_PATH {tmp_path / 'app.key'} does not exist")


def test_it_knows_the_folder_that_docker_makes_of_a_missing_file(folder: Path) -> None:
    (folder / "app.key").unlink()
    (folder / "app.key").mkdir()

    assert "is a folder (Docker makes one" in only_problem_of(folder)


def test_it_explains_a_path_that_leads_through_a_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"CERT_PATH .* cannot be read \(Not a directory\): correct the path"):
        load(folder / "app.key" / "app.cer", folder / "app.key", passphrase=None, now=NOW)


@pytest.fixture
def closed_key() -> Iterator[Path]:
    """A folder that every user can enter, unlike pytest's own; only root can read its key and enter its subfolder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "app.cer").write_bytes(CERTIFICATE_PEM)
        (folder / "app.key").write_bytes(KEY_PEM)
        (folder / "app.key").chmod(0o000)
        (folder / "closed").mkdir(mode=0o000)
        yield folder


def test_it_names_file_uid_mode_and_command_if_it_may_not_read(closed_key: Path, ordinary_uid: int) -> None:
    key = closed_key / "app.key"

    problem = only_problem_of(closed_key)

    assert f"KEY_PATH {key} cannot be read by uid {ordinary_uid}" in problem
    assert f"belongs to uid {key.stat().st_uid}, with mode 0000" in problem
    assert f"`chown {ordinary_uid} {key}` and `chmod 400 {key}`" in problem


def test_it_says_that_a_folder_is_closed(closed_key: Path, ordinary_uid: int) -> None:
    problems = problems_of(closed_key / "closed")

    assert [f"cannot be reached by uid {ordinary_uid}: run `chmod a+x`" in problem for problem in problems] == [
        True,
        True,
    ]


@given(
    certificate=st.binary() | st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=3)),
    key=st.binary() | st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=3)),
    passphrase=st.none() | st.text(),
)
@settings(deadline=None, max_examples=40)
def test_it_answers_any_bytes_with_a_credential_or_a_config_error(
    certificate: bytes | tuple[int, bytes], key: bytes | tuple[int, bytes], passphrase: str | None
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.cer").write_bytes(damaged(CERTIFICATE_DER, certificate))
        (folder / "app.key").write_bytes(damaged(key_bytes(Encoding.DER), key))

        with suppress(ConfigError):
            assert load_from(folder, passphrase).private_key_pem.startswith("-----BEGIN PRIVATE KEY-----")


def damaged(content: bytes, change: bytes | tuple[int, bytes]) -> bytes:
    """CHANGE itself, or CONTENT with some bytes at an offset replaced."""
    if isinstance(change, bytes):
        return change
    at, patch = change
    return content[:at] + patch + content[at + len(patch) :]


def openssl(command: str, folder: Path) -> None:
    subprocess.run(["sh", "-euc", command], cwd=folder, check=True, capture_output=True, timeout=60)


@needs_openssl
def test_its_advice_for_a_pfx_works(tmp_path: Path) -> None:
    (tmp_path / "app.pfx").write_bytes(PFX)
    (tmp_path / "app.cer").write_bytes(PFX)
    (tmp_path / "app.key").write_bytes(PFX)

    for problem in problems_of(tmp_path):
        (command,) = re.findall("`(.+?)`", problem)
        openssl(f"{command} -passin pass:secret", tmp_path)

    assert load_from(tmp_path).certificate_pem.encode() == CERTIFICATE_PEM


@needs_openssl
@pytest.mark.parametrize("command", ["pkcs8 -topk8 -v2 aes-256-cbc", "pkcs8 -topk8 -v1 PBE-SHA1-3DES", "rsa -aes256"])
def test_it_opens_the_keys_that_openssl_encrypts(folder: Path, command: str) -> None:
    openssl(f"openssl {command} -in app.key -out new.key -passout pass:{PASSPHRASE}; mv new.key app.key", folder)

    assert load_from(folder, PASSPHRASE).private_key_pem.encode() == KEY_PEM
