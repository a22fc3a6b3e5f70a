"""What several unit tests need of the machine."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def ordinary_uid() -> Iterator[int]:
    """The test runs as this user from here on, because nothing is unreadable for root."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(10001)
    yield os.geteuid()
    os.seteuid(was)
