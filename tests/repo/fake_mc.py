"""A stand-in for MinIO's client that keeps its server in one JSON file and refuses what the real pair refuses.

Started as `python fake_mc.py STATE ARGUMENTS...`. STATE also records each call with its standard input. The refusals are those of
mc (cmd/mb-main.go, cmd/event-add.go, cmd/admin-policy-attach.go) and of MinIO (internal/event/errors.go, cmd/api-errors.go).
"""

import json
import sys
from pathlib import Path
from typing import Any

OVERLAP = "An object key name filtering rule defined with overlapping prefixes for the same event types."


class RefusedError(Exception):
    """The server's answer is an error with this text."""


def option(arguments: list[str], name: str) -> str:
    """The argument after NAME, "" if it is not given."""
    return arguments[arguments.index(name) + 1] if name in arguments else ""


def make_bucket(server: dict[str, Any], arguments: list[str]) -> None:
    if arguments[-1] in server["buckets"] and "--ignore-existing" not in arguments:
        raise RefusedError("Your previous request to create the named bucket succeeded and you already own it.")
    server["buckets"].setdefault(arguments[-1], [])


def add_event(server: dict[str, Any], arguments: list[str]) -> None:
    bucket, arn = arguments[2:4]
    rule = {"arn": arn, "event": option(arguments, "--event"), "prefix": option(arguments, "--prefix")}
    if arn not in server["arns"]:
        raise RefusedError("A specified destination ARN does not exist or is not well-formed.")
    if rule in server["buckets"][bucket]:
        if "--ignore-existing" in arguments:
            return
        raise RefusedError(OVERLAP)
    server["buckets"][bucket].append(rule)


def administer(server: dict[str, Any], arguments: list[str], typed: str) -> None:
    match arguments:
        case ["info", "--json", _]:
            sys.stdout.write(json.dumps({"status": "success", "info": {"sqsARN": server["arns"]}}, indent=4))
        case ["policy", "create", _, name, "/dev/stdin"]:
            server["policies"][name] = json.loads(typed)
        case ["user", "add", _]:
            user, password = typed.splitlines()
            server["users"].setdefault(user, {"policies": []})["password"] = password
        case ["policy", "attach", _, name, "--user", user]:
            if name not in server["policies"] or user not in server["users"]:
                raise RefusedError("The specified policy or user does not exist.")
            if name in server["users"][user]["policies"]:
                raise RefusedError("The specified policy change is already in effect.")
            server["users"][user]["policies"].append(name)
        case _:
            raise RefusedError(f"fake_mc knows no admin command {arguments}")


def answer(server: dict[str, Any], arguments: list[str], typed: str) -> None:
    if server["down"]:
        raise RefusedError("connection refused")
    match arguments:
        case ["alias", "set", name, url]:
            server["aliases"][name] = [url, *typed.splitlines()]
        case ["mb", *_]:
            make_bucket(server, arguments)
        case ["event", "add", *_]:
            add_event(server, arguments)
        case ["admin", *rest]:
            administer(server, rest, typed)
        case _:
            raise RefusedError(f"fake_mc knows no command {arguments}")


def main() -> int:
    state = Path(sys.argv[1])
    arguments = sys.argv[2:]
    reads = arguments[:2] == ["alias", "set"] or arguments[:3] in (
        ["admin", "policy", "create"],
        ["admin", "user", "add"],
    )
    typed = sys.stdin.read() if reads else ""
    server = json.loads(state.read_text())
    server["calls"].append(arguments)
    try:
        answer(server, arguments, typed)
    except RefusedError as refusal:
        sys.stderr.write(f"mc: <ERROR> {refusal}\n")
        return 1
    finally:
        state.write_text(json.dumps(server))
    return 0


if __name__ == "__main__":
    sys.exit(main())
