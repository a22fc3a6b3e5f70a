"""`python -m simulator graph`: the Graph simulator as a process of its own, until SIGTERM or Ctrl-C."""

import argparse
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from simulator.calls import Call
from simulator.graph_server import GraphSimulator
from simulator.options import SimulatorOptions

_BYTES_PER_MEGABIT = 1_000_000 / 8


def main(arguments: Sequence[str]) -> int:
    """Serve as ARGUMENTS say: print the settings as shell lines, then one line a call; return the exit code."""
    chosen = _parser().parse_args(arguments)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        simulator = GraphSimulator(options=_options(chosen), listener=None if chosen.quiet else _print_call).start()
    except OSError as error:
        sys.stderr.write(f"The simulator cannot start: {error}. Choose another --port, --upload-port or --folder.\n")
        return 2
    for name, value in simulator.environment().items():
        _say(f"export {name}={shlex.quote(value)}")
    stop.wait()
    simulator.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m simulator graph", description="Simulates Microsoft Graph and Entra ID over TLS."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--name", default="localhost", help="host name in URLs and in the certificate (default: %(default)s)")
    add("--port", type=int, default=0, help="port of Graph and Entra ID (default: a free one)")
    add("--upload-port", type=int, default=0, help="port of upload sessions and downloads (default: a free one)")
    add("--folder", type=Path, help="where ca.pem, app.pem and app.key are written (default: a temporary folder)")
    add("--latency", type=float, default=0.0, metavar="SECONDS", help="wait of each call")
    add("--bandwidth-mbit", type=float, metavar="N", help="limit of each stream, in megabits per second")
    add("--resource-units", type=int, metavar="N", help="resource units per minute (default: unlimited)")
    add("--no-content", action="store_true", help="keep only sizes and hashes of files")
    add("--quiet", action="store_true", help="print no line a call")
    return parser


def _options(chosen: argparse.Namespace) -> SimulatorOptions:
    return SimulatorOptions(
        host=chosen.host,
        public_name=chosen.name,
        port=chosen.port,
        upload_port=chosen.upload_port,
        folder=chosen.folder.resolve() if chosen.folder else None,
        latency=chosen.latency,
        bandwidth=chosen.bandwidth_mbit * _BYTES_PER_MEGABIT if chosen.bandwidth_mbit else None,
        resource_units=chosen.resource_units,
        keep_content=not chosen.no_content,
    )


def _print_call(call: Call) -> None:
    _say(call.line())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
