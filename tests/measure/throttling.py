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
    parser.add_argument("--units", type=int, default=1250, help="resource units a minute (default: 1250, the smallest tenant's)")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds that Graph takes to answer (default: 0.02)")
    return parser


def _mirror(folder: Path, *, files: int, units: int, latency: float) -> tuple[list[Call], float]:
    """Let a backlog of FILES be mirrored; the calls at Graph, and the seconds from its delivery to the last outcome."""
    with Stage(folder, graph=SimulatorOptions(resource_units=units, latency=latency)) as stage:
        stage.begin()
        stage.minio.pause()
        for number in range(files):
            stage.put(f"bts-sio/{number:05}.txt", f"file {number}".encode())
        began = time.monotonic()
        stage.minio.resume()
        stage.settle(2 * files * _MINUTE_SECONDS / units + 600)
        seconds = time.monotonic() - began
        wrong = sum(stage.graph.content(f"bts-sio/{number:05}.txt") != f"file {number}".encode() for number in range(files))
        if wrong:
            raise RuntimeError(f"{wrong} files differ")
        return stage.calls(), seconds


def _print_minutes(calls: Sequence[Call], *, units: int) -> None:
    """Minutes are counted from the first call that costs anything, as the simulator counts them."""
    charged = [call for call in calls if call.resource_units]
    start = min(call.at for call in charged)
    full_minutes = int((max(call.at for call in charged) - start) // _MINUTE_SECONDS)
    rows = []
    for minute in range(full_minutes + 1):
        within = [call for call in charged if int((call.at - start) // _MINUTE_SECONDS) == minute]
        used = sum(call.resource_units for call in within if call.status != _TOO_MANY_REQUESTS)
        refused = sum(call.status == _TOO_MANY_REQUESTS for call in within)
        share = f"{used / units:.1%}" if minute < full_minutes else "(not full)"
        rows.append((minute + 1, len(within), refused, used, share))
    table(("minute", "requests", "refused", "units used", "of the budget"), rows)


def _print_refusals(calls: Sequence[Call]) -> None:
    refused = sum(call.status == _TOO_MANY_REQUESTS for call in calls)
    say(f"{refused} of {len(calls)} requests answered 429: {refused / len(calls):.2%}")
