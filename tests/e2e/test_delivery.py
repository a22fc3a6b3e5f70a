"""What MinIO sees: answers that hold nobody up, and every recorded request taken."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from simulator.service_process import SECRET
from simulator.stage import PREFIXES, Stage

RECORDED = Path(__file__).parents[1] / "data" / "minio-events.jsonl"
BURST = 400


def test_it_takes_every_recorded_request(make_stage: Callable[..., Stage]) -> None:
    """Each is answered 204, or 202 while its turn comes; afterwards the library holds what MinIO holds, which is nothing."""
    stage = make_stage(settings={"MINIO_BUCKETS": "lycee,versioned,locked", "DELETE_GRACE_SECONDS": "0"})
    for bucket in ("versioned", "locked"):
        stage.minio.client().make_bucket(bucket)
    stage.begin()
    recorded = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    answers = [stage.service.post(request["body"].encode()) for request in recorded]
    stage.service.wait_until_idle()

    assert {answer.status_code for answer in answers} <= {202, 204}
    assert len(answers) == 145
    assert set(stage.kinds()) <= {"ITEM_GET"}, (
        "a folder that the ledger does not know is looked for before it is taken for gone"
    )
    assert stage.graph.tree() == {}


def test_it_does_not_serialise_a_burst(stage: Stage) -> None:
    """Of 400 events that MinIO has queued all but the first few are answered before their files are there."""
    stage.graph.latency = 0.1
    stage.minio.pause()
    names = [f"{PREFIXES[0]}{number}.txt" for number in range(BURST)]
    for name in names:
        stage.put(name, name.encode())
    stage.minio.resume()
    stage.settle(60)
    deliveries = stage.minio.deliveries()

    assert len(deliveries) == BURST
    assert sum(delivery.seconds >= 0.1 for delivery in deliveries) <= 5
    assert all(stage.graph.content(name) == name.encode() for name in names)
    assert stage.kinds() == ["PUT_CONTENT"] * BURST


def test_health_answers_while_sixty_requests_wait(stage: Stage) -> None:
    stage.graph.latency = 3.0
    stage.minio.pause()
    for number in range(60):
        stage.put(f"{PREFIXES[0]}{number}.txt", b"x")
    statuses: list[int] = []

    def post(number: int) -> None:
        body = {"EventName": "s3:ObjectCreated:Put", "Key": f"lycee/{PREFIXES[0]}{number}.txt"}
        statuses.append(stage.service.post(body).status_code)

    senders = [threading.Thread(target=post, args=(number,)) for number in range(60)]
    for sender in senders:
        sender.start()
    stage.graph.wait_for(lambda: len(stage.graph.calls()) > 0 or len(stage.service.journal()) == 60)
    began = time.monotonic()
    health = stage.service.get("/health")
    took = time.monotonic() - began
    stage.graph.latency = 0.0
    for sender in senders:
        sender.join()

    assert health.json() == {"service": "sharepoint-proxy", "status": "ok"}
    assert took < 1.0
    assert statuses == [204] * 60
    stage.minio.resume()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, 401),
        ({"Authorization": "Bearer wrong"}, 403),
        ({"Authorization": f"Bearer {SECRET}"}, 400),
    ],
)
def test_it_checks_the_sender_before_the_body(common: Stage, headers: dict[str, str], status: int) -> None:
    answer = requests.post(f"{common.service.url}/s3event", data=b"not json", headers=headers, timeout=10)

    assert answer.status_code == status
    assert "error" in answer.json()


def test_it_keeps_the_event_when_graph_refuses(stage: Stage) -> None:
    """202 with the reason, once it is clear that the answer cannot come in time; the file arrives later all the same."""
    stage.graph.resource_units = 0
    stage.minio.pause()
    stage.put("administration/note.txt", b"hello")
    answer = stage.service.post({"EventName": "s3:ObjectCreated:Put", "Key": "lycee/administration/note.txt"})
    (record,) = answer.json()["records"]

    assert answer.status_code == 202
    assert record["state"] == "waiting"
    assert "429" in record["reason"]
    stage.minio.resume()


def test_it_refuses_large_bodies(common: Stage) -> None:
    """Announced by Content-Length, or sent in chunks without one."""
    large = b"x" * (1024 * 1024 + 1)
    chunks = (large[at : at + 65536] for at in range(0, len(large), 65536))

    assert common.service.post(large).status_code == 413
    headers = {"Authorization": f"Bearer {SECRET}"}
    assert requests.post(f"{common.service.url}/s3event", data=chunks, headers=headers, timeout=10).status_code == 413
