"""Sets the stage, has the story played on it, and clears everything away."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from demo.play import Play
from demo.playground import open_playground
from demo.school import ANNOUNCED_ONLY
from demo.screen import Cell, Screen
from simulator.minio_binary import RealMinio, standin_or_minio
from simulator.minio_standin import MinioStandin, StandinOptions
from simulator.stage import BUCKET, Stage

_SETTINGS = {"DELETE_GRACE_SECONDS": "2"}
"""The service's default; the stage's own is shorter, for tests."""


def perform(*, keep: bool) -> bool:
    """Tell the story on standard output and with KEEP stay until KeyboardInterrupt; True if everything agreed."""
    screen = Screen(sys.stdout)
    screen.title("sharepoint-proxy: what users do in MinIO appears in SharePoint")
    screen.say(
        "Nothing leaves this machine: SharePoint is simulated, the service is the real one. MinIO tells it of each change "
        "by a webhook, and is answered 204 (done) or 202 (written down, its turn comes). The service calls Microsoft Graph."
    )
    with _stage(screen) as stage:
        play = Play(stage, screen)
        play.run()
        if keep:
            with suppress(KeyboardInterrupt):
                open_playground(stage, screen, play)
    return not play.problems


@contextmanager
def _stage(screen: Screen) -> Iterator[Stage]:
    """Simulator, MinIO and service; however it ends they are stopped and their files removed."""
    began = time.monotonic()
    screen.space()
    screen.say("Starting all three ...")
    with tempfile.TemporaryDirectory(prefix="sharepoint-proxy-demo-") as scratch:
        minio = standin_or_minio(options=StandinOptions(queue_dir=Path(scratch, "events")))
        with Stage(Path(scratch), settings=_SETTINGS, server=minio) as stage:
            stage.minio.add_rule(BUCKET, prefix=ANNOUNCED_ONLY)
            stage.begin()
            _introduce(screen, stage, minio, time.monotonic() - began)
            try:
                yield stage
            finally:
                screen.space()
                screen.say("Stopping all three ...")


def _introduce(screen: Screen, stage: Stage, minio: MinioStandin | RealMinio, seconds: float) -> None:
    kind = "a real server" if isinstance(minio, RealMinio) else "a stand-in"
    screen.rows(
        [
            [Cell("Microsoft Graph"), Cell("a simulator"), Cell(stage.graph.base_url)],
            [Cell("MinIO"), Cell(kind), Cell(minio.endpoint)],
            [Cell("sharepoint-proxy"), Cell("scripts/serve"), Cell(stage.service.url)],
        ]
    )
    screen.say(f"ready after {seconds:.1f} s")
