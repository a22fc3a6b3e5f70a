"""What the contract tests share."""

from collections.abc import Iterator

import pytest
from contract.plain_graph import PlainGraph
from contract.service_graph import ServiceGraph

from simulator.graph_server import GraphSimulator


@pytest.fixture
def client(graph: GraphSimulator) -> Iterator[PlainGraph]:
    """A client of a fresh simulator with all rules at their strict defaults."""
    with PlainGraph(graph) as plain:
        yield plain


@pytest.fixture
def trusted_graph(graph: GraphSimulator, monkeypatch: pytest.MonkeyPatch) -> GraphSimulator:
    """A fresh simulator whose certificates the service's clients trust, as REQUESTS_CA_BUNDLE tells them."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(graph.ca_path))
    return graph


@pytest.fixture
def service(trusted_graph: GraphSimulator) -> Iterator[ServiceGraph]:
    """The service's clients of a fresh simulator; the library is found, and the calls for that are forgotten."""
    clients = ServiceGraph(trusted_graph)
    yield clients
    clients.close()
