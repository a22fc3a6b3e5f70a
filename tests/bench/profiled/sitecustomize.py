"""Profiles each thread of a process that is forked from this one; Python imports it at its start where it stands first on PYTHONPATH.

The service is run with it by `scripts/bench --profile`. Times are CPU seconds of the thread itself, so that waiting costs nothing.
At its end the process leaves the profile of all threads, added up, in the file that BENCH_PROFILE names.
"""

import atexit
import cProfile
import os
import pstats
import threading
import time
from functools import partial

_profiles: list[cProfile.Profile] = []
_run_thread = threading.Thread.run


def _new_profile() -> cProfile.Profile:
    profile = cProfile.Profile(time.thread_time)
    _profiles.append(profile)
    return profile


def _run_profiled(thread: threading.Thread) -> None:
    _new_profile().runcall(_run_thread, thread)


def _begin(path: str) -> None:
    threading.Thread.run = _run_profiled  # type: ignore[method-assign,assignment] # every thread is to be seen
    atexit.register(_leave, path)
    _new_profile().enable()


def _leave(path: str) -> None:
    _profiles[0].disable()
    for profile in _profiles:
        profile.snapshot_stats()  # what create_stats does, without stopping it
    pstats.Stats(*(profile for profile in _profiles if profile.stats)).dump_stats(path)


if _path := os.environ.get("BENCH_PROFILE"):
    os.register_at_fork(after_in_child=partial(_begin, _path))
