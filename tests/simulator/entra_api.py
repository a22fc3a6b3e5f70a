"""Entra ID's two routes: the openid document and the token endpoint."""

import re
from functools import partial
from urllib.parse import parse_qsl

from simulator.calls import CallKind
from simulator.entra import EntraError
from simulator.exchange import Answer, Exchange
from simulator.graph_errors import not_found
from simulator.pipeline import Plan, basic_credentials
from simulator.tenant import Tenant

_OPENID = re.compile(r"/([^/]+)/v2\.0/\.well-known/openid-configuration")
_TOKEN = re.compile(r"/([^/]+)/oauth2/v2\.0/token")


class EntraApi:
    """Plans the calls of the first listener that belong to Entra ID."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def plan(self, exchange: Exchange) -> Plan:
        """What EXCHANGE asks for."""
        if (match := _OPENID.fullmatch(exchange.path)) and exchange.method == "GET":
            return Plan(CallKind.OPENID, partial(self._openid, match[1]))
        if (match := _TOKEN.fullmatch(exchange.path)) and exchange.method == "POST":
            return Plan(CallKind.TOKEN, partial(self._token, match[1]))
        return Plan(CallKind.OTHER, self._refuse)

    async def _openid(self, tenant: str, exchange: Exchange) -> Answer:
        await exchange.drain()
        try:
            return Answer(status=200, json=self._tenant.entra.openid_document(tenant))
        except EntraError as error:
            return self._error(error)

    async def _token(self, tenant: str, exchange: Exchange) -> Answer:
        form = dict(parse_qsl((await exchange.read()).decode()))
        try:
            with self._tenant.lock:
                return Answer(status=200, json=self._tenant.entra.grant(tenant, form, basic_credentials(exchange)))
        except EntraError as error:
            return self._error(error)

    async def _refuse(self, exchange: Exchange) -> Answer:
        raise not_found(f"There is nothing at {exchange.path}.")

    def _error(self, error: EntraError) -> Answer:
        return Answer(status=error.status, json=error.body(self._tenant.clock()))
