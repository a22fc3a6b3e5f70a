"""The settings of Kafka in every form that an administrator may write."""

import pytest
from unit.variables import only_problem_with, settings_with


@pytest.mark.parametrize(
    ("text", "brokers"),
    [
        ("kafka:9092", ("kafka:9092",)),
        (" kafka-1.example.org:9092 , 10.0.0.7:9093,", ("kafka-1.example.org:9092", "10.0.0.7:9093")),
        ("[::1]:9092", ("[::1]:9092",)),
    ],
)
def test_brokers_are_a_list(text: str, brokers: tuple[str, ...]) -> None:
    assert settings_with(KAFKA_BROKERS=text).kafka_brokers == brokers


@pytest.mark.parametrize(
    "text", ["kafka", "kafka:port", "http://kafka:9092", "kafka:9092;kafka:9093", "-:9092", "::1:9092"]
)
def test_a_broker_without_its_port_is_refused(text: str) -> None:
    assert "a list of brokers with their ports" in only_problem_with(KAFKA_BROKERS=text)


@pytest.mark.parametrize("text", ["minio events", "..", "a/b", "a" * 250])
def test_a_name_that_no_topic_can_have_is_refused(text: str) -> None:
    assert "a topic's name" in only_problem_with(KAFKA_TOPIC=text)
    assert "a topic's name" in only_problem_with(KAFKA_DEAD_LETTER_TOPIC=text)


def test_the_words_of_kafka_are_taken_in_any_case() -> None:
    settings = settings_with(KAFKA_SECURITY_PROTOCOL="sasl_ssl", KAFKA_SASL_MECHANISM="Scram-Sha-256")

    assert (settings.kafka_security_protocol, settings.kafka_sasl_mechanism) == ("SASL_SSL", "SCRAM-SHA-256")
    assert "one of PLAINTEXT, SSL" in only_problem_with(KAFKA_SECURITY_PROTOCOL="TLS")
    assert "one of PLAIN, SCRAM" in only_problem_with(KAFKA_SASL_MECHANISM="sha512")


def test_the_password_for_kafka_is_not_shown() -> None:
    settings = settings_with(KAFKA_SASL_PASSWORD="geheim-geheim")

    assert settings.kafka_sasl_password == "geheim-geheim"
    assert settings.public()["kafka_sasl_password"] == "***"
