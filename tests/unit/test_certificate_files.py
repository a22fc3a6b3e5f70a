"""Files that are replaced at any time, and asked for often: proved when they change, judged by the clock always."""

import logging
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from unit.certificates import CERTIFICATE_PEM, KEY_PEM, NOW, OTHER_KEY, certificate_for, key_bytes

from sharepoint_proxy.certificate import CertificateFiles

LATER = timedelta(days=2)
"""When the certificate has ended."""


class Clock:
    """A time of day that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, clock: Clock) -> CertificateFiles:
    """A good pair in the test's folder."""
    (tmp_path / "app.cer").write_bytes(CERTIFICATE_PEM)
    (tmp_path / "app.key").write_bytes(KEY_PEM)
    return CertificateFiles(tmp_path / "app.cer", tmp_path / "app.key", passphrase=None, clock=clock)


def refusals(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.levelno == logging.ERROR for record in caplog.records)


def test_files_that_did_not_change_are_not_proved_again(files: CertificateFiles, tmp_path: Path) -> None:
    """Also when they were written anew with what they held."""
    before = files.credential
    (tmp_path / "app.key").write_bytes(KEY_PEM)

    assert files.renewed() is before


def test_the_end_of_files_that_did_not_change_is_seen(
    files: CertificateFiles, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused once in the log, and taken again when the clock was wrong."""
    files.renewed()
    clock.now += LATER
    for _ in range(2):
        files.renewed()
    assert refusals(caplog) == 1
    assert "expired" in files.problems()[0]

    clock.now -= LATER
    files.renewed()
    assert files.problems() == []


def test_files_that_are_as_before_again_end_a_refusal(
    files: CertificateFiles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """So that the same mistake, made once more, is told once more."""
    before = files.credential
    for _ in range(2):
        (tmp_path / "app.key").write_bytes(b"half")
        assert files.renewed() is files.renewed() is before
        (tmp_path / "app.key").write_bytes(KEY_PEM)
        assert files.renewed() is before

    assert refusals(caplog) == 2


def test_files_that_changed_are_taken(files: CertificateFiles, tmp_path: Path) -> None:
    """The certificate of another key only with that key."""
    before = files.credential
    (tmp_path / "app.cer").write_bytes(certificate_for(OTHER_KEY).public_bytes(Encoding.PEM))
    assert files.renewed() is before
    (tmp_path / "app.key").write_bytes(key_bytes(key=OTHER_KEY))

    assert files.renewed().thumbprint_sha256 != before.thumbprint_sha256
    assert files.credential is files.renewed()
