"""The limit on bandwidth holds for all uploads together, small and large."""

import os
import time
from pathlib import Path

from simulator.stage import Stage

MIB = 1024 * 1024


def test_it_works(tmp_path: Path) -> None:
    """6 MiB, half of them in one large file, at 16 Mbit/s (2 MB/s) take three seconds."""
    content = os.urandom(5 * MIB)
    with Stage(tmp_path, settings={"BANDWIDTH_LIMIT_MBIT": "16"}) as stage:
        stage.service.start()
        began = time.monotonic()
        stage.put("bts-sio/big.bin", content)
        for number in range(4):
            stage.put(f"bts-sio/{number}.bin", content[: MIB // 4])
        stage.settle()

        assert time.monotonic() - began >= 6 * MIB / 2_000_000
        assert stage.graph.content("bts-sio/big.bin") == content
        assert stage.graph.content("bts-sio/3.bin") == content[: MIB // 4]
