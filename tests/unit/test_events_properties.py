"""Whatever a sender writes: nothing but BadEventError is raised, and what has the shape of an event is never refused."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from sharepoint_proxy.errors import BadEventError
from sharepoint_proxy.events import ObjectEvent, Rejection, parse

RECORDING = Path(__file__).parent.parent / "data" / "minio-events.jsonl"
BODIES: list[dict[str, Any]] = [
    json.loads(json.loads(line)["body"]) for line in RECORDING.read_text(encoding="utf-8").splitlines()
]
Steps = tuple[str | int, ...]


def steps_to(value: object, above: Steps = ()) -> Iterator[Steps]:
    """The way to each field inside VALUE, VALUE itself included."""
    yield above
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        yield from steps_to(inner, (*above, step))


def with_replaced(value: Any, steps: Steps, new: object) -> Any:
    """A copy of VALUE with NEW in the place that STEPS lead to."""
    if not steps:
        return new
    copy = deepcopy(value)
    place = copy
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = new
    return copy


any_text = st.text(st.characters())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200)


@st.composite
def spoiled_bodies(draw: st.DrawFn) -> Any:
    """A recorded body in which one field is anything at all."""
    body = draw(st.sampled_from(BODIES))
    steps = draw(st.sampled_from(list(steps_to(body))))
    return with_replaced(body, steps, draw(json_values))


def parsed(body: bytes) -> tuple[ObjectEvent | Rejection, ...] | None:
    """What BODY holds, or None where it is refused."""
    try:
        return parse(body)
    except BadEventError:
        return None


@given(st.binary())
def test_bytes_are_read_or_refused(body: bytes) -> None:
    parsed(body)


@given(json_values)
def test_json_is_read_or_refused(value: object) -> None:
    parsed(json.dumps(value).encode())


@given(spoiled_bodies())
def test_a_body_with_records_is_never_refused(body: Any) -> None:
    found = parsed(json.dumps(body).encode())
    has_records = isinstance(body, dict) and isinstance(body.get("Records"), list) and body["Records"]
    if has_records:
        assert found


@given(spoiled_bodies())
def test_every_event_has_a_key_that_can_be_written_down(body: Any) -> None:
    for event in parsed(json.dumps(body).encode()) or ():
        text = event.bucket + event.key if isinstance(event, ObjectEvent) else event.reason
        assert text.encode().decode() == text
        assert "\0" not in text


@given(st.lists(json_values, min_size=1, max_size=4))
def test_every_record_becomes_an_event_or_a_rejection(records: list[object]) -> None:
    assert len(parse(json.dumps({"Records": records}).encode())) >= len(records)


@given(keys, st.sampled_from([quote_plus, lambda key: quote(key, safe="")]))
def test_the_key_that_was_encoded_comes_back(key: str, encode: Any) -> None:
    record = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": "lycee"}, "object": {"key": encode(key)}}}
    (event,) = parse(json.dumps({"Records": [record]}).encode())
    assert isinstance(event, ObjectEvent)
    assert event.key == key


@given(keys, st.booleans())
def test_the_true_key_is_among_those_looked_at_whether_or_not_its_sender_encoded_it(key: str, encoded: bool) -> None:  # noqa: FBT001  (hypothesis draws it)
    written = quote_plus(key) if encoded else key
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "lycee"}, "object": {"key": written}}}
    found = parse(json.dumps({"Records": [record]}).encode())
    assert key in {event.key for event in found if isinstance(event, ObjectEvent)}
