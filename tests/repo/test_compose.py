"""docker-compose.yml and the image: complete, hardened and pinned, as read from the files and as docker compose reads them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from repo import compose

from sharepoint_proxy.settings import VARIABLES

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "sharepoint-proxy" / "Dockerfile").read_text()
KAFKA_FILE = ROOT / "docker-compose.kafka.yml"
COMPOSE = compose.read(COMPOSE_FILE)
SERVICES: dict[str, Any] = COMPOSE["services"]
PROXY: dict[str, str] = SERVICES["sharepoint-proxy"]["environment"]
# Read by the libraries below the service, not by its settings.
BY_LIBRARIES = {"REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "TZ"}
REQUIRED = {"MINIO_ROOT_USER": "root", "MINIO_ROOT_PASSWORD": "rootsecret", "WEBHOOK_SECRET": "word"}


def variables() -> set[str]:
    """The names that the compose files take from .env."""
    return {name for file in (COMPOSE_FILE, KAFKA_FILE) for name in re.findall(r"\$\{([A-Z_]+)", file.read_text())}


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def compose_config(tmp_path: Path, **env_file: str) -> subprocess.CompletedProcess[str]:
    """What `docker compose config` makes of the file with just these settings."""
    return compose.config([COMPOSE_FILE], tmp_path, **env_file)


def proxy_environment(tmp_path: Path, **env_file: str) -> dict[str, str]:
    done = compose_config(tmp_path, **env_file)
    assert done.returncode == 0, done.stderr
    environment: dict[str, str] = json.loads(done.stdout)["services"]["sharepoint-proxy"]["environment"]
    return environment


def test_it_has_minio_its_configuration_and_the_proxy() -> None:
    assert set(SERVICES) == {"minio", "minio-init", "sharepoint-proxy"}


def test_every_setting_is_passed_to_the_proxy_and_nothing_else() -> None:
    """But for those of Kafka, which docker-compose.kafka.yml adds."""
    variables = [variable for variable in VARIABLES.values() if not variable.name.startswith("KAFKA_")]
    settings = {variable.name for variable in variables}
    files = {f"{variable.name}_FILE" for variable in variables if variable.secret}

    assert settings | BY_LIBRARIES == PROXY.keys() - files


def test_every_setting_comes_from_the_variable_of_its_name() -> None:
    assert [name for name, value in PROXY.items() if not value.startswith(f"${{{name}")] == []


def test_the_example_lists_every_variable_of_the_compose_files() -> None:
    example = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert sorted(variables() - example) == []
    assert sorted(example - variables()) == []


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_can_write_to_its_image_or_gain_rights(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "env_file", "network_mode", "pid"}


def test_the_proxy_and_the_client_run_as_the_images_own_user() -> None:
    assert "\nUSER 10001:10001\n" in DOCKERFILE
    assert SERVICES["sharepoint-proxy"]["user"] == SERVICES["minio-init"]["user"] == "10001:10001"


@pytest.mark.parametrize(("name", "variable"), [("minio", "MINIO_IMAGE"), ("minio-init", "MC_IMAGE")])
def test_a_foreign_image_is_pinned_by_digest_and_can_be_replaced(name: str, variable: str) -> None:
    assert re.fullmatch(
        rf"\$\{{{variable}:-[a-z/]+:RELEASE\.[0-9TZ-]+@sha256:[0-9a-f]{{64}}\}}", SERVICES[name]["image"]
    )


def test_a_port_is_published_on_this_machine_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert len(published) == 3
    assert all(re.match(r"\$\{PUBLISH_[A-Z]+:-127\.0\.0\.1:\d+\}:", port) for port in published)


def test_each_service_waits_for_the_health_of_the_one_before() -> None:
    healthy = {"minio": {"condition": "service_healthy"}}

    assert SERVICES["minio-init"]["depends_on"] == healthy
    assert SERVICES["sharepoint-proxy"]["depends_on"] == {
        **healthy,
        "minio-init": {"condition": "service_completed_successfully"},
    }
    assert "/minio/health/" in SERVICES["minio"]["healthcheck"]["test"][-1]


def test_whatever_has_to_outlive_a_container_is_on_a_named_volume() -> None:
    assert set(COMPOSE["volumes"]) == {"minio-data", "minio-events", "proxy-data"}
    assert {"minio-data:/data", "minio-events:/events"} <= set(SERVICES["minio"]["volumes"])
    assert set(SERVICES["sharepoint-proxy"]["volumes"]) == {"proxy-data:/data", "./certs:/certs:ro"}


def test_minio_keeps_its_events_on_disk_before_it_answers() -> None:
    environment = SERVICES["minio"]["environment"]

    assert environment["MINIO_NOTIFY_WEBHOOK_ENABLE_SHAREPOINT"] == environment["MINIO_API_SYNC_EVENTS"] == "on"
    assert environment["MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_SHAREPOINT"] == "/events"
    assert environment["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_SHAREPOINT"].startswith("${WEBHOOK_SECRET:?")


def test_minio_calls_the_port_on_which_the_proxy_listens() -> None:
    endpoint = SERVICES["minio"]["environment"]["MINIO_NOTIFY_WEBHOOK_ENDPOINT_SHAREPOINT"]

    assert endpoint == f"http://sharepoint-proxy:{PROXY['PORT']}/s3event"
    assert SERVICES["sharepoint-proxy"]["ports"][0].endswith(f":{PROXY['PORT']}")


def test_minio_is_configured_by_the_script_that_serves_a_foreign_minio_too() -> None:
    assert SERVICES["minio-init"]["entrypoint"] == ["/bin/sh", "/configure-minio"]
    assert SERVICES["minio-init"]["volumes"] == ["./scripts/configure-minio:/configure-minio:ro"]


def test_the_file_of_routes_can_be_mounted_where_it_is_read() -> None:
    """At one path, which is that of the setting."""
    services = yaml.safe_load(re.sub(r"# (- \./routes)", r"\1", COMPOSE_FILE.read_text()))["services"]
    mounting = [name for name in services if "./routes.toml:/routes.toml:ro" in services[name]["volumes"]]

    assert mounting == ["minio-init", "sharepoint-proxy"]
    assert "ROUTES_FILE=/routes.toml" in COMPOSE_FILE.read_text()


def test_the_script_gets_every_setting_that_it_reads() -> None:
    script = (ROOT / "scripts" / "configure-minio").read_text()
    read = set(re.findall(r"\$\{?((?:MINIO|ALLOWED|ROUTES)_[A-Z_]+)", script))

    assert read == SERVICES["minio-init"]["environment"].keys() - {"HOME", "MC_CONFIG_DIR", "NO_PROXY"}


def test_docker_waits_longer_than_gunicorn_before_it_kills() -> None:
    gunicorn = (ROOT / "sharepoint-proxy" / "gunicorn.conf.py").read_text()
    graceful = re.search(r"^graceful_timeout = (\d+)$", gunicorn, re.MULTILINE)

    assert graceful is not None
    assert seconds(SERVICES["sharepoint-proxy"]["stop_grace_period"]) > int(graceful[1])


def test_the_image_starts_gunicorn_itself_so_that_signals_reach_it() -> None:
    assert DOCKERFILE.rstrip().endswith('CMD ["gunicorn", "--config", "gunicorn.conf.py", "sharepoint_proxy.wsgi:app"]')


def test_the_image_checks_its_health_past_any_http_proxy() -> None:
    check = DOCKERFILE.partition("\nHEALTHCHECK ")[2].partition("\n\n")[0]

    assert "http.client.HTTPConnection('127.0.0.1'" in check
    assert "'/health'" in check


def test_the_image_holds_only_hashed_runtime_packages_and_the_service() -> None:
    ignored = (ROOT / "sharepoint-proxy" / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]

    assert rules[:5] == [
        *("*", "!requirements.txt", "!requirements-kafka.txt", "!gunicorn.conf.py", "!sharepoint_proxy"),
    ]
    assert "--require-hashes" in DOCKERFILE
    assert re.findall(r"^(?:ARG|ADD) .*", DOCKERFILE, re.MULTILINE) == ["ARG REQUIREMENTS=requirements.txt"]


def test_docker_compose_accepts_the_file_with_the_example(tmp_path: Path) -> None:
    done = compose_config(tmp_path, **compose.example())

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("name", REQUIRED)
def test_docker_compose_names_the_variable_that_is_missing(tmp_path: Path, name: str) -> None:
    done = compose_config(tmp_path, **{**REQUIRED, name: ""})

    assert done.returncode != 0
    assert re.search(rf"{name} .*: (Set it in \.env|Copy \.env\.example)", done.stderr)


def test_the_administrators_password_stays_out_of_a_proxy_that_has_a_user(tmp_path: Path) -> None:
    environment = proxy_environment(tmp_path, **REQUIRED, MINIO_ACCESS_KEY="reader", MINIO_SECRET_KEY="readersecret")

    assert (environment["MINIO_ACCESS_KEY"], environment["MINIO_SECRET_KEY"]) == ("reader", "readersecret")
    assert "rootsecret" not in environment.values()


def test_an_env_file_without_a_user_for_the_proxy_still_works(tmp_path: Path) -> None:
    environment = proxy_environment(tmp_path, **REQUIRED)

    assert (environment["MINIO_ACCESS_KEY"], environment["MINIO_SECRET_KEY"]) == ("root", "rootsecret")


def test_the_proxy_can_be_pointed_at_a_simulator(tmp_path: Path) -> None:
    simulator = {
        "AUTHORITY": "https://sim/t",
        "GRAPH_BASE_URL": "https://sim/v1.0",
        "REQUESTS_CA_BUNDLE": "/certs/ca.pem",
    }

    assert simulator.items() <= proxy_environment(tmp_path, **REQUIRED, **simulator).items()
