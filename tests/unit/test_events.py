"""Webhook bodies become events: MinIO's as they were recorded, those of its relatives, and what nobody could have meant."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sharepoint_proxy.errors import BadEventError
from sharepoint_proxy.events import Kind, ObjectEvent, Rejection, parse

RECORDING = Path(__file__).parent.parent / "data" / "minio-events.jsonl"
RECORDED: list[dict[str, Any]] = [json.loads(line) for line in RECORDING.read_text(encoding="utf-8").splitlines()]


def body_of(*records: object, **members: object) -> bytes:
    return json.dumps({**members, "Records": list(records)}).encode()


def record_of(key: object, name: object = "s3:ObjectCreated:Put", **members: object) -> dict[str, Any]:
    return {"eventName": name, "s3": {"bucket": {"name": "lycee"}, "object": {"key": key}}, **members}


def only_event(body: bytes) -> ObjectEvent:
    (event,) = parse(body)
    assert isinstance(event, ObjectEvent), event
    return event


def only_reason(body: bytes) -> str:
    (rejection,) = parse(body)
    assert isinstance(rejection, Rejection), rejection
    return rejection.reason


def keys_of(body: bytes) -> list[str]:
    return [event.key for event in parse(body) if isinstance(event, ObjectEvent)]


@pytest.mark.parametrize("request_", RECORDED, ids=lambda request: request["case"])
def test_it_reads_every_recorded_request(request_: dict[str, Any]) -> None:
    """The outer Key is written without encoding, so it says what the record's encoded key must become."""
    body = json.loads(request_["body"])
    event = only_event(request_["body"].encode())

    assert f"{event.bucket}/{event.key}" == body["Key"]
    assert event.name == body["EventName"]
    assert event.at is not None
    assert event.at.strftime("%Y-%m-%dT%H:%M:%S") == body["Records"][0]["eventTime"][:19]
    assert event.at.utcoffset() == UTC.utcoffset(None)
    assert event.size == body["Records"][0]["s3"]["object"].get("size")


def test_the_recording_is_whole() -> None:
    kinds = Counter(only_event(line["body"].encode()).kind for line in RECORDED)
    assert kinds == {Kind.CREATED: 86, Kind.REMOVED: 37, Kind.OTHER: 22}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("s3:ObjectCreated:Put", Kind.CREATED),
        ("s3:ObjectCreated:CompleteMultipartUpload", Kind.CREATED),
        ("s3:ObjectCreated:SomethingNew", Kind.CREATED),
        ("ObjectCreated:Copy", Kind.CREATED),
        ("s3:ObjectRemoved:Delete", Kind.REMOVED),
        ("s3:ObjectRemoved:DeleteMarkerCreated", Kind.REMOVED),
        ("ObjectRemoved:Delete", Kind.REMOVED),
        ("s3:LifecycleExpiration:Delete", Kind.REMOVED),
        ("LifecycleExpiration:DeleteMarkerCreated", Kind.REMOVED),
        ("s3:LifecycleDelMarkerExpiration:Delete", Kind.REMOVED),
        ("s3:ObjectAccessed:Get", Kind.OTHER),
        ("s3:ObjectAccessed:Head", Kind.OTHER),
        ("s3:Replication:OperationCompletedReplication", Kind.OTHER),
        ("s3:ObjectRestore:Completed", Kind.OTHER),
        ("s3:Scanner:BigPrefix", Kind.OTHER),
        ("ObjectCreatedOrNot:Put", Kind.OTHER),
        ("", Kind.OTHER),
    ],
)
def test_it_tells_creations_from_removals_and_from_all_else(name: str, kind: Kind) -> None:
    assert only_event(body_of(record_of("a", name))).kind is kind


def test_it_reads_all_records_in_their_order() -> None:
    body = body_of(record_of("a"), record_of("b", "s3:ObjectRemoved:Delete"), record_of(7), record_of("a"))
    assert [getattr(event, "key", None) for event in parse(body)] == ["a", "b", None, "a"]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%2Fb", "a/b"),
        ("a/b", "a/b"),
        ("100%25", "100%"),
        ("a%2520b", "a%20b"),
        ("%252B%2B", "%2B+"),
        ("%C3%A9t%C3%A9", "\xe9t\xe9"),
        ("e%CC%81", "e\u0301"),
        ("\xe9", "\xe9"),
        ("%F0%9F%98%80", "\U0001f600"),
        ("50%", "50%"),
        ("%zz", "%zz"),
        ("a%0Ab", "a\nb"),
        ("folder%2F", "folder/"),
    ],
)
def test_it_decodes_a_key_of_minio_once(written: str, key: str) -> None:
    assert only_event(body_of(record_of(written))).key == key


def test_it_keeps_composed_and_decomposed_keys_apart() -> None:
    assert keys_of(body_of(record_of("%C3%A9"), record_of("e%CC%81"))) == ["\xe9", "e\u0301"]


def test_it_believes_the_record_and_not_the_outer_key() -> None:
    assert keys_of(body_of(record_of("a%2Bb"), EventName="s3:ObjectCreated:Put", Key="lycee/a b")) == ["a+b"]


@pytest.mark.parametrize("written", ["a b", "50%", "\xe9t\xe9.txt", "a&b", "a%2"])
def test_it_takes_a_key_without_prefix_that_cannot_be_encoded_as_it_is(written: str) -> None:
    assert keys_of(body_of(record_of(written, "ObjectCreated:Put", eventSource="aws:s3"))) == [written]


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("plain/note.txt", ["plain/note.txt"]),
        ("a+b", ["a b", "a+b"]),
        ("a%20b", ["a b", "a%20b"]),
        ("%252B", ["%2B", "%252B"]),
        ("%C3%A9", ["\xe9", "%C3%A9"]),
    ],
)
def test_it_looks_at_both_readings_of_a_key_that_may_be_encoded(written: str, keys: list[str]) -> None:
    assert keys_of(body_of(record_of(written, "ObjectCreated:Put", eventSource="aws:s3"))) == keys


@pytest.mark.parametrize("key", ["a+b", "a%20b", "\xe9 \U0001f600", "a/b"])
def test_it_takes_the_keys_of_ceph_as_they_are(key: str) -> None:
    """Ceph RGW's records as its "S3 Bucket Notifications Compatibility" page shows them."""
    record = {
        "eventVersion": "2.2",
        "eventSource": "ceph:s3",
        "awsRegion": "default",
        "eventTime": "2026-01-31T11:04:33.844Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "tester"},
        "s3": {
            "configurationId": "mynotif1",
            "bucket": {"name": "lycee", "ownerIdentity": {"principalId": "tester"}, "id": "1.4.1"},
            "object": {"key": key, "size": 5, "eTag": "5d41402a", "metadata": [], "tags": []},
        },
        "eventId": "1575221657.102001.80dcd9c2",
        "opaqueData": "me@example.com",
    }
    event = only_event(body_of(record))
    assert (event.bucket, event.key, event.kind, event.size) == ("lycee", key, Kind.CREATED, 5)


def test_it_reads_the_events_of_rustfs() -> None:
    """The envelope of MinIO, another source, a size of 0 and empty fields."""
    record = record_of("a+b%2Fc", eventSource="rustfs:s3", eventVersion="2.1", awsRegion="", requestParameters={})
    record["s3"]["object"] |= {"size": 0, "eTag": "", "versionId": ""}
    event = only_event(body_of(record, EventName="s3:ObjectCreated:Put", Key="lycee/a b/c"))
    assert (event.key, event.size) == ("a b/c", 0)


def test_a_test_event_of_aws_holds_no_events() -> None:
    body = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-31T11:04:33.844Z", "Bucket": "lycee"}
    assert parse(json.dumps(body).encode()) == ()


def test_it_reads_the_minimal_form_without_decoding_its_key() -> None:
    event = only_event(b'{"EventName": "s3:ObjectCreated:Put", "Key": "lycee/a b/100%25+.txt"}')
    assert event == ObjectEvent(bucket="lycee", key="a b/100%25+.txt", name="s3:ObjectCreated:Put", kind=Kind.CREATED)


@pytest.mark.parametrize("records", [None, [], {}, "", 7])
def test_it_falls_back_on_the_minimal_form_where_there_are_no_records(records: object) -> None:
    body = {"EventName": "s3:ObjectRemoved:Delete", "Key": "lycee/a", "Records": records}
    assert only_event(json.dumps(body).encode()).kind is Kind.REMOVED


@pytest.mark.parametrize("key", ["", "lycee", "lycee/", "/a", 7, None, ["lycee/a"]])
def test_it_rejects_a_minimal_form_whose_key_cannot_be_used(key: object) -> None:
    assert only_reason(json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": key}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{}",
        b'{"Records": []}',
        b'{"Records": {}}',
        b'{"EventName": "s3:ObjectCreated:Put"}',
        b'{"Key": "lycee/a"}',
        b'{"Event": "s3:OtherEvent"}',
        b'{"Records": [',
        b"{'Records': []}",
        b"\xff\xfe\xfd",
        b'{"EventName": "s3:ObjectCreated:Put", "Key": "lycee/\xff"}',
        b"\x00" * 8,
        b"[" * 100_000,
        b'{"Records": [' + b"[" * 100_000,
        b'{"Records": ' + b'{"a":' * 100_000,
        b"EventName=s3%3AObjectCreated%3APut&Key=lycee%2Fa",
    ],
    ids=lambda body: body[:24].decode(errors="replace"),
)
def test_it_tells_a_person_what_is_wrong_with_a_body_that_no_sender_could_have_meant(body: bytes) -> None:
    with pytest.raises(BadEventError) as caught:
        parse(body)
    text = str(caught.value)
    assert text.endswith(".")
    assert "\n" not in text


def test_the_advice_holds_a_body_that_works() -> None:
    with pytest.raises(BadEventError) as caught:
        parse(b"{}")
    _, start, example = str(caught.value).partition("{")
    assert only_event((start + example.removesuffix(".")).encode()).key == "key"


@pytest.mark.parametrize(
    "record",
    [None, 7, "text", [], {}, {"eventName": "s3:ObjectCreated:Put"}, {"eventName": None, "s3": {}}, record_of(None)],
)
def test_it_rejects_a_record_that_lacks_what_an_event_needs(record: object) -> None:
    assert "lacks" in only_reason(body_of(record))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "empty"),
        ("a%00b", "NUL"),
        ("a\0b", "NUL"),
        ("%FF", "UTF-8"),
        ("a%ED%A0%80", "UTF-8"),
        ("\ud800", "UTF-8"),
        ("%C3%A9" * 513, "1026 bytes"),
    ],
    ids=ascii,
)
def test_it_rejects_a_key_that_no_object_can_have(key: str, reason: str) -> None:
    assert reason in only_reason(body_of(record_of(key)))


@pytest.mark.parametrize("bucket", ["", "a\0b", "\ud800"], ids=ascii)
def test_it_rejects_a_bucket_that_cannot_be(bucket: str) -> None:
    record = record_of("a")
    record["s3"]["bucket"]["name"] = bucket
    assert only_reason(body_of(record))


def test_it_takes_the_longest_key_that_s3_allows() -> None:
    assert len(only_event(body_of(record_of("%C3%A9" * 512))).key.encode()) == 1024


@pytest.mark.parametrize("size", ["5", None, True, 5.0, [], {}, 1e999])
def test_it_does_without_a_size_that_is_no_number_of_bytes(size: object) -> None:
    record = record_of("a")
    record["s3"]["object"]["size"] = size
    assert only_event(body_of(record)).size is None


@pytest.mark.parametrize("digits", [20, 4301, 100_000])
def test_it_survives_numbers_of_any_length(digits: int) -> None:
    """Python itself refuses to read integers of more than 4,300 digits."""
    body = body_of(record_of("a", other=0)).replace(b'"other": 0', b'"other": ' + b"9" * digits)
    assert keys_of(body) == ["a"]


@pytest.mark.parametrize("at", ["", "yesterday", "2026-13-01T00:00:00Z", 7, None, "\ud800", "9" * 50], ids=ascii)
def test_it_does_without_a_time_that_it_cannot_read(at: object) -> None:
    assert only_event(body_of(record_of("a", eventTime=at))).at is None


def test_it_takes_a_time_without_a_zone_for_utc() -> None:
    event = only_event(body_of(record_of("a", eventTime="2026-01-31T11:04:33")))
    assert event.at == datetime(2026, 1, 31, 11, 4, 33, tzinfo=UTC)


@pytest.mark.parametrize("encode", [str.encode, lambda text: text.encode("utf-8-sig"), lambda t: t.encode("utf-16")])
def test_it_reads_every_encoding_that_json_may_have(encode: Callable[[str], bytes]) -> None:
    assert keys_of(encode(json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": "lycee/\xe9"}))) == ["\xe9"]
