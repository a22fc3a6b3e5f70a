"""The stage that end-to-end tests play on: Graph and MinIO as servers on loopback, the service as a process between them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulator.graph_server import GraphSimulator
from simulator.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Everything running, the library found, nothing mirrored yet."""
    with Stage(tmp_path) as running:
        running.begin()
        yield running


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes a stage with settings and simulators of the test's own; the service is not started yet."""
    made: list[Stage] = []

    def make(**options: object) -> Stage:
        stage = Stage(tmp_path / f"stage-{len(made)}", **options)  # type: ignore[arg-type] # forwarded as they are
        made.append(stage.__enter__())
        return stage

    yield make
    for stage in made:
        stage.__exit__(None, None, None)


@pytest.fixture
def graph() -> Iterator[GraphSimulator]:
    """A Graph and Entra ID of its own, without a service."""
    with GraphSimulator() as simulator:
        yield simulator
