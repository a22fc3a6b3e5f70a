"""A backlog of small files under the budget of Microsoft's smallest tenants."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from measure.throttling import minutes

from bench.deeds import folder_of, fresh
from bench.ground import Ground, Line
from bench.peer import BUCKET_REMOTE, LIBRARY_REMOTE
from bench.plan import Plan, at_least, below
from bench.posting import MINIO_SENDERS, body_of, post
from bench.results import Contender, Figure, Run, Who, Work
from bench.small import SMALL_BYTES
from bench.watch import Watch, is_file

_LATENCY_SECONDS = 0.02
_UNITS_A_FILE = 2
_MINUTE_SECONDS = 60.0
_LONGER_SECONDS = 2.0
_LEAST_BUDGET = 90.0
_MOST_REFUSED = 1.0
_TIMEOUT_SECONDS = 60.0
_TOO_MANY_REQUESTS = 429


def throttled(plan: Plan) -> list[Work]:
    """What is mirrored of a backlog in the first minutes, and how often Graph refuses; all runs at the same time, as nobody is busy."""
    units, lasting = plan.of((1250, 2), quick=(300, 1))
    line = Line(latency=_LATENCY_SECONDS, units=units)
    deeds = {Who.SERVICE: _by_service, Who.DEFAULTS: _by_rclone}
    with ThreadPoolExecutor(len(deeds) * plan.runs) as threads:
        futures = {
            who: [threads.submit(deed, plan, line, lasting) for _ in range(plan.runs)] for who, deed in deeds.items()
        }
        contenders = [Contender.of(who, [each.result() for each in found]) for who, found in futures.items()]
    figures = contenders[0].figures
    budget, refused = figures[Figure.BUDGET].lowest, figures[Figure.REFUSED].highest
    return [
        Work(
            name="throttled",
            title=f"Throttled: a backlog with {units:,} resource units a minute, for {lasting} min",
            latency=_LATENCY_SECONDS,
            headline=Figure.FILES_PER_SECOND,
            runs=plan.runs,
            contenders=contenders,
            targets=(
                at_least(f"at least {_LEAST_BUDGET:g} % of the budget used", budget, _LEAST_BUDGET, "%"),
                below(f"fewer than {_MOST_REFUSED:g} % of the answers 429", refused, _MOST_REFUSED, "%"),
            ),
            notes=("The budget that is used counts calls that were answered otherwise than 429.",),
        )
    ]


def _begin_minute(ground: Ground) -> None:
    """Let the minute pass that the calls before have begun, so that the next call begins one."""
    ground.graph.advance(_MINUTE_SECONDS + 1)


def _more_than_fit(line: Line, lasting: int) -> int:
    """More files than LASTING minutes have room for."""
    return (line.units or 0) * (lasting + 1) // _UNITS_A_FILE


def _after(ground: Ground, watch: Watch, lasting: int) -> Run:
    """The figures of the first LASTING minutes; each is 60 s from its first call on."""
    watch.wait_for_calls(1, timeout=_TIMEOUT_SECONDS)
    time.sleep(lasting * _MINUTE_SECONDS + _LONGER_SECONDS)
    watch.look()
    charged = list(chain.from_iterable(minutes(watch.calls)[:lasting]))
    refused = sum(call.status == _TOO_MANY_REQUESTS for call in charged)
    used = sum(call.resource_units for call in charged if call.status != _TOO_MANY_REQUESTS)
    # What goes to upload URLs costs no units, and files may be whole by it.
    until = charged[0].at + lasting * _MINUTE_SECONDS
    files = sum(is_file(call) for call in watch.calls if call.at < until)
    return {
        Figure.FILES_PER_SECOND: files / (lasting * _MINUTE_SECONDS),
        Figure.BUDGET: 100 * used / ((ground.line.units or 1) * lasting),
        Figure.REFUSED: 100 * refused / len(charged),
    }


def _by_service(plan: Plan, line: Line, lasting: int) -> Run:
    with plan.ground(line) as ground, ground.service() as service:
        objects = fresh(ground, count=_more_than_fit(line, lasting), size=SMALL_BYTES)
        _begin_minute(ground)
        watch = service.reset()
        post(service.port, [body_of(each) for each in objects], senders=MINIO_SENDERS)
        return _after(ground, watch, lasting)


def _by_rclone(plan: Plan, line: Line, lasting: int) -> Run:
    with plan.ground(line) as ground:
        rclone = ground.rclone()
        source = folder_of(fresh(ground, count=_more_than_fit(line, lasting), size=SMALL_BYTES))
        _begin_minute(ground)
        watch = Watch(ground.graph)
        program = rclone.start("copy", f"{BUCKET_REMOTE}/{source}", f"{LIBRARY_REMOTE}copied")
        try:
            return _after(ground, watch, lasting)
        finally:
            program.kill()
