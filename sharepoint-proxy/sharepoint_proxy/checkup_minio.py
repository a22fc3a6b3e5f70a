"""The check-up's steps in MinIO: user, buckets, listing, versioning, and the rules that tell the service of each change."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sharepoint_proxy.errors import ProxyError
from sharepoint_proxy.findings import Finding, Step, Verdict

_DEFAULT_ARN = "arn:minio:sqs::SHAREPOINT:"
_PAGES = {"webhook": "docs/docker.md", "kafka": "docs/kafka.md"}
_SCRIPT = "`scripts/configure-minio ALIAS`, ALIAS being an administrator's alias of mc,"
_FIRST_PAGE = 1000
_WORDS = {
    "put": ("s3:ObjectCreated:", frozenset({"Put", "Post", "Copy", "CompleteMultipartUpload"})),
    "delete": ("s3:ObjectRemoved:", frozenset({"Delete", "DeleteMarkerCreated"})),
}
"""The words of `mc event add --event`, and the events that a rule must take for each where it does not take the family whole."""

_READS = "s3:ObjectAccessed:"
_ADVICE = {
    "InvalidAccessKeyId": f"MinIO knows no such user: correct MINIO_ACCESS_KEY, or let {_SCRIPT} make the user.",
    "SignatureDoesNotMatch": f"MINIO_SECRET_KEY is not that user's password: correct it, or let {_SCRIPT} set it.",
    "RequestTimeTooSkewed": "MinIO's clock and this machine's are too far apart: set both by NTP (`timedatectl set-ntp true`).",
    "AuthorizationHeaderMalformed": "MINIO_REGION must be the server's region, which is us-east-1 where nobody chose one.",
    "NoSuchBucket": f"The bucket does not exist: correct MINIO_BUCKETS or ROUTES_FILE, or let {_SCRIPT} make it.",
    "AccessDenied": f"The user's policy lacks a right: {_SCRIPT} gives all that is needed.",
    "NewConnectionError": "Nothing listens there: start MinIO, or correct MINIO_ENDPOINT (inside a container localhost is the container itself).",
    "ConnectTimeoutError": "Correct MINIO_ENDPOINT, or let the firewall pass this machine.",
    "NameResolutionError": "The host is not known: correct MINIO_ENDPOINT.",
    "SSLError": "Correct http:// or https:// in MINIO_ENDPOINT; if MinIO's certificate is by your own authority, name that in REQUESTS_CA_BUNDLE.",
    "ProtocolError": "Correct MINIO_ENDPOINT: what listens there may want https://.",
    "cannot be read": "What answers there is not S3: correct MINIO_ENDPOINT (MinIO's console has another port than its S3 API).",
}
_TOOK_THE_USER = ("NoSuchBucket", "AccessDenied")
_OTHER_ADVICE = "Look at MinIO's own log, and check again."


class EventRule(Protocol):
    """A rule of a bucket: which events of which keys go where; `*` and `?` work in prefix and suffix."""

    @property
    def arn(self) -> str: ...
    @property
    def events(self) -> frozenset[str]: ...
    @property
    def prefix(self) -> str: ...
    @property
    def suffix(self) -> str: ...


class Source(Protocol):
    """What MinIO says of its buckets; raises ProxyError, with MinIO's code in the text."""

    def bucket_exists(self, bucket: str) -> bool: ...
    def count_first_page(self, bucket: str, prefix: str) -> int: ...
    def versioning(self, bucket: str) -> str: ...
    def event_rules(self, bucket: str) -> Sequence[EventRule]: ...


@dataclass(frozen=True, slots=True)
class Watched:
    """A bucket, the prefixes of it that are mirrored ("" = all), and how their events come: by "webhook" or "kafka"."""

    bucket: str
    prefixes: tuple[str, ...]
    way: str = "webhook"


def user_step(endpoint: str) -> Step:
    """The step that signs in."""
    return Step("MinIO", f"sign a request to {endpoint} with MINIO_ACCESS_KEY and MINIO_SECRET_KEY")


def user_finding(step: Step, source: Source, bucket: str) -> Finding:
    """Whether MinIO is there and knows the user, which is asked by a request about BUCKET."""
    try:
        source.count_first_page(bucket, "")
    except ProxyError as error:
        if not any(code in str(error) for code in _TOOK_THE_USER):
            return _failed(step, error)
    return step.ok("MinIO knows the user")


def check_bucket(source: Source, watched: Watched) -> Iterator[Finding]:
    """Everything about one bucket."""
    found = _bucket_finding(_bucket_step(watched.bucket), source, watched.bucket)
    yield found
    if found.verdict is not Verdict.OK:
        yield from (step.skipped("the step bucket") for step in _steps_inside(watched))
        return
    for prefix in watched.prefixes:
        yield _listing_finding(_listing_step(watched.bucket, prefix), source, watched.bucket, prefix)
    yield _versioning_finding(_versioning_step(watched.bucket), source, watched.bucket)
    yield from _rule_findings(source, watched)


def skip_bucket(watched: Watched, needs: str) -> Iterator[Finding]:
    """Nothing about one bucket can be asked, for want of NEEDS."""
    yield from (step.skipped(needs) for step in (_bucket_step(watched.bucket), *_steps_inside(watched)))


def _steps_inside(watched: Watched) -> Iterator[Step]:
    yield from (_listing_step(watched.bucket, prefix) for prefix in watched.prefixes)
    yield _versioning_step(watched.bucket)
    yield from (_rule_step(watched.bucket, prefix) for prefix in watched.prefixes)


def _bucket_step(bucket: str) -> Step:
    return Step("bucket", f"look for the bucket {bucket}")


def _listing_step(bucket: str, prefix: str) -> Step:
    return Step("objects", f"list {bucket}/{prefix}")


def _versioning_step(bucket: str) -> Step:
    return Step("versioning", f"ask whether {bucket} keeps versions")


def _rule_step(bucket: str, prefix: str) -> Step:
    return Step("event rules", f"look for a rule for {bucket}/{prefix}")


def _failed(step: Step, error: ProxyError) -> Finding:
    return step.failed(str(error), advice=_advice(error))


def _advice(error: ProxyError) -> str:
    return next((advice for sign, advice in _ADVICE.items() if sign in str(error)), _OTHER_ADVICE)


def _bucket_finding(step: Step, source: Source, bucket: str) -> Finding:
    try:
        is_there = source.bucket_exists(bucket)
    except ProxyError as error:
        return _failed(step, error)
    return step.ok("it is there") if is_there else step.failed("it does not exist", advice=_ADVICE["NoSuchBucket"])


def _listing_finding(step: Step, source: Source, bucket: str, prefix: str) -> Finding:
    try:
        count = source.count_first_page(bucket, prefix)
    except ProxyError as error:
        return _failed(step, error)
    if count >= _FIRST_PAGE:
        return step.ok(f"{count} objects or more")
    return step.ok({0: "no object yet", 1: "1 object"}.get(count, f"{count} objects"))


def _versioning_finding(step: Step, source: Source, bucket: str) -> Finding:
    try:
        state = source.versioning(bucket)
    except ProxyError as error:
        # The mirror does without knowing it.
        return step.warning(str(error), advice=_advice(error))
    return step.ok(f"versioning is {state.lower()}; the mirror works either way")


def _rule_findings(source: Source, watched: Watched) -> Iterator[Finding]:
    try:
        rules = source.event_rules(watched.bucket)
    except ProxyError as error:
        for prefix in watched.prefixes:
            yield _rule_step(watched.bucket, prefix).warning(str(error), advice=_advice(error))
        return
    for prefix in watched.prefixes:
        step = _rule_step(watched.bucket, prefix)
        yield rule_finding(step, rules, bucket=watched.bucket, prefix=prefix, way=watched.way)


def rule_finding(step: Step, rules: Sequence[EventRule], *, bucket: str, prefix: str, way: str = "webhook") -> Finding:
    """Whether every change below PREFIX goes the WAY that the service listens to, as far as the RULES of the bucket tell."""
    ours = [rule for rule in rules if rule.arn.endswith(f":{way}")]
    covering = [rule for rule in ours if _covers(rule, prefix)]
    arn = (covering or ours)[0].arn if ours else f"{_DEFAULT_ARN}{way}"
    if not covering:
        return step.failed(_what_there_is(rules, ours, way), advice=_add_advice(bucket, prefix, arn, ["put", "delete"]))
    taken = frozenset().union(*(rule.events for rule in covering))
    missing = [word for word in _WORDS if not _takes(taken, word)]
    if missing:
        found = f"the rule for {arn} does not take {' and '.join(missing)}: such changes would never arrive"
        return step.failed(found, advice=_add_advice(bucket, prefix, arn, missing))
    reading = next((rule for rule in covering if _takes_reads(rule)), None)
    if reading is not None:
        found = f"put and delete go to {arn}, but get does too: every read of the service itself raises an event"
        return step.warning(found, advice=_replace_advice(bucket, reading))
    return step.ok(f"put and delete go to {arn}")


def _covers(rule: EventRule, prefix: str) -> bool:
    """True if the rule takes every key below PREFIX."""
    wildcards = {"*": ".*", "?": "."}
    pattern = "".join(wildcards.get(character, re.escape(character)) for character in rule.prefix)
    return not rule.suffix.strip("*") and re.match(pattern, prefix, re.DOTALL) is not None


def _takes(events: frozenset[str], word: str) -> bool:
    family, needed = _WORDS[word]
    return f"{family}*" in events or {f"{family}{name}" for name in needed} <= events


def _takes_reads(rule: EventRule) -> bool:
    return any(event.startswith(_READS) for event in rule.events)


def _what_there_is(rules: Sequence[EventRule], ours: Sequence[EventRule], way: str) -> str:
    if not rules:
        return "the bucket has no rule at all"
    where = "a webhook" if way == "webhook" else "Kafka"
    if not ours:
        return f"the bucket's rules go to {', '.join(sorted({rule.arn for rule in rules}))}, none to {where}"
    others = ", ".join(sorted({f"{rule.prefix}*{rule.suffix}" for rule in ours}))
    return f"the bucket's rules for {where} are for {others}: none takes all of it"


def _add_advice(bucket: str, prefix: str, arn: str, words: Sequence[str]) -> str:
    way = arn.rpartition(":")[2]
    return (
        f"Add it: `{_command('add', bucket, prefix, arn, words)} --ignore-existing`; {_SCRIPT} does so for all prefixes. If MinIO says"
        f" that the ARN does not exist, it has no {way} target: start it with MINIO_NOTIFY_{way.upper()}_ENABLE_SHAREPOINT=on and"
        f" the variables beside it ({_PAGES[way]})."
    )


def _replace_advice(bucket: str, rule: EventRule) -> str:
    families = {"put": "s3:ObjectCreated:", "delete": "s3:ObjectRemoved:", "get": _READS}
    words = [word for word, family in families.items() if any(event.startswith(family) for event in rule.events)]
    remove = _command("remove", bucket, rule.prefix, rule.arn, words)
    add = _command("add", bucket, rule.prefix, rule.arn, ["put", "delete"])
    return f"While nobody writes: `{remove}`, then `{add}`."


def _command(verb: str, bucket: str, prefix: str, arn: str, words: Sequence[str]) -> str:
    limited = f" --prefix {shlex.quote(prefix)}" if prefix else ""
    return f"mc event {verb} ALIAS/{bucket} {arn} --event {','.join(words)}{limited}"
