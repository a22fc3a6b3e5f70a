"""`scripts/bench`: the way in, with its signals and exit codes."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench import chart, profiling, table
from bench.course import RUNS, WORKS, planned, run
from bench.results import Results

RESULTS = Path("bench-results.json")
_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Do what ARGUMENTS say; return 0, targets met or missed, 1 if something broke, 130 if interrupted."""
    chosen = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _perform(chosen)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; nothing is left running.\n")
        return _INTERRUPTED
    except (OSError, RuntimeError, ValueError) as error:
        sys.stderr.write(f"\nThe benchmark broke off: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Has the service and rclone do the same work, with SharePoint simulated, and prints how they compare.",
        epilog="The exit code says nothing of targets: a missed one is printed as missed.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="cut the works short: 3 minutes instead of 30")
    add("--only", type=_names, default=tuple(WORKS), metavar="NAME,...", help=f"of {', '.join(WORKS)}")
    add("--runs", type=_runs, metavar="N", help=f"of each work (default: {RUNS}, quick: 1)")
    add("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="a setting of the service")
    add("--out", type=Path, default=RESULTS, metavar="FILE", help="where the results are (default: %(default)s)")
    add("--chart", type=Path, metavar="SVG", help="draw the results that are in the file --out, and run nothing")
    add("--markdown", type=Path, metavar="FILE", help="print the results that are in FILE, and run nothing")
    add("--profile", action="store_true", help="show what the service's CPU time goes to, and compare nothing")
    return parser


def _perform(chosen: argparse.Namespace) -> int:
    if chosen.markdown is not None:
        _say(table.markdown(Results.read(chosen.markdown)))
        return 0
    if chosen.chart is not None:
        chosen.chart.write_text(chart.svg(Results.read(chosen.out)), encoding="utf-8")
        return 0
    with planned(quick=chosen.quick, runs=chosen.runs, settings=dict(chosen.set)) as plan:
        if chosen.profile:
            for line in profiling.profile(plan):
                _say(line)
            return 0
        results = run(plan, chosen.only, _say)
    results.write(chosen.out)
    _say(f"\n{table.markdown(results)}\nThe results are in {chosen.out}.")
    return 0


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if strange := set(names) - WORKS.keys():
        raise argparse.ArgumentTypeError(
            f"there is no work {', '.join(sorted(strange))}; the works are {', '.join(WORKS)}"
        )
    return names


def _runs(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("it must be a number from 1 on")
    return int(text)


def _setting(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise argparse.ArgumentTypeError("it must be a setting and its value, like UPLOAD_WORKERS=32")
    return name, value


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that everything that was started is stopped."""
    raise KeyboardInterrupt


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
