"""The simulator's controls over HTTP, for other processes; `simulator.remote.RemoteSimulator` is its client.

All below `/_simulator/` on the first listener, JSON unless said otherwise, `library` (a name) and `site` (`host:/path`)
optional in each query that has a `path`:

    GET    environment                          the settings of a service that is to use the simulator
    GET    tree?library=&site=                  {path: size in bytes, or null for a folder}
    GET    item?path=  or  item?id=             one item, or null
    DELETE item?path=                           somebody deletes it
    GET    content?path=                        its bytes
    PUT    content?path=[&must_exist=1]         somebody stores the body's bytes there
    POST   folder?path=                         somebody makes a folder
    POST   rename?path=&new_path=               somebody moves or renames
    GET    recycle_bin, sessions                lists of paths
    GET    calls?start=0, DELETE calls          the log of calls
    GET    faults, POST faults, DELETE faults   {"kind": "fragment", "path": "", "times": 1, "after": 0,
                                                 "action": {"type": "AnswerWith", "status": 503, ...}}
    GET    settings, PATCH settings             latency (seconds), bandwidth (bytes/s), resource_units (a minute), switches
    POST   advance?seconds=                     let time pass
    POST   revoke_tokens, expire_delta_tokens

A request that cannot be met is answered 400 or 404 with {"error": "one sentence"}. None of this appears in the log.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from simulator.controls import DEFAULT_LIBRARY, Controls
from simulator.graph_errors import GraphError
from simulator.options import SWITCHES
from simulator.wire_json import fault_from_json, fault_to_json, switch_from_json, to_json

PREFIX = "/_simulator/"
_CONDITIONS = ("latency", "bandwidth", "resource_units")


@dataclass(frozen=True, slots=True)
class _Request:
    query: Mapping[str, str]
    body: bytes

    def __getitem__(self, name: str) -> str:
        if name not in self.query:
            raise ValueError(f"The query lacks '{name}'.")
        return self.query[name]

    @property
    def place(self) -> dict[str, Any]:
        return {"library": self.query.get("library", DEFAULT_LIBRARY), "site": self.query.get("site")}

    def json(self) -> Any:
        return json.loads(self.body)


class ControlApi:
    """Answers the requests above for CONTROLS; ENVIRONMENT tells the settings of a service."""

    def __init__(self, controls: Controls, environment: Callable[[], Mapping[str, str]]) -> None:
        self._controls = controls
        self._environment = environment
        self._routes: dict[tuple[str, str], Callable[[_Request], object]] = {
            ("GET", "environment"): lambda _: dict(self._environment()),
            ("GET", "tree"): lambda request: controls.tree(**request.place),
            ("GET", "item"): self._item,
            ("DELETE", "item"): lambda request: controls.delete_foreign(request["path"], **request.place),
            ("GET", "content"): lambda request: controls.content(request["path"], **request.place),
            ("PUT", "content"): self._put,
            ("POST", "folder"): lambda request: controls.make_folder_foreign(request["path"], **request.place),
            ("POST", "rename"): self._rename,
            ("GET", "recycle_bin"): lambda request: controls.recycle_bin(**request.place),
            ("GET", "sessions"): lambda _: controls.pending_sessions(),
            ("GET", "calls"): lambda request: controls.calls(int(request.query.get("start", "0"))),
            ("DELETE", "calls"): lambda _: controls.clear_calls(),
            ("GET", "faults"): lambda _: [fault_to_json(fault) for fault in controls.pending_faults()],
            ("POST", "faults"): lambda request: controls.add_fault(fault_from_json(request.json())),
            ("DELETE", "faults"): lambda _: controls.clear_faults(),
            ("GET", "settings"): lambda _: self._settings(),
            ("PATCH", "settings"): self._change,
            ("POST", "advance"): lambda request: controls.advance(float(request["seconds"])),
            ("POST", "revoke_tokens"): lambda _: controls.revoke_tokens(),
            ("POST", "expire_delta_tokens"): lambda _: controls.expire_delta_tokens(),
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer REQUEST."""
        raw_path, _, raw_query = request.raw_path.partition("?")
        run = self._routes.get((request.method, raw_path.removeprefix(PREFIX)))
        body = await request.content.read()
        if run is None:
            return _refusal(404, f"{request.method} {raw_path} is no control; see simulator/control_api.py.")
        return _answered(run, _Request(dict(parse_qsl(raw_query, keep_blank_values=True)), body))

    def _item(self, request: _Request) -> object:
        if "id" in request.query:
            return self._controls.item_by_id(request["id"], **request.place)
        return self._controls.item(request["path"], **request.place)

    def _put(self, request: _Request) -> object:
        put = self._controls.edit_foreign if "must_exist" in request.query else self._controls.put_foreign
        return put(request["path"], request.body, **request.place)

    def _rename(self, request: _Request) -> object:
        return self._controls.rename_foreign(request["path"], request["new_path"], **request.place)

    def _settings(self) -> dict[str, object]:
        options = self._controls.options
        switches = {name: getattr(options, name) for name in sorted(SWITCHES)}
        return {**{name: getattr(self._controls, name) for name in _CONDITIONS}, **switches}

    def _change(self, request: _Request) -> object:
        changes = request.json()
        for name in _CONDITIONS:
            if name in changes:
                setattr(self._controls, name, changes.pop(name))
        present = self._controls.options
        self._controls.change(
            **{name: switch_from_json(getattr(present, name, None), value) for name, value in changes.items()}
        )
        return self._settings()


def _answered(run: Callable[[_Request], object], request: _Request) -> web.Response:
    try:
        result = run(request)
    except LookupError as error:
        return _refusal(404, str(error.args[0]))
    except GraphError as error:
        return _refusal(400, error.message)
    except (ValueError, TypeError) as error:
        return _refusal(400, str(error))
    if isinstance(result, bytes):
        return web.Response(body=result, content_type="application/octet-stream")
    return web.json_response(to_json(result))


def _refusal(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)
