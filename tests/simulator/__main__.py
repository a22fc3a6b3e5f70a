"""`python -m simulator graph|minio [options]`: one simulator as a process of its own."""

import importlib
import sys
from collections.abc import Sequence

_COMMANDS = {"graph": "simulator.graph_command", "minio": "simulator.minio_standin"}


def main(arguments: Sequence[str]) -> int:
    """Run the simulator that the first of ARGUMENTS names with the others; return the exit code."""
    if not arguments or arguments[0] not in _COMMANDS:
        sys.stderr.write("usage: python -m simulator graph|minio [options]; --help after either lists its options\n")
        return 2
    # Only the simulator asked for is imported, so that each runs without the other's requirements.
    command = importlib.import_module(_COMMANDS[arguments[0]])
    return int(command.main(arguments[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
