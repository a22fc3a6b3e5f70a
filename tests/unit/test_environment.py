"""The environment is read in one pass: files for secrets, old names, misspelt names, and no secret in any sentence."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.variables import REQUIRED, read_with, without

from sharepoint_proxy.environment import read
from sharepoint_proxy.settings import VARIABLES

NAMES = [variable.name for variable in VARIABLES.values()]
SECRETS = [variable.name for variable in VARIABLES.values() if variable.secret]
MARK = "verraten"


def test_it_reads_an_env_file_made_by_hand_long_ago() -> None:
    reading = read(
        {
            "TENANT_ID": "11111111-2222-3333-4444-555555555555",
            "CLIENT_ID": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "AUTHORITY": "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555",
            "GRAPH_SCOPE": "https://graph.microsoft.com/.default",
            "CERT_PATH": "/certs/app.pem",
            "KEY_PATH": "/certs/app.key",
            "SITE_PATH": "contoso.sharepoint.com:/sites/team",
            "DOCUMENT_LIBRARY": '"Documents"',
            "WEBHOOK_SECRET": "'0123456789abcdef'",
            "MINIO_ROOT_USER": "admin",
            "MINIO_ROOT_PASSWORD": "password",
            "ALLOWED_PREFIXES": "administration/",
        }
    )

    assert reading.problems == ()
    assert reading.settings.document_library == "Documents"
    assert reading.settings.webhook_secret == "0123456789abcdef"
    assert (reading.settings.minio_access_key, reading.settings.minio_secret_key) == ("admin", "password")
    (warning,) = reading.warnings
    assert "root user is used" in warning


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("  Docs \t", "Docs"), ('"Docs"', "Docs"), ("' Docs '", "Docs"), ("\"Docs'", "\"Docs'"), ('"', '"')],
)
def test_white_space_and_one_pair_of_quotes_are_no_part_of_a_value(raw: str, expected: str) -> None:
    assert read_with(DOCUMENT_LIBRARY=raw).settings.document_library == expected


@pytest.mark.parametrize("empty", ["", "   ", '""', "''", '"  "'])
def test_an_empty_value_means_unset(empty: str) -> None:
    assert read_with(**dict.fromkeys(set(NAMES) - REQUIRED.keys(), empty)) == read(REQUIRED)
    assert read_with(TENANT_ID=empty).problems == read(without("TENANT_ID")).problems


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "content", [b"0123456789-secret\n", b"0123456789-secret\r\n", b"\xef\xbb\xbf0123456789-secret"]
)
def test_a_secret_can_come_from_a_file(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    field = next(field for field, variable in VARIABLES.items() if variable.name == name)

    reading = read(without(name) | {f"{name}_FILE": str(tmp_path / "secret")})

    assert reading.problems == ()
    assert getattr(reading.settings, field) == "0123456789-secret"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("geheim")

    assert read_with(KEY_PASSPHRASE="geheim", KEY_PASSPHRASE_FILE=str(tmp_path / "secret")).problems == (
        "KEY_PASSPHRASE and KEY_PASSPHRASE_FILE are both set: keep one of them.",
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "(No such file or directory): correct the path or the mount."),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe\x00", "does not hold UTF-8 text"),
    ],
)
def test_a_secret_file_that_is_of_no_use_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)

    (problem,) = read(without("WEBHOOK_SECRET") | {"WEBHOOK_SECRET_FILE": str(path)}).problems

    assert problem.startswith(f"WEBHOOK_SECRET_FILE '{path}' ")
    assert words in problem


def test_a_secret_file_of_two_lines_is_refused_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("0123456789abcdef\nfedcba9876543210\n")

    (problem,) = read_with(WEBHOOK_SECRET="", WEBHOOK_SECRET_FILE=str(tmp_path / "secret")).problems

    assert problem.startswith("WEBHOOK_SECRET cannot be used: it must be one line")
    assert "0123456789" not in problem


def test_a_secret_in_the_place_of_its_files_path_is_not_shown() -> None:
    (problem,) = read_with(ADMIN_PASSWORD_FILE="korrekt-pferd").problems

    assert problem == "ADMIN_PASSWORD_FILE must be an absolute path, like /run/secrets/admin_password."


@pytest.fixture
def closed_file() -> Iterator[Path]:
    """A file in a folder that every user can enter, unlike pytest's own, which only root can read."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "secret"
        path.write_text("geheim")
        path.chmod(0o000)
        yield path


def test_a_secret_file_that_may_not_be_read_is_named_with_uid_and_command(closed_file: Path, ordinary_uid: int) -> None:
    (problem,) = read_with(KEY_PASSPHRASE_FILE=str(closed_file)).problems

    expected = f"KEY_PASSPHRASE_FILE '{closed_file}' cannot be read by uid {ordinary_uid} (Permission denied)"
    assert problem == f"{expected}: run `chown {ordinary_uid}` on it."


def test_the_root_user_stands_in_for_no_half_of_another_user() -> None:
    reading = read(without("MINIO_SECRET_KEY") | {"MINIO_ROOT_USER": "admin", "MINIO_ROOT_PASSWORD": "password"})

    assert reading.settings.minio_access_key == "reader"
    assert [problem.split()[0] for problem in reading.problems] == ["MINIO_SECRET_KEY"]


def test_the_root_user_can_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("password\n")
    root = {"MINIO_ROOT_USER": "admin", "MINIO_ROOT_PASSWORD_FILE": str(tmp_path / "password")}

    reading = read(without("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY") | root)

    assert reading.problems == ()
    assert (reading.settings.minio_access_key, reading.settings.minio_secret_key) == ("admin", "password")


def test_credentials_in_a_url_are_refused_without_being_shown() -> None:
    (problem,) = read_with(MINIO_ENDPOINT="http://admin:pass@word@minio:9000").problems

    assert problem.startswith("MINIO_ENDPOINT is 'http://***@minio:9000': it must be a plain URL")


def test_the_key_of_a_shared_link_and_endless_values_are_not_shown_in_full() -> None:
    link, long = read_with(
        SITE_PATH="https://c.sharepoint.com/:f:/s/team/Eabc?e=key", UPLOAD_WORKERS="9" * 1000
    ).problems

    assert link.startswith("SITE_PATH is 'https://c.sharepoint.com/:f:/s/team/Eabc?...': it must be")
    assert len(long) < 200


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"MINIO_ENDPOINT": "minio:9000"}, "MINIO_ENDPOINT names no protocol: http://minio:9000 is used."),
        ({"WEBHOOK_SECRET": "short"}, "WEBHOOK_SECRET has less than 16 characters"),
        ({"WEBHOOK_SECRET_PREVIOUS": "short"}, "WEBHOOK_SECRET_PREVIOUS has less than 16 characters"),
        ({"WEBHOOK_SECRET": "change-me-to-the-output-of-openssl-rand"}, "WEBHOOK_SECRET still has the value of"),
        ({"MINIO_SECRET_KEY": "change-me-for-reading"}, "MINIO_SECRET_KEY still has the value of"),
        ({"CLIENT_ID": "my-app"}, "CLIENT_ID does not look like"),
        ({"GRAPH_BASE_URL": "https://localhost:8443"}, "GRAPH_BASE_URL has no version"),
        ({"AUTHORITY": "https://login.microsoftonline.com/contoso.com"}, "AUTHORITY ends with another tenant"),
        ({"MINIO_BUCKETS": "lycee,archives"}, "BUCKET_AS_FOLDER=true"),
        ({"MINIO_ROOT_USER": "reader"}, "MinIO's root user is used"),
        ({"ROUTES_FILE": "/certs/routes.toml"}, "ALLOWED_PREFIXES is not used: ROUTES_FILE says what is mirrored"),
        ({"ADMIN_PASSWORD": "change-me"}, "ADMIN_PASSWORD still has the value of"),
    ],
)
def test_what_works_but_is_hardly_meant_is_a_warning(variables: dict[str, str], words: str) -> None:
    reading = read_with(**variables)

    assert reading.problems == ()
    (warning,) = reading.warnings
    assert words in warning


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WEBHOOK_SECRETS", "WEBHOOK_SECRET"),
        ("webhook_secret", "WEBHOOK_SECRET"),
        ("WEBHOOK_SECRET_PREVIOUS_FILES", "WEBHOOK_SECRET_PREVIOUS_FILE"),
        ("MINIO_BUCKET", "MINIO_BUCKETS"),
        ("ALLOWED_PREFIX", "ALLOWED_PREFIXES"),
        ("TENANTID", "TENANT_ID"),
        ("TENANT_ID_FILE", "TENANT_ID"),
        ("SHAREPOINT_SITE_PATH", "SITE_PATH"),
        ("SHAREPOINT_DOCUMENT_LIBRARY", "DOCUMENT_LIBRARY"),
        ("MINIO_ENDPOINTS", "MINIO_ENDPOINT"),
        ("UPLOAD_WORKER", "UPLOAD_WORKERS"),
        ("RECONCILE_HOUR", "RECONCILE_HOURS"),
    ],
)
def test_a_misspelt_name_is_noticed(name: str, meant: str) -> None:
    reading = read_with(**{name: "geheim"})

    assert reading.problems == ()
    assert reading.warnings == (f"'{name}' is not read: did you mean {meant}?",)


def test_names_that_belong_to_others_are_left_alone() -> None:
    others = (
        "PATH HOME HOSTNAME LANG LC_ALL TZ PWD OLDPWD SHLVL TERM USER SHELL LOGNAME MAIL EDITOR PAGER PS1 _ DISPLAY"
        " PYTHONPATH PYTHONUNBUFFERED PYTHON_VERSION PYTHON_SHA256 GPG_KEY VIRTUAL_ENV PIP_INDEX_URL SSL_CERT_FILE"
        " SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy"
        " ALL_PROXY SSH_AUTH_SOCK SSH_CONNECTION XDG_DATA_DIRS XDG_DATA_HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME DATABASE_URL"
        " KUBERNETES_PORT KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT SHAREPOINT_PROXY_PORT MINIO_PORT MINIO_SERVICE_HOST"
        " SHAREPOINT_PROXY_SERVICE_PORT MINIO_IMAGE MC_IMAGE MINIO_ROOT_USER MINIO_ROOT_PASSWORD MINIO_ROOT_USER_FILE"
        " AZURE_CLIENT_ID AZURE_TENANT_ID AWS_REGION AWS_ACCESS_KEY_ID DOCKER_HOST DOCKER_CERT_PATH COMPOSE_FILE"
        " GUNICORN_CMD_ARGS WEB_CONCURRENCY FLASK_APP SYSTEMD_EXEC_PID INVOCATION_ID JOURNAL_STREAM NOTIFY_SOCKET"
        " MINIO_NOTIFY_WEBHOOK_ENABLE_SHAREPOINT MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SHAREPOINT MINIO_API_SYNC_EVENTS"
        " MINIO_BROWSER MINIO_DOMAIN MINIO_SERVER_URL MINIO_VOLUMES PUBLISH_MINIO PUBLISH_PROXY"
    )

    assert read_with(**dict.fromkeys(others.split(), "x")) == read(REQUIRED)


texts = (
    st.text() | st.text(st.characters(codec=None, categories=None)) | st.sampled_from(["0", "*", "a=b", "https://x"])
)


@given(st.dictionaries(st.sampled_from(NAMES), texts), st.dictionaries(st.text(), texts))
@settings(deadline=None)
def test_it_never_raises_and_its_sentences_can_be_printed(ours: dict[str, str], others: dict[str, str]) -> None:
    reading = read(others | ours)

    for sentence in (*reading.problems, *reading.warnings, repr(reading.settings)):
        assert sentence.encode()
        assert "\n" not in sentence
        assert "\0" not in sentence


@given(st.dictionaries(st.sampled_from(SECRETS), texts), st.dictionaries(st.sampled_from(NAMES), texts))
@settings(deadline=None)
def test_no_sentence_holds_a_secret(secrets: dict[str, str], others: dict[str, str]) -> None:
    reading = read(REQUIRED | others | {name: f"{MARK}{text}{MARK}" for name, text in secrets.items()})

    assert MARK not in repr(reading)
    assert MARK not in str(reading.settings.public())


@given(st.sampled_from(SECRETS), st.binary())
@settings(deadline=None)
def test_any_bytes_in_a_secret_file_are_a_secret_or_a_problem_that_does_not_show_them(
    name: str, content: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "secret"
        path.write_bytes(MARK.encode() + content)

        reading = read(without(name) | {f"{name}_FILE": str(path)})

    assert MARK not in repr(reading)


def test_a_file_of_routes_makes_site_and_prefixes_dispensable() -> None:
    reading = read(without("SITE_PATH", "ALLOWED_PREFIXES") | {"ROUTES_FILE": "/routes.toml"})

    assert (reading.problems, reading.warnings) == ((), ())
    assert reading.settings.site_path is None


def test_what_a_file_of_routes_replaces_is_named_once_each() -> None:
    replaced = {"MINIO_BUCKETS": "lycee,college", "ALLOWED_PREFIXES": "*", "BUCKET_AS_FOLDER": "false"}
    warnings = read_with(**replaced, ROUTES_FILE="/routes.toml").warnings

    assert [warning.split()[0] for warning in warnings] == list(replaced)
