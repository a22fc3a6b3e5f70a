"""Memory stays flat however large the object is: no temporary file, no fragment held."""

from collections.abc import Callable
from pathlib import Path

from sharepoint_proxy.quickxor import QuickXorHash
from simulator.minio_store import synthetic_bytes
from simulator.options import SimulatorOptions
from simulator.stage import Stage

MIB = 1024 * 1024
SIZE = 1024 * MIB
SEED = 7


def test_a_gibibyte_passes_through_little_memory(
    make_stage: Callable[..., Stage], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The peak of any process of the service, as the kernel counted it, is under 120 MiB."""
    stage = make_stage(graph=SimulatorOptions(keep_content=False))
    stage.begin()
    stage.minio.put_synthetic("lycee", "administration/film.mp4", size=SIZE, seed=SEED)
    stage.settle(100)
    item = stage.graph.item("administration/film.mp4")
    peak = stage.service.memory_peak_bytes()
    record_property("peak_mib", round(peak / MIB))

    assert item is not None
    assert (item.size, item.quickxor) == (SIZE, expected_hash())
    assert peak < 120 * MIB
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 10 * MIB


def expected_hash() -> str:
    """The hash of the whole object, by the generator alone."""
    hasher = QuickXorHash()
    for start in range(0, SIZE, MIB):
        hasher.update(synthetic_bytes(SEED, start, MIB))
    return hasher.base64()
