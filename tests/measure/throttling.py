"""How much of a tenant's budget of resource units a backlog of small files uses, and how often Graph refuses."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from measure.report import machine, say, table
from simulator.calls import Call
from simulator.options import SimulatorOptions
from simulator.stage import Stage

_MINUTE_SECONDS = 60.0
_TOO_MANY_REQUESTS = 429


def main(arguments: Sequence[str]) -> None:
    """Measure as ARGUMENTS say, and print."""
    chosen = _parser().parse_args(arguments)
    say(machine())
    with TemporaryDirectory(prefix="measure-") as folder:
        calls, seconds = _mirror(Path(folder), files=chosen.files, units=chosen.units, latency=chosen.latency)
    say(f"{chosen.files} files mirrored in {seconds:.1f} s with {chosen.units} resource units a minute")
    _print_minutes(calls, units=chosen.units)
    _print_refusals(calls)
    say(machine())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="measure throttle", description=__doc__, allow_abbrev=False)
    parser.add_argument("--files", type=int, default=2000, help="in the backlog (default: 2000)")
    parser.add_argument(
        "--units", type=int, default=1250, help="resource units a minute (default: 1250, the smallest tenant's)"
    )
    parser.add_argument(
        "--latency", type=float, default=0.02, help="seconds that Graph takes to answer (default: 0.02)"
    )
    return parser


def _mirror(folder: Path, *, files: int, units: int, latency: float) -> tuple[list[Call], float]:
    """Let a backlog of FILES be mirrored; the calls at Graph, and the seconds from its delivery to the last outcome."""
    with Stage(folder, graph=SimulatorOptions(resource_units=units, latency=latency)) as stage:
        stage.minio.pause()
        for number in range(files):
            stage.put(f"bts-sio/{number:05}.txt", f"file {number}".encode())
        stage.service.start()
        began = time.monotonic()
        stage.minio.resume()
        stage.settle(2 * files * _MINUTE_SECONDS / units + 600)
        seconds = time.monotonic() - began
        wrong = sum(
            stage.graph.content(f"bts-sio/{number:05}.txt") != f"file {number}".encode() for number in range(files)
        )
        if wrong:
            raise RuntimeError(f"{wrong} files differ")
        return stage.calls(), seconds


def minutes(calls: Sequence[Call]) -> list[list[Call]]:
    """The calls that cost units, by the minutes in which the simulator counts: each begins with the first call after the last."""
    found: list[list[Call]] = []
    for call in sorted((call for call in calls if call.resource_units), key=lambda call: call.at):
        if not found or call.at >= found[-1][0].at + _MINUTE_SECONDS:
            found.append([])
        found[-1].append(call)
    return found


def _print_minutes(calls: Sequence[Call], *, units: int) -> None:
    found = minutes(calls)
    rows = []
    for number, minute in enumerate(found, start=1):
        used = sum(call.resource_units for call in minute if call.status != _TOO_MANY_REQUESTS)
        share = f"{used / units:.1%}" if number < len(found) else "(not full)"
        rows.append((number, len(minute), sum(call.status == _TOO_MANY_REQUESTS for call in minute), used, share))
    table(("minute", "requests", "refused", "units used", "of the budget"), rows)


def _print_refusals(calls: Sequence[Call]) -> None:
    charged = [call for call in calls if call.resource_units]
    refused = sum(call.status == _TOO_MANY_REQUESTS for call in charged)
    say(f"{refused} of {len(charged)} requests answered 429: {refused / len(charged):.2%}")
