"""scripts/make-cert, run by a real shell with openssl in a folder laid out like the project."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from sharepoint_proxy import certificate

SCRIPT = Path(__file__).parents[2] / "scripts" / "make-cert"
CONTAINER_UID = 10001
NOBODY = 65534

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="this machine has no openssl")


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with the script and an empty certs/, which every user may enter."""

    root: Path

    def run(self, *arguments: str, path: str = os.environ["PATH"], user: int | None = None) -> tuple[int, str]:
        """The exit code of the script, and what it says."""
        done = subprocess.run(
            [shutil.which("sh") or "sh", self.root / "scripts" / "make-cert", *arguments],
            env={"PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            user=user,
        )
        return done.returncode, done.stdout

    def files(self) -> dict[str, bytes]:
        """What is in certs/, by name."""
        return {path.name: path.read_bytes() for path in (self.root / "certs").iterdir()}

    def pair(self, name: str = "app") -> certificate.Credential:
        """The pair as the service reads it."""
        certs = self.root / "certs"
        return certificate.load(certs / f"{name}.cer", certs / f"{name}.key", passphrase=None, now=datetime.now(UTC))

    def put_program(self, name: str, script: str) -> str:
        """A PATH that begins with a program of the test's own."""
        folder = self.root / "bin"
        folder.mkdir()
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"


@pytest.fixture
def project() -> Iterator[Project]:
    # Not in pytest's folder, which belongs to its user alone.
    with tempfile.TemporaryDirectory(prefix="make-cert-") as made:
        root = Path(made)
        for folder in (root, root / "scripts", root / "certs"):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        shutil.copy(SCRIPT, root / "scripts")
        yield Project(root)


def test_it_makes_a_pair_that_the_service_takes_for_two_years(project: Project) -> None:
    code, said = project.run()
    pair = project.pair()
    key = load_pem_private_key(project.files()["app.key"], None)

    assert code == 0, said
    assert sorted(project.files()) == ["app.cer", "app.key"]
    assert pair.not_after - pair.not_before == timedelta(days=730)
    assert project.files()["app.key"].startswith(b"-----BEGIN PRIVATE KEY-----")
    assert isinstance(key, RSAPrivateKey)
    assert key.key_size >= 2048


def test_it_prints_the_thumbprints_the_end_and_where_to_upload_the_certificate(project: Project) -> None:
    _, said = project.run()
    pair = project.pair()

    assert f"sha1: {pair.thumbprint_sha1}\n" in said
    assert f"sha256: {pair.thumbprint_sha256}\n" in said
    assert str(pair.not_after.year) in said
    assert "Certificates & secrets > Certificates > Upload certificate" in said
    assert "PRIVATE KEY" not in said


def test_only_the_user_of_the_container_can_read_the_key(project: Project) -> None:
    _, said = project.run()
    key, certificate_file = ((project.root / "certs" / name).stat() for name in ("app.key", "app.cer"))

    assert stat.S_IMODE(key.st_mode) == 0o400
    assert stat.S_IMODE(certificate_file.st_mode) == 0o444
    assert key.st_uid == CONTAINER_UID or "sudo chown 10001 certs/app.key" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as somebody else")
def test_a_user_who_is_not_root_is_told_what_is_left_to_do(project: Project) -> None:
    os.chown(project.root / "certs", NOBODY, NOBODY)
    code, said = project.run(user=NOBODY)

    assert code == 0, said
    assert (project.root / "certs" / "app.key").stat().st_uid == NOBODY
    assert said.endswith("For Docker, let the proxy's user read the key: sudo chown 10001 certs/app.key\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as somebody else")
def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(project: Project) -> None:
    assert project.run(user=NOBODY) == (
        1,
        "scripts/make-cert: you may not write into the folder certs/: run this as its owner.\n",
    )


def test_days_name_and_file_can_be_chosen(project: Project) -> None:
    code, said = project.run("--days", "30", "--name", "Lycee Jean Moulin", "--as", "next")
    pair = project.pair("next")
    (name,) = x509.load_pem_x509_certificate(project.files()["next.cer"]).subject.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )

    assert code == 0, said
    assert sorted(project.files()) == ["next.cer", "next.key"]
    assert pair.not_after - pair.not_before == timedelta(days=30)
    assert name.value == "Lycee Jean Moulin"


@pytest.mark.parametrize("name", ["app.key", "app.cer"])
def test_it_overwrites_nothing_by_itself(project: Project, name: str) -> None:
    (project.root / "certs" / name).write_text("precious")
    code, said = project.run()

    assert code == 1
    assert "is there already. With --force" in said
    assert project.files() == {name: b"precious"}


def test_with_force_the_old_pair_is_kept_under_a_dated_name(project: Project) -> None:
    project.run()
    before = project.files()
    code, said = project.run("--force")
    kept = {name: content for name, content in project.files().items() if name not in before}

    assert code == 0, said
    assert sorted(re.sub(r"\d{8}T\d{6}Z", "DATE", name) for name in kept) == ["app.DATE.cer", "app.DATE.key"]
    assert set(kept.values()) == set(before.values())
    assert project.files()["app.key"] != before["app.key"]
    assert project.pair()


def test_a_failing_openssl_leaves_the_old_pair_alone(project: Project) -> None:
    project.run()
    before = project.files()
    broken = project.put_program("openssl", 'echo "no entropy" >&2; exit 1')
    code, said = project.run("--force", path=broken)

    assert (code, said) == (1, "scripts/make-cert: openssl failed: no entropy\n")
    assert project.files() == before


def test_without_openssl_it_says_so(project: Project) -> None:
    project.put_program("dirname", "echo scripts")
    for name in ("id", "date"):
        (project.root / "bin" / name).symlink_to(shutil.which(name) or name)
    done = subprocess.run(
        [shutil.which("sh") or "sh", "scripts/make-cert"],
        cwd=project.root,
        env={"PATH": str(project.root / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr.startswith("scripts/make-cert: openssl is not installed")
    assert project.files() == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--days"], "--days must be a whole number"),
        (["--days", "0"], "--days must be a whole number"),
        (["--days", "two"], "--days must be a whole number"),
        (["--days", "99999"], "--days must be a whole number"),
        (["--name", ""], "--name must be letters"),
        (["--name", "a/O=b"], "--name must be letters"),
        (["--name", "x" * 65], "--name must have at most 64"),
        (["--as", "../app"], "--as must be the name of a file"),
        (["--as", ".new"], "--as must be the name of a file"),
        (["app"], "what is app? Usage:"),
    ],
)
def test_wrong_usage_is_answered_by_one_sentence(project: Project, arguments: list[str], sentence: str) -> None:
    code, said = project.run(*arguments)

    assert code == 2
    assert said.startswith(f"scripts/make-cert: {sentence}")
    assert said.count("\n") == 1
    assert project.files() == {}
