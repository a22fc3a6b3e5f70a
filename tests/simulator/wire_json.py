"""Calls, items, faults and settings as JSON between the simulator and another process."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from simulator.calls import Call, CallKind
from simulator.faults import (
    Action,
    AnswerWith,
    CorruptBytes,
    CutConnection,
    CutPoint,
    Fault,
    FaultBody,
    Hang,
    LoseSession,
    Match,
    RewindSession,
    TruncateAnswer,
)
from simulator.items import Author, StoredItem
from simulator.options import ColumnType

_ACTIONS: dict[str, type[Action]] = {
    action.__name__: action
    for action in (AnswerWith, CutConnection, Hang, TruncateAnswer, LoseSession, RewindSession, CorruptBytes)
}


def to_json(value: object) -> Any:
    """VALUE with data classes as objects, enum members as their values and tuples as lists."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: to_json(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(member) for member in value]
    return value


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """FAULT as `{"kind", "path", "action": {"type": ..., ...}, "times", "after"}`."""
    return {
        **to_json(fault.match),
        "action": {"type": type(fault.action).__name__, **to_json(fault.action)},
        "times": fault.times,
        "after": fault.after,
    }


def fault_from_json(document: Mapping[str, Any]) -> Fault:
    """The fault that DOCUMENT describes; raise ValueError saying what is wrong with it."""
    members = dict(document.get("action") or {})
    name = members.pop("type", None)
    if name not in _ACTIONS:
        raise ValueError(f"The action's type must be one of {', '.join(_ACTIONS)}.")
    if "body" in members:
        members["body"] = FaultBody(members["body"])
    if "at" in members:
        members["at"] = CutPoint(members["at"])
    kind = document.get("kind")
    try:
        action = _ACTIONS[name](**members)
    except TypeError as error:
        raise ValueError(f"The action {name} cannot be made: {error}.") from error
    match = Match(CallKind(kind) if kind else None, path=document.get("path", ""))
    return Fault(match, action, times=document.get("times", 1), after=document.get("after", 0))


def call_from_json(document: Mapping[str, Any]) -> Call:
    """The call that `to_json` made DOCUMENT from."""
    return Call(**{**document, "kind": CallKind(document["kind"])})


def item_from_json(document: Mapping[str, Any]) -> StoredItem:
    """The item that `to_json` made DOCUMENT from."""
    authors = {name: Author(**document[name]) for name in ("author", "editor")}
    return StoredItem(**{**document, **authors})


def switch_from_json(present: object, value: Any) -> Any:
    """VALUE in the type of the switch's PRESENT value; raise ValueError if it is none of an enum's values."""
    if isinstance(present, Enum):
        return type(present)(value)
    if isinstance(present, Mapping):
        return {name: ColumnType(column) for name, column in value.items()}
    return tuple(value) if isinstance(value, list) else value
