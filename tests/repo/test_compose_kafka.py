"""docker-compose.kafka.yml beside docker-compose.yml: a broker, and replicas that share nothing but MinIO, Kafka and the library."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from repo import compose

from sharepoint_proxy.settings import VARIABLES

FILES = [compose.ROOT / "docker-compose.yml", compose.ROOT / "docker-compose.kafka.yml"]
BASE, KAFKA = (compose.read(file) for file in FILES)
SERVICES: dict[str, Any] = KAFKA["services"]
REPLICAS = ("sharepoint-proxy", "sharepoint-proxy-2")
DEFAULTS = {variable.name: variable.default for variable in VARIABLES.values()}


def merged(tmp_path: Path) -> dict[str, Any]:
    """The services as docker compose merges both files with the example's settings, or skip where there is none."""
    done = compose.config(FILES, tmp_path, **compose.example())
    assert (done.returncode, done.stderr) == (0, "")
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


def test_it_adds_a_broker_its_topics_and_a_second_replica() -> None:
    assert SERVICES.keys() - BASE["services"].keys() == {"kafka", "kafka-init", "sharepoint-proxy-2"}


@pytest.mark.parametrize("name", REPLICAS)
def test_every_setting_of_kafka_is_passed_to_the_replicas(name: str) -> None:
    settings = {variable.name for variable in VARIABLES.values() if variable.name.startswith("KAFKA_")}
    environment = SERVICES[name]["environment"]

    assert settings | {"KAFKA_SASL_PASSWORD_FILE"} == environment.keys() - {"RECONCILE_HOURS"}
    assert [each for each in settings if not environment[each].startswith(f"${{{each}:-")] == []


@pytest.mark.parametrize("name", REPLICAS)
def test_a_replica_consumes_with_the_client_that_this_needs(name: str) -> None:
    assert SERVICES[name]["command"] == ["sharepoint-proxy", "consume"]
    assert SERVICES[name]["build"]["args"] == {"REQUIREMENTS": "requirements-kafka.txt"}
    assert "confluent-kafka==" in (compose.ROOT / "sharepoint-proxy" / "requirements-kafka.txt").read_text()


def test_one_replica_reconciles_for_all() -> None:
    assert [SERVICES[name]["environment"].get("RECONCILE_HOURS") for name in REPLICAS] == [None, "0"]


def test_the_broker_is_pinned_and_can_be_replaced() -> None:
    images = {SERVICES[name]["image"] for name in ("kafka", "kafka-init")}

    assert len(images) == 1
    assert re.fullmatch(r"\$\{KAFKA_IMAGE:-apache/kafka:\d+\.\d+\.\d+\}", images.pop())


@pytest.mark.parametrize("name", ["kafka", "kafka-init"])
def test_nothing_new_can_write_to_its_image_or_gain_rights(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"ports", "privileged", "cap_add", "env_file", "network_mode", "pid"}


def test_the_broker_is_one_node_without_zookeeper_and_makes_no_topic_by_itself() -> None:
    environment = SERVICES["kafka"]["environment"]

    assert environment["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert SERVICES["kafka"]["volumes"] == [f"kafka-data:{environment['KAFKA_LOG_DIRS']}"]
    factors = {value for name, value in environment.items() if name.endswith(("FACTOR", "MIN_ISR"))}
    assert factors == {1}


def test_minio_publishes_to_the_topic_that_the_replicas_read_and_keeps_what_it_cannot_publish() -> None:
    minio = SERVICES["minio"]["environment"]
    topic = f"${{KAFKA_TOPIC:-{DEFAULTS['KAFKA_TOPIC']}}}"

    assert minio["MINIO_NOTIFY_KAFKA_ENABLE_SHAREPOINT"] == "on"
    assert minio["MINIO_NOTIFY_KAFKA_TOPIC_SHAREPOINT"] == topic == SERVICES["kafka-init"]["environment"]["TOPIC"]
    assert (
        minio["MINIO_NOTIFY_KAFKA_BROKERS_SHAREPOINT"] == SERVICES["sharepoint-proxy"]["environment"]["KAFKA_BROKERS"]
    )
    assert minio["MINIO_NOTIFY_KAFKA_QUEUE_DIR_SHAREPOINT"] == "/events"
    assert "minio-events:/events" in BASE["services"]["minio"]["volumes"]
    assert not any("BATCH" in name for name in minio)


def test_the_rules_are_for_kafka() -> None:
    assert SERVICES["minio-init"]["environment"].keys() == {"KAFKA_BROKERS"}


def test_the_topics_are_there_before_minio_starts_with_more_partitions_than_replicas() -> None:
    (script,) = SERVICES["kafka-init"]["command"]
    partitions = re.search(r"--create --if-not-exists .* --partitions (\d+)", script)

    assert partitions is not None
    assert int(partitions[1]) >= len(REPLICAS)
    assert SERVICES["minio"]["depends_on"] == {"kafka-init": {"condition": "service_completed_successfully"}}


def test_docker_compose_gives_each_replica_a_volume_and_a_port_of_its_own(tmp_path: Path) -> None:
    services = merged(tmp_path)
    replicas = [services[name] for name in REPLICAS]

    for replica in replicas:
        assert replica["depends_on"].keys() == {"minio", "minio-init"}
        assert {volume["target"] for volume in replica["volumes"]} == {"/data", "/certs"}
        assert replica["read_only"] is True
    assert len({volume["source"] for replica in replicas for volume in replica["volumes"]}) == 3
    assert [port["published"] for replica in replicas for port in replica["ports"]] == ["8080", "8081"]


def test_docker_compose_leaves_minio_its_volumes(tmp_path: Path) -> None:
    minio = merged(tmp_path)["minio"]

    assert {volume["target"] for volume in minio["volumes"]} == {"/data", "/events"}
    assert minio["environment"]["MINIO_API_SYNC_EVENTS"] == "on"
