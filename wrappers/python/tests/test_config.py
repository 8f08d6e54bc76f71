from __future__ import annotations

import pickle
from typing import Any

import pytest

import dohle
from dohle import _config


def test_dotted_names_keywords_and_librdkafkas_names_are_the_same_option() -> None:
    conf = {"metadata.broker.list": "a:1", "queue.buffering.max.ms": 5.0, "acks": -1, "security.protocol": "plaintext"}
    config = _config.read(conf, {"compression_type": "lz4", "client_id": None}, "producer")
    assert config.client == {"bootstrap.servers": "a:1", "security.protocol": "PLAINTEXT"}
    assert config.own == {"linger.ms": 5, "acks": -1, "compression.type": "lz4"}


@pytest.mark.parametrize(
    ("conf", "text"),
    [
        ({"queue.buffering.max.messages": 5}, "buffer.memory"),
        ({"enable.partition.eof": True}, "get_watermark_offsets"),
        ({"group.id": "g"}, "option of a consumer, not of a producer"),
        ({"linger.ms": -5}, "linger.ms: -5 is below 0"),
        ({"linger.sm": 5}, "linger.ms"),
        ({"linger.ms": 5, "queue.buffering.max.ms": 5}, "given twice"),
        ({"bootstrap.servers": ""}, "bootstrap.servers"),
    ],
)
def test_an_option_that_cannot_work_is_an_error_that_says_what_to_do(conf: dict[str, Any], text: str) -> None:
    with pytest.raises(dohle.InvalidConfigurationError) as error:
        dohle.Producer({"bootstrap.servers": "localhost:1", **conf})
    assert text in str(error.value)


def test_values_of_other_types_are_type_errors() -> None:
    wrong: list[Any] = ["localhost:9092", {1: 2}, {"bootstrap.servers": object()}]
    for conf in wrong:
        with pytest.raises(TypeError):
            dohle.Producer(conf)


def test_errors_have_a_class_per_group_and_survive_pickling() -> None:
    with pytest.raises(dohle.KafkaError) as raised:
        dohle.Producer(bootstrap_servers="localhost:1", acks=1, enable_idempotence=True)
    error = raised.value
    assert isinstance(error, dohle.InvalidConfigurationError) and isinstance(error, dohle.KafkaException)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.code, str(copy)) == (type(error), error.code, str(error))
    assert (error.retriable, error.fatal, error.abortable, error.items) == (False, False, False, {})


@pytest.mark.parametrize("value", [float("nan"), "\ud800"])
def test_what_json_cannot_have_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match="float|surrogates"):
        dohle.Producer({"bootstrap.servers": "localhost:1", "client.id": value})
