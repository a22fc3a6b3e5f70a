"""What the contract tests share."""

from collections.abc import Iterator

import pytest
from contract.plain_graph import PlainGraph

from simulator.graph_server import GraphSimulator


@pytest.fixture
def client(graph: GraphSimulator) -> Iterator[PlainGraph]:
    """A client of a fresh simulator with all rules at their strict defaults."""
    with PlainGraph(graph) as plain:
        yield plain
