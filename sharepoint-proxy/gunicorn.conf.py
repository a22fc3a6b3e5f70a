"""How the service runs, natively by scripts/serve and in the image alike: one process, threads for requests."""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

# gunicorn reads this file before it puts the folder of the application on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from sharepoint_proxy import assembly, logs, wiring

# A wrong configuration ends here, in the master, with one message and exit code 2.
_settings = assembly.configure_or_exit(os.environ).settings

bind = f"0.0.0.0:{_settings.port}"
# One process holds the journal. Threads beyond the seats for waiting requests keep /health answering.
workers = 1
# gthread, guarded against senders that stall.
worker_class = "sharepoint_proxy.listener.Listener"
threads = wiring.WAITING_SEATS + 32
# MinIO closes idle connections after 15 s and does not repeat a request that a closed connection lost.
keepalive = 75
graceful_timeout = 30
timeout = 60
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - gunicorn's heartbeat file, not data
logconfig_dict = logs.configuration(_settings.log_level)


def on_starting(server: Any) -> None:
    """Refuse a second service on the same journal, and see that the journal is sound; the lock is the master's, so that it outlives a worker that dies."""
    server.data_dir_lock = wiring.hold_data_dir_or_exit(_settings.data_dir)
    wiring.prepare_journal_or_exit(_settings)


def _service_of(worker: Any) -> wiring.Service:
    """The service in the module that gunicorn was told to serve, which the worker has loaded."""
    service: wiring.Service = import_module(worker.app.app_uri.partition(":")[0]).service
    return service


def post_worker_init(worker: Any) -> None:
    """Start the threads in the process that serves, and hear of the stop as soon as it is asked for."""
    service = _service_of(worker)
    service.start()
    before = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        service.ask_to_stop()
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGTERM, stop)


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Let uploads reach a fragment's end and settle; what does not get there in time goes on after the next start."""
    _service_of(worker).stop()
