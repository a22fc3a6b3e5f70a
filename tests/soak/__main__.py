"""`scripts/soak --minutes N --seed S`: the way in, with its signals and exit codes."""

import argparse
import logging
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

_INTERRUPTED = 130
_SECONDS_A_MINUTE = 60


def main(arguments: Sequence[str]) -> int:
    """Soak as ARGUMENTS say; return 0 if everything agreed, 1 if anything differs or broke, 130 if interrupted."""
    chosen = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _perform(minutes=chosen.minutes, seed=chosen.seed, log=chosen.log)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; nothing is left running.\n")
        return _INTERRUPTED
    except (OSError, RuntimeError) as error:
        sys.stderr.write(f"\nThe soak broke off: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Lets users, faults and kill -9 loose on the service at random, with SharePoint and MinIO simulated, "
        "then compares every byte.",
        epilog="Exit code 0: everything agreed. The same seed makes the same choices; the timing is the machine's.",
        allow_abbrev=False,
    )
    parser.add_argument("--minutes", type=_minutes, default=5.0, help="of load; the end takes longer (default: 5)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="default: a new one, printed")
    parser.add_argument("--log", type=Path, help="a file for everything that the service logs")
    return parser


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise argparse.ArgumentTypeError("it must be a number above 0, such as 5 or 0.5")
    return minutes


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that everything that was started is stopped."""
    raise KeyboardInterrupt


def _perform(*, minutes: float, seed: int, log: Path | None) -> int:
    # The simulators take a second or more to import; Ctrl-C is to end that cleanly, too.
    from soak.course import Soak  # noqa: PLC0415 - see above
    from soak.summary import summary  # noqa: PLC0415 - see above

    # MinIO's stand-in would tell of each connection on which a killed service hung up.
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    repeat = f"scripts/soak --minutes {minutes:g} --seed {seed}"
    _say(repeat)
    with tempfile.TemporaryDirectory(prefix="sharepoint-proxy-soak-") as scratch:
        report = Soak(Path(scratch), seconds=minutes * _SECONDS_A_MINUTE, seed=seed, say=_say).run()
    if log is not None:
        log.write_text("\n".join(report.log), encoding="utf-8")
    for line in summary(report):
        _say(line)
    _say(f"Differences. Again: {repeat}" if report.differences else "Everything agrees.")
    return 1 if report.differences else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
