"""Compose files as Python reads them, and as docker compose does."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """Reads the tags of compose too, which say how two files are merged."""


def _list(loader: _Loader, node: yaml.SequenceNode) -> list[object]:
    items: list[object] = loader.construct_sequence(node)
    return items


_Loader.add_constructor("!override", _list)


def read(path: Path) -> dict[str, Any]:
    """The file at PATH."""
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    return document


def config(files: Sequence[Path], tmp_path: Path, **env_file: str) -> subprocess.CompletedProcess[str]:
    """What `docker compose config` makes of FILES with just these settings, or skip where there is no docker compose."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("this machine has no `docker compose`, so only the file's text is checked")
    dotenv = tmp_path / "env"
    dotenv.write_text("".join(f"{name}={value}\n" for name, value in env_file.items()))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_CONFIG") if name in os.environ}
    named = [word for path in files for word in ("-f", str(path))]
    command = [docker, "compose", *named, "--env-file", str(dotenv), "config", "--format", "json"]
    return subprocess.run(command, env=kept, capture_output=True, text=True, timeout=60, check=False)


def example() -> dict[str, str]:
    """The settings of .env.example that are not commented out."""
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
