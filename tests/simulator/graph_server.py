"""Microsoft Graph and Entra ID for one tenant, as two real TLS servers on loopback.

    with GraphSimulator() as simulator:
        os.environ.update(simulator.environment())
        ...
        assert simulator.tree() == {"a.txt": 5}

The first listener answers for Entra ID (`/{tenant}/...`), for Graph (`/v1.0/...`, and `/_api/v2.0/...`) and for other
processes (`/_simulator/...`, see `simulator.control_api`); the second holds upload sessions and downloads.
"""

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

from aiohttp import web

from simulator import tls
from simulator.calls import Call
from simulator.control_api import ControlApi
from simulator.controls import Controls
from simulator.entra_api import EntraApi
from simulator.exchange import Exchange, Layer
from simulator.graph_api import GraphApi
from simulator.options import SimulatorOptions
from simulator.pipeline import Pipeline, Plan
from simulator.tenant import Tenant
from simulator.upload_host import UploadHost

_RECEIVE_BUFFER = 256 * 1024
_BACKLOG = 512


class GraphSimulator(Controls):
    """A simulated tenant with its servers; a context manager, or `start` and `stop`.

    Files lie in `options.folder`, or in a temporary folder that `stop` removes. LISTENER is told of each call.
    """

    def __init__(
        self, *, options: SimulatorOptions | None = None, listener: Callable[[Call], None] | None = None
    ) -> None:
        chosen = options or SimulatorOptions()
        self._temporary = tempfile.TemporaryDirectory(prefix="graph-simulator-")
        self._folder = chosen.folder or Path(self._temporary.name)
        self._folder.mkdir(parents=True, exist_ok=True)
        super().__init__(Tenant(chosen, Path(self._temporary.name), listener))
        self._files = tls.write_files(self._folder)
        self.tenant.application.register(tls.application().certificate)
        self._context = tls.server_context(chosen.public_name, Path(self._temporary.name))
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = Thread(target=self._run, name="graph-simulator", daemon=True)
        self._ready = Event()
        self._servers: list[tuple[web.Server, asyncio.Server]] = []

    # Life

    def start(self) -> Self:
        """Listen; the ports are known when this returns. Raise OSError if one cannot be had."""
        options = self.tenant.options
        self._sockets = _listening(options.host, (options.port, options.upload_port))
        graph, uploads = (sock.getsockname()[1] for sock in self._sockets)
        self.tenant.origin = f"https://{options.public_name}:{graph}"
        self.tenant.upload_origin = f"https://{options.public_name}:{uploads}"
        self.tenant.entra.authority = f"{self.tenant.origin}/{options.tenant_id}"
        self._thread.start()
        self._ready.wait()
        return self

    def stop(self) -> None:
        """Close both listeners and remove temporary files; calls under way are cut off."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = None
        self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Addresses and credentials

    @property
    def tenant_id(self) -> str:
        """The tenant's id."""
        return self.tenant.options.tenant_id

    @property
    def client_id(self) -> str:
        """The registered application's id."""
        return self.tenant.options.client_id

    @property
    def authority(self) -> str:
        """`https://localhost:PORT/TENANT`, for AUTHORITY."""
        return self.tenant.entra.authority

    @property
    def base_url(self) -> str:
        """`https://localhost:PORT/v1.0`, for GRAPH_BASE_URL."""
        return f"{self.tenant.origin}/v1.0"

    @property
    def ca_path(self) -> Path:
        """The certificate authority in PEM, for REQUESTS_CA_BUNDLE."""
        return self._files.ca

    @property
    def certificate_path(self) -> Path:
        """The registered application's certificate in PEM."""
        return self._files.app_certificate

    @property
    def key_path(self) -> Path:
        """The registered application's private key, PKCS#8 in PEM."""
        return self._files.app_key

    @property
    def site_path(self) -> str:
        """The first site, as `host:/path`."""
        return self.tenant.sites[0].options.path

    def environment(self) -> dict[str, str]:
        """The settings of a service that is to use this simulator."""
        return {
            "TENANT_ID": self.tenant_id,
            "CLIENT_ID": self.client_id,
            "CERT_PATH": str(self.certificate_path),
            "KEY_PATH": str(self.key_path),
            "AUTHORITY": self.authority,
            "GRAPH_BASE_URL": self.base_url,
            "REQUESTS_CA_BUNDLE": str(self.ca_path),
            "SITE_PATH": self.site_path,
        }

    # The event loop's thread

    def _run(self) -> None:
        loop = self._loop = asyncio.new_event_loop()
        loop.run_until_complete(self._serve())
        loop.call_soon(self._ready.set)
        loop.run_forever()
        loop.run_until_complete(self._shut_down())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    async def _serve(self) -> None:
        entrance = _Entrance(self.tenant, ControlApi(self, self.environment))
        uploads = Pipeline(self.tenant, UploadHost(self.tenant).plan, Layer.SHAREPOINT)
        for sock, handle in zip(self._sockets, (entrance.handle, uploads.handle), strict=True):
            self._servers.append(await _server(sock, handle, self._context))

    async def _shut_down(self) -> None:
        for server, listener in self._servers:
            listener.close()
            await server.shutdown(timeout=0.1)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Entrance:
    """The first listener: by the first segment of the path a call belongs to Graph, to Entra ID or to the controls."""

    def __init__(self, tenant: Tenant, controls: ControlApi) -> None:
        self._graph = GraphApi(tenant)
        self._entra = EntraApi(tenant)
        self._controls = controls
        self._pipeline = Pipeline(tenant, self._plan, Layer.GRAPH)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.startswith("/_simulator/"):
            return await self._controls.handle(request)
        return await self._pipeline.handle(request)

    def _plan(self, exchange: Exchange) -> Plan:
        is_graph = exchange.raw_path.startswith(("/v1.0/", "/_api/"))
        return self._graph.plan(exchange) if is_graph else self._entra.plan(exchange)


def _listening(host: str, ports: tuple[int, int]) -> list[socket.socket]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((host, port), backlog=_BACKLOG)) for port in ports]
        for sock in sockets:
            # A small buffer makes a bandwidth limit felt by the sender at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        stack.pop_all()
    return sockets


async def _server(
    sock: socket.socket, handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], context: ssl.SSLContext
) -> tuple[web.Server, asyncio.Server]:
    server = web.Server(handle, access_log=None, keepalive_timeout=75)
    listener = await asyncio.get_running_loop().create_server(server, sock=sock, ssl=context, backlog=_BACKLOG)
    return server, listener
