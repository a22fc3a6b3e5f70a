"""Senders of webhook requests: each posts MinIO's bodies, one key after the other, on one connection that stays open."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from simulator.minio_events import EventName, ObjectState, Origin, build_event
from simulator.service_process import SECRET, free_port

_OLD_NS = 1_770_000_000_000_000_000
"""Months ago: the service takes such events for a backlog and answers as soon as they are on disk."""

_TIMEOUT_SECONDS = 60.0
_PLACEHOLDER = "KEY-TO-REPLACE"
ORIGIN = Origin(
    principal="minioadmin",
    source_ip="127.0.0.1",
    user_agent="MinIO (linux; amd64) minio-go/v7.0.90 mc",
    request_id="186F3D9C0A2B5E11",
    host_id="dd9025bab4ad464b049177c95eb6ebf374d3b3fd1af9251148b658df7ac2e3e8",
    deployment_id="5a0b1f3a-7c5e-4d19-8d4c-6f5c0b6f3e0b",
    endpoint="http://127.0.0.1:9000",
)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: its status, and the seconds from the request's first byte to the answer's last."""

    status: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Number NUMBER of several senders to the service at PORT; RATE in events a second, None as fast as answers come.

    It begins when `time.monotonic`, the same for all processes of a machine, says BEGIN_AT.
    """

    number: int
    port: int
    begin_at: float
    seconds: float
    rate: float | None = None

    def run(self) -> list[Answered]:
        """Send for the time given, each event with a key of its own; all answers in their order."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=_TIMEOUT_SECONDS)) as connection:
            connection.connect()
            return [exchange(connection, body) for body in self._bodies()]

    def _bodies(self) -> Iterator[bytes]:
        """One body after the other, when its moment has come."""
        template = _template()
        sent = 0
        while (now := time.monotonic()) < self.begin_at + self.seconds:
            due = self.begin_at + (sent / self.rate if self.rate else 0.0)
            time.sleep(max(0.0, due - now))
            yield template.replace(_PLACEHOLDER.encode(), f"s{self.number}-{sent}".encode())
            sent += 1


def graph_is_away() -> dict[str, str]:
    """Settings with which a service reaches neither Entra ID nor Graph: nobody listens there."""
    nobody = f"https://localhost:{free_port()}"
    return {"AUTHORITY": f"{nobody}/contoso.onmicrosoft.com", "GRAPH_BASE_URL": f"{nobody}/v1.0"}


def _template() -> bytes:
    state = ObjectState(
        key=f"bts-sio/{_PLACEHOLDER}.pdf",
        size=48_213,
        etag="5d41402abc4b2a76b9719d911017c592",
        content_type="application/pdf",
        user_metadata=(("content-type", "application/pdf"),),
    )
    return build_event(name=EventName.PUT, bucket="lycee", state=state, origin=ORIGIN, now_ns=_OLD_NS).body


def exchange(connection: http.client.HTTPConnection, body: bytes) -> Answered:
    """Post BODY on CONNECTION, and read the answer."""
    headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"}
    began = time.perf_counter()
    connection.request("POST", "/s3event", body, headers)
    response = connection.getresponse()
    response.read()
    return Answered(response.status, time.perf_counter() - began)
