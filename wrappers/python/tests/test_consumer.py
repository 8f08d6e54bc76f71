from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import dohle
from conftest import take

MakeProducer = Callable[..., dohle.Producer]
MakeConsumer = Callable[..., dohle.Consumer]
TP = dohle.TopicPartition


@pytest.fixture
def filled(make_producer: MakeProducer, topic: str) -> str:
    """A topic with 1000 records in each of its 3 partitions, their values counting from 0."""
    producer = make_producer()
    for number in range(3000):
        producer.produce(topic, str(number // 3), partition=number % 3)
    producer.flush()
    return topic


def test_consume_gives_what_there_is_in_order_and_no_more_than_was_asked_for(
    make_consumer: MakeConsumer, filled: str
) -> None:
    consumer = make_consumer()
    consumer.assign([TP(filled, 0)])
    assert consumer.consume(0) == []
    first = take(consumer, 700)
    rest = take(consumer, 300)
    assert [message.offset() for message in first + rest] == list(range(1000))
    assert [message.value() for message in first + rest] == [str(number).encode() for number in range(1000)]
    assert consumer.consume(10, timeout=0.1) == [] and consumer.poll(0) is None


def test_a_group_reads_everything_once_and_goes_on_where_it_was(make_consumer: MakeConsumer, filled: str) -> None:
    consumer = make_consumer(group_id=f"{filled}-group")
    consumer.subscribe([filled])
    seen = {(message.partition(), message.offset()) for message in take(consumer, 1500)}
    assert consumer.memberid()
    consumer.close()
    consumer = make_consumer(group_id=f"{filled}-group")
    consumer.subscribe([filled])
    rest = {(message.partition(), message.offset()) for message in take(consumer, 1500)}
    assert not seen & rest and len(seen | rest) == 3000


def test_a_commit_covers_what_was_given_or_what_it_names(make_consumer: MakeConsumer, filled: str) -> None:
    consumer = make_consumer(group_id=f"{filled}-group", enable_auto_commit=False)
    consumer.assign([TP(filled, 1)])

    def committed() -> int:
        return consumer.committed([TP(filled, 1)])[0].offset

    assert committed() == dohle.OFFSET_INVALID
    messages = take(consumer, 10)
    assert consumer.commit(asynchronous=False) == [TP(filled, 1)] and committed() == 10
    assert consumer.commit(messages[3], asynchronous=False) == [TP(filled, 1)] and committed() == 4
    consumer.commit(offsets=[TP(filled, 1, 7, metadata="mine")], asynchronous=False)
    [found] = consumer.committed([TP(filled, 1)])
    assert (found.offset, found.metadata) == (7, "mine")


def test_an_asynchronous_commit_is_told_by_a_poll(broker: dohle.EmbeddedBroker, filled: str) -> None:
    told: list[tuple[Any, list[TP]]] = []
    conf = {"bootstrap.servers": broker.address, "group.id": f"{filled}-group", "auto.offset.reset": "earliest"}
    with dohle.Consumer({**conf, "on_commit": lambda err, places: told.append((err, places))}) as consumer:
        consumer.assign([TP(filled, 0)])
        take(consumer, 5)
        assert consumer.commit() is None
        while not told:
            consumer.poll(0.05)
        assert told[0][0] is None and told[0][1][0].offset == 5


def test_with_stored_offsets_only_those_are_committed(make_consumer: MakeConsumer, filled: str) -> None:
    options: dict[str, Any] = {"group_id": f"{filled}-group", "enable_auto_offset_store": False}
    consumer = make_consumer(**options)
    consumer.assign([TP(filled, 2)])
    messages = take(consumer, 20)
    consumer.store_offsets(messages[4])
    consumer.commit(asynchronous=False)
    assert consumer.committed([TP(filled, 2)])[0].offset == 5
    consumer.store_offsets(offsets=[TP(filled, 2, 12)])
    consumer.close()
    assert make_consumer(group_id=f"{filled}-group").committed([TP(filled, 2)])[0].offset == 12
    with pytest.raises(dohle.InvalidConfigurationError, match="auto.offset.store"):
        make_consumer().store_offsets(messages[5])


def test_a_batch_that_was_not_worked_off_is_not_committed_by_a_with_that_failed(
    broker: dohle.EmbeddedBroker, make_consumer: MakeConsumer, filled: str
) -> None:
    conf: dict[str, Any] = {
        "bootstrap.servers": broker.address, "group.id": f"{filled}-group", "auto.offset.reset": "earliest",
    }
    with pytest.raises(RuntimeError), dohle.Consumer(conf) as consumer:
        consumer.assign([TP(filled, 0)])
        take(consumer, 10)
        assert len(consumer.consume(10, timeout=10)) == 10
        raise RuntimeError
    assert make_consumer(group_id=f"{filled}-group").committed([TP(filled, 0)])[0].offset == 10


def test_position_seek_pause_and_resume(make_consumer: MakeConsumer, filled: str) -> None:
    consumer = make_consumer()
    consumer.assign([TP(filled, 0, 500), TP(filled, 1, dohle.OFFSET_END)])
    assert sorted(consumer.assignment()) == [TP(filled, 0), TP(filled, 1)]
    assert take(consumer, 1)[0].offset() == 500
    assert consumer.position([TP(filled, 0)])[0].offset == 501
    consumer.seek(TP(filled, 0, 100))
    assert [message.offset() for message in take(consumer, 3)] == [100, 101, 102]
    consumer.pause([TP(filled, 0)])
    assert consumer.poll(0.2) is None
    consumer.resume([TP(filled, 0)])
    assert take(consumer, 1)[0].offset() == 103
    consumer.seek(TP(filled, 0, dohle.OFFSET_BEGINNING))
    assert take(consumer, 1)[0].offset() == 0
    with pytest.raises(dohle.KafkaError):
        consumer.seek(TP(filled, 2, 0))


def test_partitions_are_added_and_taken_away_one_by_one(make_consumer: MakeConsumer, filled: str) -> None:
    consumer = make_consumer()
    consumer.incremental_assign([TP(filled, 0, 990)])
    assert len(take(consumer, 10)) == 10
    consumer.incremental_assign([TP(filled, 1, 995)])
    assert {message.partition() for message in take(consumer, 5)} == {1}
    consumer.incremental_unassign([TP(filled, 0)])
    assert consumer.assignment() == [TP(filled, 1)]
    consumer.unassign()
    assert consumer.assignment() == []


def test_offsets_are_found_by_time_and_at_the_ends(
    make_producer: MakeProducer, make_consumer: MakeConsumer, topic: str
) -> None:
    producer = make_producer()
    for number in range(10):
        producer.produce(topic, "v", partition=0, timestamp=1_000_000 + number * 1000)
    producer.flush()
    consumer = make_consumer()
    found = consumer.offsets_for_times([TP(topic, 0, 1_003_500), TP(topic, 1, 5)])
    assert [one.offset for one in found] == [4, dohle.OFFSET_END]
    assert consumer.get_watermark_offsets(TP(topic, 0)) == (0, 10)


def test_the_listeners_are_called_from_poll_and_say_where_to_begin(
    make_consumer: MakeConsumer, filled: str
) -> None:
    told: list[tuple[str, list[TP]]] = []

    def assigned(consumer: dohle.Consumer, partitions: list[TP]) -> None:
        told.append(("assigned", sorted(partitions)))
        consumer.assign([TP(one.topic, one.partition, 990) for one in partitions])

    consumer = make_consumer(group_id=f"{filled}-group")
    consumer.subscribe([filled], on_assign=assigned, on_revoke=lambda _, gone: told.append(("revoked", sorted(gone))))
    assert sorted(message.offset() for message in take(consumer, 30)) == sorted([*range(990, 1000)] * 3)
    consumer.close()
    everything = [TP(filled, number) for number in range(3)]
    assert told == [("assigned", everything), ("revoked", everything)]


def test_two_members_share_the_partitions_and_lose_nothing(
    make_producer: MakeProducer, make_consumer: MakeConsumer, filled: str
) -> None:
    seen: list[tuple[int, int]] = []
    members = [make_consumer(group_id=f"{filled}-group") for _ in range(2)]
    for member in members:
        member.subscribe([filled])
    while len(set(seen)) < 3000:
        for member in members:
            seen += [(message.partition(), message.offset()) for message in member.consume(100, timeout=0.05)]
    assert len(seen) == 3000


def test_what_goes_may_still_be_committed(make_consumer: MakeConsumer, filled: str) -> None:
    options: dict[str, Any] = {"group_id": f"{filled}-group", "enable_auto_commit": False}
    consumer = make_consumer(**options)
    consumer.subscribe([filled], on_revoke=lambda it, _: it.commit(asynchronous=False))
    take(consumer, 3000)
    consumer.close()
    places = make_consumer(**options).committed([TP(filled, number) for number in range(3)])
    assert [place.offset for place in places] == [1000] * 3


def test_a_listener_that_raises_ends_the_poll_with_it(make_consumer: MakeConsumer, filled: str) -> None:
    def assigned(consumer: dohle.Consumer, partitions: list[TP]) -> None:
        raise RuntimeError("of the listener")

    consumer = make_consumer(group_id=f"{filled}-group")
    consumer.subscribe([filled], on_assign=assigned)
    with pytest.raises(RuntimeError, match="of the listener"):
        while consumer.poll(1) is None:
            pass
    assert len(take(consumer, 3000)) == 3000


def test_a_pattern_finds_topics_and_a_wrong_one_is_an_error(
    make_consumer: MakeConsumer, filled: str
) -> None:
    consumer = make_consumer(group_id=f"{filled}-group")
    with pytest.raises(ValueError):
        consumer.subscribe(["^("])
    consumer.subscribe([f"^{filled}$"])
    assert {message.topic() for message in take(consumer, 3000)} == {filled}


def test_a_view_outlives_its_message_and_its_consumer(make_consumer: MakeConsumer, filled: str) -> None:
    consumer = make_consumer()
    consumer.assign([TP(filled, 0)])
    views = [message.value_view() for message in take(consumer, 1000)]
    consumer.close()
    del consumer
    assert [bytes(view) for view in views if view is not None] == [str(number).encode() for number in range(1000)]


def test_wakeup_and_close_end_a_poll_of_another_thread(make_consumer: MakeConsumer, topic: str) -> None:
    consumer = make_consumer()
    consumer.assign([TP(topic, 0)])
    ended: list[object] = []
    thread = threading.Thread(target=lambda: ended.append(consumer.poll()))
    thread.start()
    consumer.wakeup()
    thread.join()
    assert ended == [None]
    consumer.close()
    with pytest.raises(dohle.KafkaError, match="^CLOSED"):
        consumer.poll(0)


def test_a_close_that_has_no_time_has_closed_it_all_the_same(make_consumer: MakeConsumer, filled: str) -> None:
    consumer = make_consumer(group_id=f"{filled}-hasty")
    consumer.subscribe([filled])
    take(consumer, 1)
    with pytest.raises(dohle.RetriableError):
        consumer.close(0)
    with pytest.raises(dohle.KafkaError, match="^CLOSED"):
        consumer.poll(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        consumer.close()
        consumer.__del__()


def test_the_cluster_is_told(make_consumer: MakeConsumer, filled: str) -> None:
    cluster = make_consumer().list_topics()
    assert len(cluster.topics[filled].partitions) == 3 and cluster.controller_id in cluster.brokers
    one = make_consumer().list_topics("not-there-yet")
    error = one.topics["not-there-yet"].error
    assert error is not None and error.code == "UNKNOWN_TOPIC_OR_PARTITION"


def test_what_is_not_there_is_raised(make_consumer: MakeConsumer, filled: str) -> None:
    consumer = make_consumer(auto_offset_reset="none")
    consumer.assign([TP(filled, 0, 5000)])
    with pytest.raises(dohle.KafkaError) as error:
        while consumer.poll(1) is None:
            pass
    assert error.value.code in ("OFFSET_OUT_OF_RANGE", "NO_OFFSET")
    with pytest.raises(dohle.KafkaError):
        make_consumer().subscribe([filled])
    with pytest.raises(ValueError):
        consumer.consume(-1)
