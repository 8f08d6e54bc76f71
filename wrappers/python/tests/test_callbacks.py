"""Functions of the program's: what they are given, what they raise, and what they do to the object that calls them."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import dohle
from conftest import take

MakeProducer = Callable[..., dohle.Producer]
MakeConsumer = Callable[..., dohle.Consumer]
TP = dohle.TopicPartition


def token() -> str:
    """One without a signature, which the embedded broker takes."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": "alice", "iat": now, "exp": now + 3600})
    return "".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() + "." for part in parts)


@pytest.fixture(scope="module")
def tokens() -> Iterator[dict[str, Any]]:
    with dohle.EmbeddedBroker(sasl={"mechanisms": ["OAUTHBEARER"]}) as broker:
        yield {
            "bootstrap.servers": broker.address, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "OAUTHBEARER",
            "sasl.without.tls": True, "sasl.oauthbearer.config": "who=alice",
        }


def test_tokens_come_from_oauth_cb_in_every_object(tokens: dict[str, Any], topic: str) -> None:
    asked: list[tuple[str, threading.Thread]] = []

    def give(config: str) -> tuple[str, float, str, dict[str, str]]:
        asked.append((config, threading.current_thread()))
        return token(), time.time() + 3600.5, "alice", {"traceId": "1"}

    conf = {**tokens, "oauth_cb": give}
    with dohle.Producer(conf) as producer:
        producer.produce(topic, "v")
        assert producer.flush() == 0
    with dohle.Consumer(conf, auto_offset_reset="earliest") as consumer:
        consumer.assign([TP(topic, 0)])
        assert take(consumer, 1)[0].value() == b"v"
    with dohle.AdminClient(conf) as client:
        assert topic in client.list_topics().topics
    assert asked == [("who=alice", threading.main_thread())] * 3


@pytest.mark.parametrize("gives", [lambda _: None, lambda _: 1 / 0, lambda _: (token(), float("nan")), lambda _: ("\ud800", 9e9)])
def test_what_oauth_cb_raises_is_raised_where_it_is_called_and_fails_the_record(
    tokens: dict[str, Any], topic: str, gives: Callable[[str], Any]
) -> None:
    producer = dohle.Producer({**tokens, "oauth_cb": gives})
    told: list[Any] = []
    producer.produce(topic, "v", on_delivery=lambda err, msg: told.append(err))
    with pytest.raises((TypeError, ZeroDivisionError, ValueError)):
        while True:
            producer.poll()
    producer.flush()
    assert told[0].code == "CALLBACK_FAILED"
    producer.close()


def test_oauth_cb_of_an_event_loop_may_be_a_coroutine_function(tokens: dict[str, Any], topic: str) -> None:
    async def give(config: str) -> tuple[str, float]:
        await asyncio.sleep(0.001)
        return token(), time.time() + 3600

    async def body() -> None:
        for function in (give, lambda config: (token(), time.time() + 3600)):
            conf = {**tokens, "oauth_cb": function}
            async with dohle.AsyncProducer(conf) as producer, dohle.AsyncAdminClient(conf) as client:
                assert (await producer.send(topic, "v")).topic() == topic
                assert (await client.describe_cluster()).controller == 1

    asyncio.run(body())


def test_statistics_come_to_stats_cb_on_the_thread_that_polls(broker: dohle.EmbeddedBroker, topic: str) -> None:
    told: list[dict[str, Any]] = []
    conf = {"bootstrap.servers": broker.address, "statistics.interval.ms": 10, "stats_cb": lambda text: told.append(json.loads(text))}
    with dohle.Producer(conf) as producer:
        while not any(one["ackmsgs"] for one in told):
            producer.produce(topic, "v")
            producer.poll(0.01)
    told.clear()
    with dohle.Consumer(conf, group_id=topic) as consumer:
        consumer.subscribe([topic])
        while not told:
            consumer.poll(0.01)


@pytest.mark.parametrize("name", ["stats_cb", "error_cb", "oauth_cb", "on_delivery", "logger"])
def test_what_is_no_function_is_refused_when_it_is_given(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: must be a .*, not int"):
        dohle.Producer({"bootstrap.servers": "localhost:1", name: 5})
    with dohle.Producer(bootstrap_servers="localhost:1") as producer, pytest.raises(TypeError, match="on_delivery"):
        producer.produce("t", on_delivery=5)  # type: ignore[arg-type]


def test_close_calls_every_callback_though_one_raises(make_producer: MakeProducer, topic: str) -> None:
    producer = make_producer()
    told: list[int] = []

    def raises(err: Any, msg: dohle.Message) -> None:
        told.append(msg.offset())
        raise KeyboardInterrupt(msg.offset())

    for _ in range(3):
        producer.produce(topic, "v", partition=0, on_delivery=raises)
    with pytest.raises(KeyboardInterrupt, match="0"):
        producer.close()
    assert told == [0, 1, 2] and len(producer) == 0
    producer.close()


def test_a_callback_may_produce_flush_and_close(make_producer: MakeProducer, topic: str) -> None:
    producer = make_producer()
    told: list[int] = []

    def ends(err: Any, msg: dohle.Message) -> None:
        told.append(msg.offset())
        producer.close()

    def goes_on(err: Any, msg: dohle.Message) -> None:
        told.append(msg.offset())
        producer.produce(topic, "v", partition=0, on_delivery=ends if len(told) > 5 else goes_on)
        producer.flush(0)

    producer.produce(topic, "v", partition=0, on_delivery=goes_on)
    with pytest.raises(dohle.KafkaError, match="^CLOSED"):
        while True:
            producer.flush()
    assert told == list(range(7))


@pytest.mark.parametrize("settled", [False, True])
def test_a_callback_that_is_never_called_keeps_no_producer(broker: dohle.EmbeddedBroker, topic: str, settled: bool) -> None:
    class Holder:
        producer: dohle.Producer

    holder = Holder()
    holder.producer = producer = dohle.Producer(bootstrap_servers=broker.address)
    producer.produce(topic, "v", on_delivery=lambda err, msg, holder=holder: None)  # type: ignore[misc]
    while settled and producer._outstanding():
        len(producer)
    gone = weakref.ref(producer)
    with pytest.warns(ResourceWarning, match="Producer was not closed"):
        del producer, holder
        gc.collect()
    assert gone() is None


@pytest.mark.parametrize("error", [KeyError("mine"), SystemExit(3)])
def test_what_a_listener_raises_is_raised_and_the_group_is_left(
    broker: dohle.EmbeddedBroker, make_consumer: MakeConsumer, make_producer: MakeProducer, topic: str, error: BaseException
) -> None:
    def refuses(consumer: Any, partitions: Any) -> None:
        raise error

    producer = make_producer()
    producer.produce(topic, "v")
    producer.flush()
    consumer = make_consumer(group_id=topic)
    consumer.subscribe([topic], on_assign=refuses, on_revoke=refuses)
    with pytest.raises(type(error)):
        take(consumer, 1)
    take(consumer, 1)
    with pytest.raises(type(error)):
        consumer.close()
    with pytest.raises(dohle.KafkaError, match="^CLOSED"):
        consumer.poll(0)
    with dohle.AdminClient(bootstrap_servers=broker.address) as client:
        assert client.describe_groups([topic])[0].members == []


def test_a_listener_cannot_leave_the_group_that_waits_for_it(make_consumer: MakeConsumer, make_producer: MakeProducer, topic: str) -> None:
    producer = make_producer()
    producer.produce(topic, "v")
    producer.flush()
    refused: list[str] = []

    def leaves(consumer: dohle.Consumer, partitions: Any) -> None:
        for leave in (consumer.close, consumer.unsubscribe):
            with pytest.raises(RuntimeError, match="a listener cannot"):
                leave()
            refused.append(leave.__name__)

    consumer = make_consumer(group_id=topic)
    consumer.subscribe([topic], on_assign=leaves, on_revoke=leaves)
    take(consumer, 1)
    consumer.close()
    assert refused == ["close", "unsubscribe"] * 2


@pytest.mark.parametrize("of", ["producer", "consumer"])
def test_several_threads_may_close_at_once(make_producer: MakeProducer, make_consumer: MakeConsumer, topic: str, of: str) -> None:
    raised: list[BaseException] = []
    for _ in range(5):
        closing: Any = make_producer() if of == "producer" else make_consumer(group_id=topic)
        if of == "producer":
            closing.produce(topic, "v", on_delivery=lambda err, msg: None)
        else:
            closing.subscribe([topic])
            closing.poll(0)

        def close(closing: Any = closing) -> None:
            try:
                closing.close()
            except BaseException as error:
                raised.append(error)

        threads = [threading.Thread(target=close) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert raised == []
