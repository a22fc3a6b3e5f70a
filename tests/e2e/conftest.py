"""One stage for the tests of a module that need neither a fresh service nor one of their own: most of a short test is the start of its service."""

from collections.abc import Iterator

import pytest
from e2e.trouble import empty

from simulator.stage import Stage


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything running, the library found."""
    with Stage(tmp_path_factory.mktemp("shared")) as running:
        running.begin()
        yield running


@pytest.fixture
def common(shared: Stage) -> Iterator[Stage]:
    """The stage, without what an earlier test left."""
    yield shared
    empty(shared)
