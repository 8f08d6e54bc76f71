from __future__ import annotations

from collections.abc import Callable

import pytest

import dohle
from conftest import take

MakeProducer = Callable[..., dohle.Producer]
MakeConsumer = Callable[..., dohle.Consumer]
TP = dohle.TopicPartition


def test_read_committed_sees_what_was_committed_only(
    make_producer: MakeProducer, make_consumer: MakeConsumer, topic: str
) -> None:
    producer = make_producer(transactional_id=f"{topic}-id")
    producer.init_transactions()
    for value, commit in (("a", True), ("b", False), ("c", True)):
        producer.begin_transaction()
        producer.produce(topic, value, partition=0)
        producer.commit_transaction() if commit else producer.abort_transaction()
    consumer = make_consumer(isolation_level="read_committed")
    consumer.assign([TP(topic, 0)])
    assert [message.value() for message in take(consumer, 2)] == [b"a", b"c"]


def test_offsets_go_with_the_transaction(
    make_producer: MakeProducer, make_consumer: MakeConsumer, topic: str
) -> None:
    plain = make_producer()
    for number in range(10):
        plain.produce(topic, str(number), partition=0)
    plain.flush()
    consumer = make_consumer(group_id=f"{topic}-group", enable_auto_commit=False)
    consumer.subscribe([topic])
    take(consumer, 10)
    producer = make_producer(transactional_id=f"{topic}-id")
    producer.init_transactions()
    for commit, expected in ((False, dohle.OFFSET_INVALID), (True, 10)):
        producer.begin_transaction()
        places = [one for one in consumer.position(consumer.assignment()) if one.offset > 0]
        producer.send_offsets_to_transaction(places, consumer.consumer_group_metadata())
        producer.commit_transaction() if commit else producer.abort_transaction()
        assert consumer.committed([TP(topic, 0)])[0].offset == expected


def test_a_producer_that_another_one_has_fenced_is_fatal(make_producer: MakeProducer, topic: str) -> None:
    first = make_producer(transactional_id=f"{topic}-id")
    first.init_transactions()
    first.begin_transaction()
    first.produce(topic, "v", partition=0)
    first.flush()
    second = make_producer(transactional_id=f"{topic}-id")
    second.init_transactions()
    with pytest.raises(dohle.KafkaError) as error:
        first.commit_transaction()
    assert error.value.fatal


def test_transactions_need_an_id(make_producer: MakeProducer) -> None:
    with pytest.raises(dohle.InvalidConfigurationError, match=r"transactional\.id"):
        make_producer().init_transactions()
