"""The stand-in sends, for the same acts, the very requests that were recorded from a MinIO server."""

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

import pytest
from contract.minio_acts import BUCKETS, Actor, acts, recorded_steps
from contract.minio_receiver import Received, Receiver
from hypothesis import given
from hypothesis import strategies as st

from simulator.minio_events import go_json, query_escape
from simulator.minio_standin import MinioStandin, StandinOptions

STEPS = recorded_steps()
ALL_EVENTS = frozenset({"put", "delete", "get"})

# What differs from one run to the next, and the shape that it must have all the same.
MASKS = [
    (r'"eventTime":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"', '"eventTime":"TIME"'),
    (r'"sequencer":"[0-9A-F]{16}"', '"sequencer":"SEQUENCER"'),
    (r'"x-amz-request-id":"[0-9A-F]{16}"', '"x-amz-request-id":"REQUEST"'),
    (r'"x-amz-id-2":"[0-9a-f]{64}"', '"x-amz-id-2":"HOST"'),
    (r'"x-minio-deployment-id":"[0-9a-f-]{36}"', '"x-minio-deployment-id":"UUID"'),
    (r'"x-minio-origin-endpoint":"http://127\.0\.0\.1:\d+"', '"x-minio-origin-endpoint":"URL"'),
    (r'"versionId":"[0-9a-f-]{36}"', '"versionId":"UUID"'),
    (r'"userAgent":"[^"]+"', '"userAgent":"CLIENT"'),
]
# The lengths of XML answers differ with the length of what they hold; 0 and those of objects do not.
XML_LENGTH = (r'"content-length":"[1-9]\d{2}"', '"content-length":"XML"')
# The recording's multipart and gzip objects were random bytes.
RANDOM_ETAG = (r'"eTag":"[0-9a-f]{32}(-\d)?"', r'"eTag":"MD5\1"')
RANDOM_CONTENT = ("big.bin", "big-renamed.bin", "z.txt")


def masked(body: str) -> str:
    """The body without what differs from run to run; all the rest stays as it is, byte for byte."""
    masks = [*MASKS, XML_LENGTH]
    if any(name in body for name in RANDOM_CONTENT):
        masks.append(RANDOM_ETAG)
    for pattern, replacement in masks:
        body = re.sub(pattern, replacement, body)
    return body


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[list[Received]]]:
    """The requests of each step."""
    queue = tmp_path_factory.mktemp("queue")
    options = StandinOptions(buckets=("lycee",), versioned_buckets=("versioned",), queue_dir=queue)
    with Receiver() as receiver, MinioStandin(options=options) as standin:
        standin.client().make_bucket("locked", object_lock=True)
        standin.notify(url=receiver.url, token="s3cret-token")
        for bucket in BUCKETS:
            standin.add_rule(bucket, events=ALL_EVENTS)
        actors = {bucket: Actor(standin, bucket) for bucket in BUCKETS}
        requests = []
        for bucket, _, act in acts():
            before = len(receiver.received)
            act(actors[bucket])
            standin.drain()
            requests.append(receiver.received[before:])
        yield requests


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[f"{n} {step.case}" for n, step in enumerate(STEPS)])
def test_it_sends_the_recorded_bodies(replayed: list[list[Received]], number: int) -> None:
    # Several files at once are announced in any order.
    recorded = sorted(masked(body) for body in STEPS[number].bodies)
    sent = sorted(masked(request.body) for request in replayed[number])

    assert sent == recorded


def test_it_sends_the_recorded_headers_and_no_others(replayed: list[list[Received]]) -> None:
    recorded = STEPS[0].headers[0]
    sent = replayed[0][0].headers

    assert {**sent, "Host": "", "Content-Length": ""} == {**recorded, "Host": "", "Content-Length": ""}


def test_it_announces_an_undelete_with_the_version_of_the_delete(replayed: list[list[Received]]) -> None:
    numbers = {step.case: number for number, step in enumerate(STEPS)}
    deleted = replayed[numbers["versioned: delete by key (makes a delete marker)"]][0]
    undeleted = replayed[numbers["versioned: delete the delete marker (undelete)"]][0]

    assert _field("versionId", undeleted) == _field("versionId", deleted)
    assert _field("sequencer", undeleted) != _field("sequencer", deleted)


def test_it_announces_tagging_with_the_sequencer_of_the_content(replayed: list[list[Received]]) -> None:
    numbers = {step.case: number for number, step in enumerate(STEPS)}
    copied = replayed[numbers["lycee: copy onto itself, new metadata"]][-1]
    tagged = replayed[numbers["lycee: put tags"]][0]

    assert _field("sequencer", tagged) == _field("sequencer", copied)


@given(st.text(st.characters(codec="utf-8"), max_size=50))
def test_its_keys_are_read_back_by_unquoting_once(key: str) -> None:
    assert unquote_plus(query_escape(key)) == key
    assert not set(query_escape(key)) & set(' /<>&"')


@given(st.dictionaries(st.text(), st.text()))
def test_its_json_is_read_back_and_safe_inside_html(value: dict[str, str]) -> None:
    written = go_json(value)

    assert json.loads(written) == value
    assert not set(written.decode()) & set("<>&\u2028\u2029")


def _field(name: str, request: Received) -> str:
    found = re.search(rf'"{name}":"([^"]*)"', request.body)
    assert found
    return found[1]
