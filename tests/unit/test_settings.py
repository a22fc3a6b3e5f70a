"""Each setting is understood in every form that an administrator may write, and refused with a sentence otherwise."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
from unit.variables import REQUIRED, TENANT, only_problem_with, read_with, settings_with

from sharepoint_proxy.environment import read
from sharepoint_proxy.settings import VARIABLES, Endpoint, Settings, SitePath

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def test_it_reads_the_required_variables_and_has_defaults_for_the_others() -> None:
    settings = settings_with()

    assert settings.public() == {
        "tenant_id": TENANT,
        "client_id": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "cert_path": "/certs/app.cer",
        "key_path": "/certs/app.key",
        "key_passphrase": None,
        "authority": f"https://login.microsoftonline.com/{TENANT}",
        "graph_scope": "https://graph.microsoft.com/.default",
        "graph_base_url": "https://graph.microsoft.com/v1.0",
        "site_path": "contoso.sharepoint.com:/sites/team",
        "document_library": None,
        "webhook_secret": "***",
        "webhook_secret_previous": None,
        "minio_endpoint": "http://minio:9000",
        "minio_access_key": "***",
        "minio_secret_key": "***",
        "minio_region": "us-east-1",
        "minio_buckets": ["lycee"],
        "allowed_prefixes": "administration/,bts-sio/",
        "bucket_as_folder": False,
        "data_dir": "/data",
        "upload_workers": 32,
        "large_uploads": 8,
        "chunk_bytes": None,
        "delete_grace_seconds": 2.0,
        "reconcile_hours": 24.0,
        "metadata_columns": [],
        "routes_file": None,
        "bandwidth_limit_mbit": 0.0,
        "bandwidth_schedule": None,
        "sync_wait_seconds": 25.0,
        "sync_max_lag_seconds": 5.0,
        "max_attempts": 12,
        "max_delete_percent": 10.0,
        "kafka_brokers": [],
        "kafka_topic": "minio-events",
        "kafka_dead_letter_topic": None,
        "kafka_group": "sharepoint-proxy",
        "kafka_session_seconds": 10,
        "kafka_security_protocol": "PLAINTEXT",
        "kafka_sasl_mechanism": None,
        "kafka_sasl_username": None,
        "kafka_sasl_password": None,
        "kafka_ca_path": None,
        "kafka_cert_path": None,
        "kafka_key_path": None,
        "admin_password": None,
        "log_level": "info",
        "port": 8080,
    }
    assert settings.known_authority


def test_a_stand_in_has_the_type_that_its_field_declares() -> None:
    settings = read({}).settings
    hints = get_type_hints(Settings)

    for name in VARIABLES:
        value = getattr(settings, name)
        if isinstance(value, tuple):
            assert all(isinstance(item, str) for item in value)
        else:
            assert isinstance(value, hints[name]), name


def test_a_stand_in_for_a_secret_can_be_sent_by_nobody() -> None:
    settings = read({}).settings

    assert not settings.webhook_secret.isprintable()
    assert not settings.minio_secret_key.isprintable()


def test_its_repr_and_its_public_form_show_no_secret() -> None:
    secrets = {
        variable.name: f"verraten-{number}" for number, variable in enumerate(VARIABLES.values()) if variable.secret
    }
    settings = read(REQUIRED | secrets).settings

    assert settings.webhook_secret.startswith("verraten-")
    assert "verraten" not in repr(settings)
    assert "verraten" not in json.dumps(settings.public())
    assert repr(settings).count("'***'") == len(secrets)


def test_every_required_variable_is_asked_for_at_once() -> None:
    problems = read({}).problems

    assert [problem.split(" is not set: give ")[0] for problem in problems] == list(REQUIRED)


@pytest.mark.parametrize(
    ("text", "authority", "known"),
    [
        ("https://login.microsoftonline.com", f"https://login.microsoftonline.com/{TENANT}", True),
        (f"https://login.microsoftonline.com/{TENANT}/", f"https://login.microsoftonline.com/{TENANT}", True),
        ("HTTPS://Login.MicrosoftOnline.us", f"https://login.microsoftonline.us/{TENANT}", True),
        ("https://login.partner.microsoftonline.cn/", f"https://login.partner.microsoftonline.cn/{TENANT}", True),
        ("https://login.chinacloudapi.cn", f"https://login.chinacloudapi.cn/{TENANT}", True),
        ("https://login.windows.net", f"https://login.windows.net/{TENANT}", True),
        ("https://login.microsoftonline.de", f"https://login.microsoftonline.de/{TENANT}", True),
        ("https://localhost:/", f"https://localhost/{TENANT}", False),
        ("https://localhost:8443", f"https://localhost:8443/{TENANT}", False),
        ("https://[::1]:8443/", f"https://[::1]:8443/{TENANT}", False),
        (
            "https://login.microsoftonline.com.example.org",
            f"https://login.microsoftonline.com.example.org/{TENANT}",
            False,
        ),
    ],
)
def test_an_authority_gets_the_tenant_and_is_known_if_it_is_microsofts(text: str, authority: str, known: bool) -> None:  # noqa: FBT001 - a table's column
    settings = settings_with(AUTHORITY=text)

    assert (settings.authority, settings.known_authority) == (authority, known)


@pytest.mark.parametrize(
    ("text", "host", "relative_path"),
    [
        ("contoso.sharepoint.com:/sites/team", "contoso.sharepoint.com", "/sites/team"),
        ("contoso.sharepoint.com:/sites/team/", "contoso.sharepoint.com", "/sites/team"),
        ("contoso.sharepoint.com:/sites/team:", "contoso.sharepoint.com", "/sites/team"),
        ("contoso.sharepoint.com/sites/team", "contoso.sharepoint.com", "/sites/team"),
        ("https://Contoso.sharepoint.com/sites/team/", "contoso.sharepoint.com", "/sites/team"),
        ("https://contoso.sharepoint.com/sites/%C3%A9quipe%20B", "contoso.sharepoint.com", "/sites/équipe B"),
        ("contoso.sharepoint.com:/sites/team/sub", "contoso.sharepoint.com", "/sites/team/sub"),
        ("contoso.sharepoint.com", "contoso.sharepoint.com", ""),
        ("contoso.sharepoint.com:", "contoso.sharepoint.com", ""),
        ("contoso.sharepoint.com:/", "contoso.sharepoint.com", ""),
        ("https://contoso.sharepoint.com/", "contoso.sharepoint.com", ""),
        ("localhost:/sites/team", "localhost", "/sites/team"),
    ],
)
def test_a_site_may_be_written_as_graph_or_as_a_browser_does(text: str, host: str, relative_path: str) -> None:
    assert settings_with(SITE_PATH=text).site_path == SitePath(host=host, relative_path=relative_path)


@pytest.mark.parametrize(
    ("text", "endpoint", "address"),
    [
        ("http://minio:9000", Endpoint(host="minio", port=9000, secure=False), "minio:9000"),
        ("https://s3.example.org/", Endpoint(host="s3.example.org", port=443, secure=True), "s3.example.org:443"),
        ("http://s3.example.org", Endpoint(host="s3.example.org", port=80, secure=False), "s3.example.org:80"),
        ("https://[fd00::1]:9000", Endpoint(host="fd00::1", port=9000, secure=True), "[fd00::1]:9000"),
    ],
)
def test_an_endpoint_is_taken_apart(text: str, endpoint: Endpoint, address: str) -> None:
    assert settings_with(MINIO_ENDPOINT=text).minio_endpoint == endpoint
    assert endpoint.address == address


@pytest.mark.parametrize(
    ("mebibytes", "expected"),
    [("10", 10_485_760), ("1", 3 * 327_680), ("1.24", 3 * 327_680), ("1.25", 4 * 327_680), ("59", 188 * 327_680)],
)
def test_the_fragment_size_is_rounded_down_to_what_graph_takes(mebibytes: str, expected: int) -> None:
    assert settings_with(CHUNK_MIB=mebibytes).chunk_bytes == expected
    assert expected < 60 * 1024 * 1024


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "On"])
def test_a_switch_can_be_put_on(text: str) -> None:
    assert settings_with(BUCKET_AS_FOLDER=text).bucket_as_folder is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "OFF"])
def test_a_switch_can_be_put_off(text: str) -> None:
    assert settings_with(BUCKET_AS_FOLDER=text).bucket_as_folder is False


def test_lists_may_have_spaces_repetitions_and_a_comma_too_many() -> None:
    reading = read_with(MINIO_BUCKETS=" lycee, archives ,lycee,", METADATA_COLUMNS="auteur=Auteur , titre = Title")

    assert reading.problems == ()
    assert reading.settings.minio_buckets == ("lycee", "archives")
    assert reading.settings.metadata_columns == (("auteur", "Auteur"), ("titre", "Title"))


@pytest.mark.parametrize(
    ("workers", "large", "expected"),
    [("2", "", 1), ("4", "", 1), ("9", "", 2), ("64", "", 16), ("1", "", 1), ("1", "1", 1), ("64", "63", 63)],
)
def test_some_worker_is_always_left_for_small_files(workers: str, large: str, expected: int) -> None:
    assert settings_with(UPLOAD_WORKERS=workers, LARGE_UPLOADS=large).large_uploads == expected


@pytest.mark.parametrize(("workers", "large"), [("4", "4"), ("4", "5"), ("1", "2"), ("", "32")])
def test_large_uploads_that_leave_no_worker_are_refused(workers: str, large: str) -> None:
    problem = only_problem_with(UPLOAD_WORKERS=workers, LARGE_UPLOADS=large)

    assert problem.startswith(f"LARGE_UPLOADS is {large}: with {workers or 32} UPLOAD_WORKERS it must be at most ")


def test_one_sentence_is_said_about_one_wrong_value() -> None:
    assert "a whole number" in only_problem_with(UPLOAD_WORKERS="4", LARGE_UPLOADS="many")
    assert read_with(WEBHOOK_SECRET="too short").warnings == ()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("TENANT_ID", "common", "it must be one tenant"),
        ("TENANT_ID", "my tenant", "without spaces"),
        ("CLIENT_ID", "${CLIENT_ID}", "letters, digits"),
        ("AUTHORITY", "http://login.microsoftonline.com", "begins with https://"),
        ("AUTHORITY", "login.microsoftonline.com", "begins with https://"),
        ("AUTHORITY", "https://login.microsoftonline.com/${TENANT_ID}", "placeholders"),
        ("AUTHORITY", "https://login.microsoftonline.com/common", "one tenant"),
        ("AUTHORITY", f"https://login.microsoftonline.com/{TENANT}/v2.0", "ends with the tenant"),
        ("AUTHORITY", "https://[::1", "begins with https://"),
        ("AUTHORITY", "https://host:99999", "begins with https://"),
        ("GRAPH_SCOPE", "https://graph.microsoft.com/Files.Read", "/.default"),
        ("GRAPH_SCOPE", "https://a/.default https://b/.default", "one scope"),
        ("GRAPH_BASE_URL", "http://graph.microsoft.com/v1.0", "begins with https://"),
        ("GRAPH_BASE_URL", "https://graph.microsoft.com/v1.0?x=1", "without user, password, query"),
        ("GRAPH_BASE_URL", "https://graph.microsoft.com/v1.0#sites", "without user, password, query"),
        ("SITE_PATH", "https://contoso.sharepoint.com/sites/te%00am", "it must be a site, like"),
        ("SITE_PATH", "/sites/team", "it must be a site, like"),
        ("SITE_PATH", "sites/team", "it must be a site, like"),
        ("SITE_PATH", "http://contoso.sharepoint.com/sites/team", "it must be a site, like"),
        ("SITE_PATH", "https://contoso.sharepoint.com/sites/team/Docs/Forms/AllItems.aspx", "without library, page"),
        ("SITE_PATH", "https://contoso.sharepoint.com/sites/team?web=1", "query"),
        ("SITE_PATH", "contoso.sharepoint.com:/sites//team", "it must be a site, like"),
        ("SITE_PATH", "contoso.sharepoint.com:/sites/../team", "it must be a site, like"),
        ("DOCUMENT_LIBRARY", "Documents partages/Sub", "ALLOWED_PREFIXES"),
        ("MINIO_ENDPOINT", "ftp://minio:21", "http:// or https://"),
        ("MINIO_ENDPOINT", "http://minio:9000/lycee", "without a path or bucket"),
        ("MINIO_ENDPOINT", "http://minio:0", "begins with http://"),
        ("MINIO_REGION", "eu west", "a region's name"),
        ("MINIO_BUCKETS", "Lycee", "bucket names"),
        ("MINIO_BUCKETS", "lycee,ab", "bucket names"),
        ("MINIO_BUCKETS", "192.168.1.1", "bucket names"),
        ("MINIO_BUCKETS", "a..b", "bucket names"),
        ("MINIO_BUCKETS", ",", "a list"),
        ("BUCKET_AS_FOLDER", "maybe", "it must be one of"),
        ("UPLOAD_WORKERS", "0", "from 1 to 64"),
        ("UPLOAD_WORKERS", "65", "from 1 to 64"),
        ("UPLOAD_WORKERS", "4.5", "a whole number"),
        ("UPLOAD_WORKERS", "-1", "a whole number"),
        ("UPLOAD_WORKERS", "1_0", "a whole number"),
        ("UPLOAD_WORKERS", "٤", "a whole number"),
        ("UPLOAD_WORKERS", "16 # threads", "a whole number"),
        ("CHUNK_MIB", "0.5", "from 1 to 59"),
        ("CHUNK_MIB", "60", "from 1 to 59"),
        ("CHUNK_MIB", "2,5", "with a point for decimals"),
        ("SYNC_WAIT_SECONDS", "56", "from 0 to 55"),
        ("SYNC_WAIT_SECONDS", "nan", "from 0 to 55"),
        ("SYNC_MAX_LAG_SECONDS", "inf", "from 0 to 3600"),
        ("DELETE_GRACE_SECONDS", "-2", "from 0 to 3600"),
        ("DELETE_GRACE_SECONDS", "1e3", "from 0 to 3600"),
        ("RECONCILE_HOURS", "9999", "from 0 to 8760"),
        ("MAX_DELETE_PERCENT", "101", "from 0 to 100"),
        ("MAX_ATTEMPTS", "0", "from 1 to 1000"),
        ("BANDWIDTH_LIMIT_MBIT", "much", "from 0 to 100000"),
        ("BANDWIDTH_SCHEDULE", "25:00=4", "a list of times"),
        ("BANDWIDTH_SCHEDULE", "07:30", "a list of times"),
        ("METADATA_COLUMNS", "auteur", "a list like"),
        ("METADATA_COLUMNS", "auteur=A=B", "a list like"),
        ("METADATA_COLUMNS", "auteur=A,auteur=B", "each name once"),
        ("LOG_LEVEL", "loud", "debug, info, warning"),
        ("PORT", "65536", "from 1 to 65535"),
        ("DATA_DIR", "/da\0ta", "control characters"),
        ("DOCUMENT_LIBRARY", "Docs\udce9", "UTF-8"),
        ("ALLOWED_PREFIXES", "a/,\nb/", "one line"),
    ],
)
def test_a_wrong_value_is_named_shown_and_explained(name: str, text: str, words: str) -> None:
    problem = only_problem_with(**{name: text})

    assert problem.startswith(f"{name} is '{text[:1]}")
    assert words in problem
    assert problem.endswith(".")
    assert problem.isprintable()


@pytest.mark.parametrize("name", ["WEBHOOK_SECRET", "WEBHOOK_SECRET_PREVIOUS"])
@pytest.mark.parametrize("text", ["Bearer 0123456789abcdef", "0123456789abcdéf", "0123456789\tabcdef"])
def test_a_token_that_minio_would_not_send_as_a_bearer_is_refused_without_being_shown(name: str, text: str) -> None:
    problem = only_problem_with(**{name: text})

    assert problem.startswith(f"{name} cannot be used: it must be one ")
    assert "0123456789" not in problem


def test_an_unusable_value_leaves_the_others_as_they_are() -> None:
    reading = read_with(UPLOAD_WORKERS="many", PORT="9090", LOG_LEVEL="DEBUG")

    assert len(reading.problems) == 1
    assert (reading.settings.upload_workers, reading.settings.port, reading.settings.log_level) == (32, 9090, "debug")


def example_lines(pattern: str) -> dict[str, str]:
    return dict(re.findall(pattern, EXAMPLE.read_text(), re.MULTILINE))


def test_the_example_file_names_every_variable_with_its_default() -> None:
    required = example_lines(r"^([A-Z_]+)=(.+)$")
    optional = example_lines(r"^#([A-Z_]+)=(.*)$")
    variables = VARIABLES.values()

    assert required.keys() == REQUIRED.keys() | {"MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"}
    assert {variable.name for variable in variables if variable.required} == REQUIRED.keys()
    for variable in variables:
        if not variable.required:
            assert optional[variable.name] == (variable.default or ""), variable.name


def test_the_example_file_can_be_read_as_it_is() -> None:
    reading = read(example_lines(r"^([A-Z_]+)=(.+)$"))

    assert reading.problems == ()
    assert [warning.split(" still has")[0] for warning in reading.warnings] == ["MINIO_SECRET_KEY", "WEBHOOK_SECRET"]


def test_the_defaults_of_the_example_file_change_nothing() -> None:
    required = example_lines(r"^([A-Z_]+)=(.+)$")

    assert read(example_lines(r"^#?([A-Z_]+)=(.*)$")) == read(required)


def test_each_field_has_its_variable() -> None:
    assert list(VARIABLES) == [item.name for item in fields(Settings)]
    assert {variable.name for variable in VARIABLES.values()} == {
        "CHUNK_MIB" if name == "chunk_bytes" else name.upper() for name in VARIABLES
    }
