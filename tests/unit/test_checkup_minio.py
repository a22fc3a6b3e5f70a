"""Which event rules tell the service of every change below a prefix, and what is advised where they do not."""

from dataclasses import dataclass

import pytest

from sharepoint_proxy.checkup_minio import Watched, check_bucket, rule_finding, skip_bucket, user_finding, user_step
from sharepoint_proxy.errors import OutageError, ProxyError, Subject, TransientError
from sharepoint_proxy.findings import Finding, Step, Verdict

WEBHOOK = "arn:minio:sqs::SHAREPOINT:webhook"
KAFKA = "arn:minio:sqs::SHAREPOINT:kafka"
BOTH = frozenset({"s3:ObjectCreated:*", "s3:ObjectRemoved:*"})
PREFIX = "administration/"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the bucket, by default one that takes all it should."""

    prefix: str = PREFIX
    events: frozenset[str] = BOTH
    arn: str = WEBHOOK
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """A MinIO that says one thing to everything, or fails so."""

    error: ProxyError | None = None
    denied: str = ""

    def bucket_exists(self, _: str) -> bool:
        self._answer("bucket")
        return True

    def count_first_page(self, bucket: str, _: str) -> int:
        self._answer("list")
        return {"full": 1000, "one": 1}.get(bucket, 0)

    def versioning(self, _: str) -> str:
        self._answer("versioning")
        return "Enabled"

    def event_rules(self, _: str) -> list[Rule]:
        self._answer("rules")
        return [Rule()]

    def _answer(self, what: str) -> None:
        if self.error is not None:
            raise self.error
        if what == self.denied:
            raise OutageError("MinIO refuses to let x be read (AccessDenied).", subject=Subject.MINIO)


def judged(*rules: Rule, prefix: str = PREFIX) -> Finding:
    """What is found of RULES."""
    return rule_finding(Step("event rules", "look"), rules, bucket="lycee", prefix=prefix)


def found_in(source: Answers, *, bucket: str = "lycee") -> dict[str, Finding]:
    """What is found of one bucket with one prefix, by step."""
    return {finding.step: finding for finding in check_bucket(source, Watched(bucket, (PREFIX,)))}


@pytest.mark.parametrize(
    "rules",
    [
        [Rule()],
        [Rule(prefix="")],
        [Rule(prefix="admin")],
        [Rule(prefix="adm*")],
        [Rule(prefix="?dministration/")],
        [Rule(suffix="*")],
        [Rule(events=frozenset({"s3:ObjectCreated:*"})), Rule(events=frozenset({"s3:ObjectRemoved:*"}), prefix="")],
        [
            Rule(
                events=frozenset(f"s3:ObjectCreated:{name}" for name in ("Put", "Post", "Copy", "CompleteMultipartUpload"))
                | frozenset(f"s3:ObjectRemoved:{name}" for name in ("Delete", "DeleteMarkerCreated"))
            )
        ],
        [Rule(arn="arn:minio:sqs::LOG:kafka"), Rule()],
    ],
)  # fmt: skip
def test_a_rule_that_takes_every_change_is_enough(rules: list[Rule]) -> None:
    assert judged(*rules).verdict is Verdict.OK
    assert judged(*rules).found == f"put and delete go to {WEBHOOK}"


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([], "no rule at all"),
        ([Rule(arn="arn:minio:sqs::LOG:kafka")], "none to a webhook"),
        ([Rule(prefix="administration/2024/")], "for administration/2024/*: none takes all of it"),
        ([Rule(prefix="bts-sio/")], "none takes all of it"),
        ([Rule(suffix=".pdf")], "administration/*.pdf"),
        ([Rule(prefix="Administration/")], "none takes all of it"),
    ],
)
def test_a_rule_for_something_else_is_not_enough(rules: list[Rule], said: str) -> None:
    finding = judged(*rules)

    assert finding.verdict is Verdict.FAILED
    assert said in finding.found
    assert f"`mc event add ALIAS/lycee {WEBHOOK} --event put,delete --prefix administration/" in finding.advice


def test_a_rule_for_everything_is_advised_where_everything_is_mirrored() -> None:
    assert f"{WEBHOOK} --event put,delete --ignore-existing" in judged(prefix="").advice
    assert judged(Rule(), prefix="").verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        ({"s3:ObjectCreated:*"}, "delete"),
        ({"s3:ObjectRemoved:*"}, "put"),
        ({"s3:ObjectCreated:Put", "s3:ObjectRemoved:*"}, "put"),
        ({"s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"}, "delete"),
        ({"s3:ObjectAccessed:*"}, "put,delete"),
    ],
)
def test_a_rule_that_lacks_a_kind_of_change_is_not_enough(events: set[str], missing: str) -> None:
    finding = judged(Rule(events=frozenset(events)))

    assert finding.verdict is Verdict.FAILED
    assert f"--event {missing} --prefix" in finding.advice


def test_a_rule_that_takes_reads_is_to_be_replaced() -> None:
    finding = judged(Rule(events=BOTH | {"s3:ObjectAccessed:*"}))

    assert finding.verdict is Verdict.WARNING
    assert f"`mc event remove ALIAS/lycee {WEBHOOK} --event put,delete,get --prefix administration/`" in finding.advice
    assert f"`mc event add ALIAS/lycee {WEBHOOK} --event put,delete --prefix administration/`" in finding.advice


def test_the_advice_names_the_servers_own_target_and_quotes_the_prefix() -> None:
    finding = judged(Rule(prefix="x/", arn="arn:minio:sqs:eu-west-3:SP:webhook"), prefix="l'été/")

    assert "arn:minio:sqs:eu-west-3:SP:webhook" in finding.advice
    assert """--prefix 'l'"'"'été/'""" in finding.advice


def test_a_policy_without_the_newer_rights_is_a_warning_only() -> None:
    """The mirror works without them; only the check-up cannot see."""
    for what, step in (("versioning", "versioning"), ("rules", "event rules")):
        found = found_in(Answers(denied=what))
        assert found[step].verdict is Verdict.WARNING
        assert "scripts/configure-minio" in found[step].advice


def test_a_policy_that_forbids_to_list_is_a_failure() -> None:
    assert found_in(Answers(denied="list"))["objects"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("bucket", "said"), [("lycee", "no object yet"), ("one", "1 object"), ("full", "1000 objects or more")]
)
def test_it_says_how_much_is_there(bucket: str, said: str) -> None:
    assert found_in(Answers(), bucket=bucket)["objects"].found == said


@pytest.mark.parametrize(
    ("error", "verdict", "advised"),
    [
        (None, Verdict.OK, ""),
        (TransientError("MinIO answered NoSuchBucket for lycee/."), Verdict.OK, ""),
        (OutageError("It refuses (AccessDenied).", subject=Subject.MINIO), Verdict.OK, ""),
        (OutageError("It refuses (InvalidAccessKeyId).", subject=Subject.MINIO), Verdict.FAILED, "MINIO_ACCESS_KEY"),
        (OutageError("It refuses (SignatureDoesNotMatch).", subject=Subject.MINIO), Verdict.FAILED, "MINIO_SECRET_KEY"),
        (TransientError("MinIO answered RequestTimeTooSkewed for x."), Verdict.FAILED, "timedatectl"),
        (TransientError("MinIO answered AuthorizationHeaderMalformed for x."), Verdict.FAILED, "MINIO_REGION"),
        (OutageError("MinIO cannot be reached (SSLError).", subject=Subject.MINIO), Verdict.FAILED, "https://"),
        (TransientError("MinIO's answer for x cannot be read."), Verdict.FAILED, "console"),
        (TransientError("Something new."), Verdict.FAILED, "MinIO's own log"),
    ],
)
def test_signing_in_tells_a_wrong_user_from_everything_else(
    error: ProxyError | None, verdict: Verdict, advised: str
) -> None:
    finding = user_finding(user_step("http://minio:9000"), Answers(error=error), "lycee")

    assert finding.verdict is verdict
    assert advised in finding.advice


def test_what_is_skipped_is_what_would_have_been_tried() -> None:
    watched = Watched("lycee", ("a/", "b/"))
    tried = [(finding.step, finding.tried) for finding in check_bucket(Answers(), watched)]
    skipped = [(finding.step, finding.tried) for finding in skip_bucket(watched, "the step MinIO")]

    assert skipped == tried


def test_where_events_come_by_kafka_the_rules_must_go_there() -> None:
    step = Step("event rules", "look")
    rules = [Rule(prefix=PREFIX, arn=WEBHOOK)]
    missing = rule_finding(step, rules, bucket="lycee", prefix=PREFIX, way="kafka")
    found = rule_finding(step, [*rules, Rule(prefix=PREFIX, arn=KAFKA)], bucket="lycee", prefix=PREFIX, way="kafka")

    assert missing.verdict is Verdict.FAILED
    assert "none to Kafka" in missing.found
    assert f"mc event add ALIAS/lycee {KAFKA}" in missing.advice
    assert "MINIO_NOTIFY_KAFKA_ENABLE_SHAREPOINT=on" in missing.advice
    assert found.verdict is Verdict.OK
