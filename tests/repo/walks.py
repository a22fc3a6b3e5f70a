"""Runs pieces of shell from the pages: in a copy of the project, beside a running service, with stand-ins for what is not here."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repo.markdown import ROOT, Block

from simulator.service_process import SECRET
from simulator.stage import Stage

FAKE_MC = Path(__file__).with_name("fake_mc.py")
PFX_PASSWORD = "the-password-of-the-pfx"
PERMISSION_ID = "aTowaS50fG1z"

# Programs that stand before those of the machine, or in their place.
PROGRAMS = {
    "mc": f'exec "{sys.executable}" "{FAKE_MC}" "$HOME/server.json" "$@"',
    # Of Docker only what a page asks of a running container; a file stands for its log.
    "docker": """
        case "$1 $2" in
            "compose exec") shift 2; while [ "$1" = -e ]; do shift 2; done; shift; exec "$@" ;;
            "compose logs") exec cat "$HOME/log" ;;
        esac
        echo "this stand-in knows no docker $*" >&2
        exit 64
    """,
    "sharepoint-proxy": f'PYTHONPATH="{ROOT}/sharepoint-proxy" exec "{sys.executable}" -m sharepoint_proxy "$@"',
    # There is no terminal to type a password into.
    "openssl": f"""
        [ "$1" != pkcs12 ] || set -- "$@" -passin pass:{PFX_PASSWORD}
        exec "{shutil.which("openssl")}" "$@"
    """,
}


@dataclass(slots=True)
class Recorder:
    """Stands in for Graph at URL: answers every request with an empty object, and keeps method, path, authorization and body."""

    url: str = ""
    requests: list[tuple[str, str, str, bytes]] = field(default_factory=list)


@contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder that listens on loopback."""
    recorder = Recorder()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            recorder.requests.append((self.command, self.path, self.headers.get("Authorization", ""), body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_DELETE = do_GET  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        recorder.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield recorder
        server.shutdown()


@dataclass(frozen=True, slots=True)
class Site:
    """A copy of the project at ROOT, the stage whose service runs beside it, and a listener in the place of Graph's address."""

    root: Path
    stage: Stage
    graph: Recorder

    @property
    def certs(self) -> Path:
        """The copy's folder of certificates."""
        return self.root / "certs"

    @property
    def minio(self) -> dict[str, Any]:
        """What the stand-in for mc keeps of its server."""
        held: dict[str, Any] = json.loads((self.root / "server.json").read_text(encoding="utf-8"))
        return held

    def change_minio(self, **values: object) -> None:
        """Replace parts of what that server holds."""
        (self.root / "server.json").write_text(json.dumps({**self.minio, **values}), encoding="utf-8")

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run SCRIPT in the copy, with what a container would find in its environment, and without a terminal."""
        service, minio = self.stage.service, self.stage.minio
        return subprocess.run(
            [shutil.which("sh") or "sh", "-c", script],
            cwd=self.root,
            env={
                **self.stage.environment(),
                "WEBHOOK_SECRET": SECRET,
                "DATA_DIR": str(service.data_dir),
                "PORT": str(service.port),
                "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.root),
                "PERMISSION_ID": PERMISSION_ID,
                "RESTORE_ACCESS_KEY": minio.root_user,
                "RESTORE_SECRET_KEY": minio.root_password,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
            start_new_session=True,
        )

    def translated(self, text: str) -> str:
        """TEXT with the addresses of this stage."""
        url = self.stage.service.url
        text = text.replace("http://127.0.0.1:8080", url).replace("https://graph.microsoft.com", self.graph.url)
        return text.replace("scripts/send-event ", f"scripts/send-event --url {url} ")


def make_site(root: Path, stage: Stage, graph: Recorder) -> Site:
    """A fresh copy of what the pages work with, in ROOT."""
    shutil.copytree(ROOT / "scripts", root / "scripts")
    shutil.copy(ROOT / ".env.example", root)
    for folder in ("bin", "certs"):
        (root / folder).mkdir()
    for name, script in PROGRAMS.items():
        (root / "bin" / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (root / "bin" / name).chmod(0o755)
    empty: dict[str, object] = {"calls": [], "aliases": {}, "buckets": {}, "policies": {}, "users": {}}
    server = {"arns": ["arn:minio:sqs::SHAREPOINT:webhook"], "down": False, **empty}
    (root / "server.json").write_text(json.dumps(server), encoding="utf-8")
    (root / "log").write_text('{"level": "ERROR", "event": "parked"}\n', encoding="utf-8")
    return Site(root, stage, graph)


def _nothing(*_: object) -> None:
    """Nothing is prepared, or checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Pieces of one PAGE, by their first lines, that are run one after the other in one shell; TYPED is read by those that read."""

    page: str
    pieces: tuple[str, ...]
    typed: str = ""
    prepare: Callable[[Site], None] = _nothing
    check: Callable[[Site, str], None] = _nothing

    def script(self, site: Site, blocks: list[Block]) -> str:
        """The pieces for a shell that ends at the first command that fails; each piece reads what is typed from its beginning."""
        texts = {block.first_line: site.translated(block.text) for block in blocks if block.name == self.page}
        parts = [f"{{\n{texts[first]}\n}} <<'TYPED'\n{self.typed}\nTYPED\n" for first in self.pieces]
        return "set -e\n" + "".join(parts)
