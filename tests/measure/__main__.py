"""`python -m measure intake|journal|kafka|reconcile|throttle [options]`: one measurement, printed as a small table."""

import importlib
import sys
from collections.abc import Sequence

_COMMANDS = {
    "intake": "measure.intake",
    "journal": "measure.journal_curve",
    "kafka": "measure.kafka",
    "reconcile": "measure.reconciling",
    "throttle": "measure.throttling",
}


def main(arguments: Sequence[str]) -> int:
    """Make the measurement that the first of ARGUMENTS names with the others; return the exit code."""
    if not arguments or arguments[0] not in _COMMANDS:
        sys.stderr.write(
            f"usage: python -m measure {'|'.join(_COMMANDS)} [options]; --help after any lists its options\n"
        )
        return 2
    importlib.import_module(_COMMANDS[arguments[0]]).main(arguments[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
