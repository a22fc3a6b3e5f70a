"""The stand-in can be run from a shell."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from contract.minio_receiver import Receiver
from minio import Minio

from simulator.minio_standin import MinioStandin

TESTS = Path(__file__).parent.parent


def command(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", "minio", *arguments],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def settings_of(process: "subprocess.Popen[str]") -> dict[str, str]:
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(4)]
    return dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)


def test_it_prints_its_settings_and_then_a_line_for_each_delivery() -> None:
    arguments = [
        "--port",
        "0",
        "--bucket",
        "ecole",
        "--prefix",
        "administration/",
        "--token",
        "t",
        "--idle-seconds",
        "0",
    ]
    with Receiver() as receiver, command(*arguments, "--webhook", receiver.url) as process:
        settings = settings_of(process)
        client = Minio(
            settings["MINIO_ENDPOINT"].removeprefix("http://"),
            access_key=MinioStandin.root_user,
            secret_key=MinioStandin.root_password,
            secure=False,
        )
        for key in ("other.txt", "administration/a.txt"):
            client.put_object("ecole", key, io.BytesIO(b"hello"), 5)
        assert process.stdout
        line = process.stdout.readline()
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr
        assert process.stderr.read() == ""

    assert settings["MINIO_BUCKETS"] == "ecole"
    assert line.startswith("s3:ObjectCreated:Put ecole/administration/a.txt -> 204 after ")
    assert receiver.keys() == ["ecole/administration/a.txt"]


@pytest.mark.parametrize(
    "arguments", [[], ["--token", "t"], ["--webhook", "http://127.0.0.1:9", "--token", "t", "--no"]]
)
def test_it_says_in_one_line_what_is_wrong_with_its_arguments(arguments: list[str]) -> None:
    with command(*arguments) as process:
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 2
    assert errors.splitlines()[-1].startswith("simulator minio: error: ")
    assert "Traceback" not in errors
