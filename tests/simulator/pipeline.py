"""The way of every call: plan, fault, limits, body, latency, effect, log, answer."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from aiohttp import web

from simulator.calls import Call, CallKind
from simulator.entra import EntraError
from simulator.exchange import Answer, CutError, Exchange, Layer
from simulator.faults import AnswerWith, CutConnection, CutPoint, FaultBody, Hang
from simulator.graph_errors import GraphError
from simulator.options import ThrottleBody
from simulator.tenant import Tenant
from simulator.throttling import cost

_ERROR_CODES: Mapping[int, tuple[str, str | None]] = {
    400: ("invalidRequest", None),
    401: ("unauthenticated", None),
    403: ("accessDenied", None),
    404: ("itemNotFound", None),
    409: ("resourceModified", None),
    412: ("resourceModified", None),
    416: ("invalidRange", "fragmentOutOfOrder"),
    423: ("notAllowed", "resourceLocked"),
    429: ("activityLimitReached", "throttledRequest"),
    500: ("generalException", None),
    503: ("serviceNotAvailable", None),
    507: ("quotaLimitReached", None),
}
_HTML = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h1>Service unavailable</h1></body></html>"


Run = Callable[[Exchange], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request turned out to be; `run` reads its body and does it."""

    kind: CallKind
    run: Run
    item_path: str = ""
    with_delta_token: bool = False


class Pipeline:
    """A listener's request handler; PLANNER turns requests into plans and never raises."""

    def __init__(self, tenant: Tenant, planner: Callable[[Exchange], Plan], layer: Layer) -> None:
        self._tenant = tenant
        self._planner = planner
        self._layer = layer

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer REQUEST, and record it just before the answer goes out."""
        tenant = self._tenant
        arrived = tenant.clock()
        exchange = Exchange(request, tenant, self._layer)
        with tenant.lock:
            plan = self._planner(exchange)
            exchange.action = tenant.faults.take(plan.kind, exchange.path, plan.item_path)
            units = cost(
                plan.kind, with_delta_token=plan.with_delta_token, fragment_units=tenant.options.fragment_units
            )
        with tenant.log.arrived():
            answer = await self._answer(exchange, plan, units)
            self._record(exchange, plan, units, answer.status if answer else 0, arrived)
        if answer is None:
            return exchange.cut()
        try:
            return await exchange.send(answer)
        except ConnectionError:
            return exchange.cut()

    async def _answer(self, exchange: Exchange, plan: Plan, units: int) -> Answer | None:
        try:
            return await self._try(exchange, plan, units)
        except CutError:
            return None

    async def _try(self, exchange: Exchange, plan: Plan, units: int) -> Answer:
        try:
            self._charge(exchange, units)
            return await self._with_fault(exchange, plan)
        except GraphError as error:
            await exchange.drain()
            await exchange.lag()
            return Answer(status=error.status, error=error)

    def _charge(self, exchange: Exchange, units: int) -> None:
        with self._tenant.lock:
            verdict = self._tenant.throttle.charge(units)
        exchange.headers.update(verdict.headers)
        if verdict.refused:
            raise _throttled(self._tenant.options.throttle_body)

    async def _with_fault(self, exchange: Exchange, plan: Plan) -> Answer:
        match exchange.action:
            case Hang(seconds=seconds, after_effect=False):
                await asyncio.sleep(seconds)
            case AnswerWith(after_effect=False) as ordered:
                await exchange.drain()
                await exchange.lag()
                return self._ordered(ordered, plan.kind)
            case CutConnection(at=CutPoint.BEFORE_BODY):
                raise CutError
        answer = await plan.run(exchange)
        match exchange.action:
            case CutConnection(at=CutPoint.AFTER_EFFECT):
                raise CutError
            case Hang(seconds=seconds, after_effect=True):
                await asyncio.sleep(seconds)
            case AnswerWith(after_effect=True) as ordered:
                return self._ordered(ordered, plan.kind)
        return answer

    def _ordered(self, ordered: AnswerWith, kind: CallKind) -> Answer:
        headers = dict(ordered.headers)
        if ordered.body is not FaultBody.JSON:
            body, content_type = _bare_body(ordered)
            return Answer(status=ordered.status, body=body, content_type=content_type, headers=headers)
        if kind in (CallKind.TOKEN, CallKind.OPENID):
            refusal = EntraError(ordered.status, ordered.code or "temporarily_unavailable", 90033, ordered.message)
            return Answer(status=ordered.status, json=refusal.body(self._tenant.clock()), headers=headers)
        code, inner = _ERROR_CODES.get(ordered.status, ("UnknownError", None))
        error = GraphError(ordered.status, ordered.code or code, ordered.message, inner=ordered.inner or inner)
        return Answer(status=ordered.status, error=error, headers=headers)

    def _record(self, exchange: Exchange, plan: Plan, units: int, status: int, arrived: float) -> None:
        self._tenant.log.add(
            Call(
                kind=plan.kind,
                method=exchange.method,
                path=exchange.path,
                status=status,
                bytes_received=exchange.received,
                resource_units=units,
                at=arrived,
                client_request_id=exchange.header("client-request-id"),
                item_path=plan.item_path,
                note=exchange.note,
            )
        )


def _bare_body(ordered: AnswerWith) -> tuple[bytes, str | None]:
    match ordered.body:
        case FaultBody.HTML:
            return _HTML, "text/html"
        case FaultBody.TEXT:
            return ordered.message.encode(), "text/plain"
        case FaultBody.NULL:
            return b"null", "application/json"
    return b"", None


def _throttled(body: ThrottleBody) -> GraphError:
    if body is ThrottleBody.TOO_MANY_REQUESTS:
        return GraphError(429, "TooManyRequests", "Too Many Requests", inner="429")
    message = "The app or user has been throttled."
    return GraphError(429, "activityLimitReached", message, inner="throttledRequest")


def bearer_token(exchange: Exchange) -> str | None:
    """The token in the Authorization header, if there is one."""
    scheme, _, token = (exchange.header("Authorization") or "").partition(" ")
    return token if scheme.lower() == "bearer" and token else None


def basic_credentials(exchange: Exchange) -> tuple[str, str] | None:
    """The form-encoded id and secret of HTTP Basic (RFC 6749, 2.3.1), if they were sent."""
    scheme, _, encoded = (exchange.header("Authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    return unquote_plus(user), unquote_plus(password)
