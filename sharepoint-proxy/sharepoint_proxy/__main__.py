"""The command `sharepoint-proxy`, also `python -m sharepoint_proxy`."""

import logging
import os
import sys
from typing import NoReturn

from sharepoint_proxy import cli
from sharepoint_proxy.toolbox import opened


def main() -> NoReturn:
    """Run the command that the process was given, and end with its exit code."""
    # What the parts would log, the commands say in their own words.
    logging.basicConfig(level=logging.CRITICAL)
    with opened(os.environ) as toolbox:
        sys.exit(cli.run(toolbox))


if __name__ == "__main__":
    main()
