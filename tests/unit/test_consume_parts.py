"""What is wrong with the settings of Kafka is said before anything starts, in sentences, by all of it at once."""

from pathlib import Path

import pytest
from unit.variables import read_with

from sharepoint_proxy.consume_parts import prove
from sharepoint_proxy.errors import ConfigError
from sharepoint_proxy.kafka import connection

BROKERS = {"KAFKA_BROKERS": "kafka-1:9092, kafka-2:9093"}
SASL = {
    "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
    "KAFKA_SASL_MECHANISM": "scram-sha-512",
    "KAFKA_SASL_USERNAME": "mirror",
    "KAFKA_SASL_PASSWORD": "not-for-logs",
}


def problems(variables: dict[str, str], *, is_installed: bool = True) -> tuple[str, ...]:
    """What `consume` says of these settings, if it refuses them."""
    reading = read_with(**variables)
    assert reading.problems == ()
    try:
        prove(reading.settings, is_installed=lambda name: is_installed and name == "confluent_kafka")
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("variables", [BROKERS, BROKERS | SASL, BROKERS | {"KAFKA_SECURITY_PROTOCOL": "SSL"}])
def test_good_settings_are_taken_without_a_broker(variables: dict[str, str]) -> None:
    assert problems(variables) == ()


def test_without_brokers_it_says_what_to_give() -> None:
    (problem,) = problems({})
    assert problem.startswith("KAFKA_BROKERS is not set: give the brokers that MinIO publishes to")


def test_without_the_client_it_says_how_to_get_it() -> None:
    (problem,) = problems(BROKERS, is_installed=False)
    assert "`scripts/install kafka`" in problem
    assert "REQUIREMENTS=requirements-kafka.txt" in problem


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = problems({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, is_installed=False)
    assert len(said) == 3


@pytest.mark.parametrize("missing", ["KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"])
def test_half_of_the_credentials_is_not_enough(missing: str) -> None:
    (problem,) = problems(BROKERS | {name: value for name, value in SASL.items() if name != missing})
    assert missing in problem


def test_what_the_client_itself_refuses_is_a_sentence_without_secrets(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "ca.pem")
    (problem,) = problems(BROKERS | SASL | {"KAFKA_CA_PATH": nowhere})

    assert problem.startswith("Kafka's client refuses the KAFKA_ settings: ")
    assert "ssl.ca.location" in problem
    assert SASL["KAFKA_SASL_PASSWORD"] not in problem


def test_the_client_is_told_what_the_settings_say() -> None:
    files = {"KAFKA_CA_PATH": "/certs/ca.pem", "KAFKA_CERT_PATH": "/certs/k.pem", "KAFKA_KEY_PATH": "/certs/k.key"}
    told = connection(read_with(**BROKERS, **SASL, **files).settings)

    assert told["bootstrap.servers"] == "kafka-1:9092,kafka-2:9093"
    assert told["security.protocol"] == "SASL_SSL"
    assert told["sasl.mechanism"] == "SCRAM-SHA-512"
    assert (told["sasl.username"], told["sasl.password"]) == ("mirror", "not-for-logs")
    assert told["ssl.ca.location"] == "/certs/ca.pem"
    assert (told["ssl.certificate.location"], told["ssl.key.location"]) == ("/certs/k.pem", "/certs/k.key")


def test_the_client_is_told_nothing_that_is_not_set() -> None:
    told = connection(read_with(**BROKERS).settings)

    assert told["security.protocol"] == "PLAINTEXT"
    assert [name for name in told if name.startswith(("sasl.", "ssl."))] == []
