"""`scripts/demo [--keep]`: the way in, with its signals and exit codes."""

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Play as ARGUMENTS say; return 0 if everything agreed, 1 if anything did not or broke, 130 if interrupted."""
    chosen = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _perform(keep=chosen.keep)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted; nothing is left running.\n")
        return _INTERRUPTED
    except (OSError, RuntimeError) as error:
        sys.stderr.write(f"\nThe demonstration broke off: {error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Plays the service's story on this machine, with SharePoint simulated, and checks every byte.",
        epilog="Exit code 0: everything agreed. MINIO_BIN names a MinIO server to use instead of the stand-in.",
        allow_abbrev=False,
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running, with commands to play with")
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End as Ctrl-C does, so that everything that was started is stopped."""
    raise KeyboardInterrupt


def _perform(*, keep: bool) -> int:
    # The simulators take a second or more to import; Ctrl-C is to end that cleanly, too.
    from demo.performance import perform  # noqa: PLC0415 - see above

    return 0 if perform(keep=keep) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
