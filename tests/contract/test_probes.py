"""What the probes see over real sockets: TLS and whom it trusts, the way through a web proxy, the service next door, the disk."""

import base64
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import pytest
import requests

from sharepoint_proxy import probes
from sharepoint_proxy.probes import WebProxy
from simulator.graph_server import GraphSimulator
from simulator.service_process import free_port

HOST = "login.example.org"
CREDENTIALS = "proxy-user:proxy-password"


class ConnectProxy:
    """A web proxy that lets CONNECT through for CREDENTIALS, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                given = self.headers.get("Proxy-Authorization", "")
                if given != f"Basic {base64.b64encode(CREDENTIALS.encode()).decode()}":
                    self.send_error(407)
                    return
                asked.append(self.path)
                host, _, port = self.path.partition(":")
                with socket.create_connection((host, int(port))) as target:
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(target=_pass_on, args=(target, self.connection), daemon=True)
                    back.start()
                    _pass_on(self.connection, target)
                    back.join()

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def connect_proxy() -> Iterator[ConnectProxy]:
    """A running one."""
    proxy = ConnectProxy()
    proxy.thread.start()
    yield proxy
    proxy.stop()


def page_of(graph: GraphSimulator) -> str:
    """A page that every tenant has."""
    return f"{graph.authority}/v2.0/.well-known/openid-configuration"


def through(proxy: ConnectProxy, credentials: str) -> WebProxy:
    """The way through PROXY as a variable names it."""
    found = probes.web_proxy(HOST, {"HTTPS_PROXY": f"http://{credentials}@127.0.0.1:{proxy.port}"})
    assert found is not None
    return found


def test_it_greets_over_tls_that_it_trusts(graph: GraphSimulator) -> None:
    greeting = probes.greet(page_of(graph), proxy=None, authorities=str(graph.ca_path))

    assert greeting.protocol.startswith("TLSv1.")
    assert greeting.issuer == "Simulator CA"
    assert greeting.status == 200
    assert b"token_endpoint" in greeting.body
    assert greeting.date is not None
    assert abs((greeting.at - greeting.date).total_seconds()) < 5


def test_it_tells_the_hosts_own_time(graph: GraphSimulator) -> None:
    graph.advance(3600)
    greeting = probes.greet(page_of(graph), proxy=None, authorities=str(graph.ca_path))

    assert greeting.date is not None
    assert 3590 < (greeting.date - datetime.now(UTC)).total_seconds() < 3605


def test_a_certificate_of_an_unknown_authority_is_refused(graph: GraphSimulator) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        probes.greet(page_of(graph), proxy=None, authorities=certifi.where())


def test_a_host_that_speaks_no_tls_is_an_error_of_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=lambda: listener.accept()[0].sendall(b"220 mail\r\n"), daemon=True).start()
        with pytest.raises(ssl.SSLError):
            probes.greet(f"https://127.0.0.1:{port}/", proxy=None, authorities=certifi.where())


def test_it_goes_through_the_web_proxy_with_its_credentials(graph: GraphSimulator, connect_proxy: ConnectProxy) -> None:
    proxy = through(connect_proxy, CREDENTIALS)
    greeting = probes.greet(page_of(graph), proxy=proxy, authorities=str(graph.ca_path))

    assert greeting.status == 200
    assert connect_proxy.asked == [graph.authority.removeprefix("https://").partition("/")[0]]
    assert "proxy-password" not in f"{proxy} {proxy!r}"


def test_a_web_proxy_that_refuses_is_told_as_such(graph: GraphSimulator, connect_proxy: ConnectProxy) -> None:
    with pytest.raises(OSError, match="407"):
        probes.greet(page_of(graph), proxy=through(connect_proxy, "proxy-user:wrong"), authorities=str(graph.ca_path))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": ""}, None),
        ({"HTTPS_PROXY": "http://one:3128"}, "one:3128 of HTTPS_PROXY"),
        ({"HTTPS_PROXY": "one:3128"}, "one:3128 of HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://one"}, "one:80 of HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://one:3128", "https_proxy": "http://two:3128"}, "two:3128 of https_proxy"),
        ({"HTTPS_PROXY": "http://one:3128", "https_proxy": ""}, None),
        ({"ALL_PROXY": "http://all:3128"}, "all:3128 of ALL_PROXY"),
        ({"HTTP_PROXY": "http://one:3128"}, None),
        ({"HTTPS_PROXY": "http://one:3128", "NO_PROXY": "minio,example.org"}, None),
        ({"HTTPS_PROXY": "http://one:3128", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://one:3128", "NO_PROXY": "minio,localhost"}, "one:3128 of HTTPS_PROXY"),
    ],
)
def test_it_chooses_the_web_proxy_as_requests_does(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str | None
) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    proxy = probes.web_proxy(HOST, variables)
    url = f"https://{HOST}/tenant"
    chosen = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))

    assert (None if proxy is None else f"{proxy} of {proxy.variable}") == expected
    assert (proxy is None) == (chosen is None)
    assert proxy is None or chosen is None or proxy.host in chosen


@pytest.mark.parametrize("text", ["socks5://one:1080", "https://one:3128", "http://", "http://one:port"])
def test_it_says_so_of_a_web_proxy_that_it_cannot_ask(text: str) -> None:
    proxy = probes.web_proxy(HOST, {"HTTPS_PROXY": text})

    assert proxy is not None
    assert proxy.problem


def test_it_resolves_a_name_and_says_of_one_that_is_none() -> None:
    assert "127.0.0.1" in probes.resolve("localhost")
    with pytest.raises(OSError, match=r"."):
        probes.resolve("nowhere.invalid")


def test_nothing_that_listens_is_a_refused_connection() -> None:
    with pytest.raises(ConnectionRefusedError):
        probes.ask_service("GET", "/ready", port=free_port(), seconds=5)


def test_what_speaks_no_http_is_a_broken_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ConnectionError):
            probes.ask_service("GET", "/ready", port=port, seconds=5)


def test_it_measures_and_tries_the_place_where_a_folder_would_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    probes.write_and_remove(folder)

    assert probes.free_bytes(folder) == probes.free_bytes(tmp_path) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(NotADirectoryError):
        probes.write_and_remove(tmp_path / "data")
