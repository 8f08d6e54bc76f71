from __future__ import annotations

import array
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import dohle
from conftest import take

MakeProducer = Callable[..., dohle.Producer]
MakeConsumer = Callable[..., dohle.Consumer]


def test_what_was_sent_is_read_back_whatever_it_was_given_as(
    make_producer: MakeProducer, make_consumer: MakeConsumer, topic: str
) -> None:
    values: list[tuple[Any, bytes | None]] = [
        ("grüße", "grüße".encode()),
        (b"bytes", b"bytes"),
        (bytearray(b"array"), b"array"),
        (memoryview(b"-view-")[1:5], b"view"),
        (array.array("H", [1, 2]), b"\1\0\2\0"),
        (b"", b""),
        ("", b""),
        (None, None),
    ]
    producer = make_producer()
    for given, _ in values:
        producer.produce(topic, given, key=given, partition=0, timestamp=1_600_000_000_000)
    assert producer.flush() == 0
    consumer = make_consumer()
    consumer.assign([dohle.TopicPartition(topic, 0)])
    for (_, expected), message in zip(values, take(consumer, len(values)), strict=True):
        assert (message.key(), message.value()) == (expected, expected)
        assert message.timestamp() == (dohle.TIMESTAMP_CREATE_TIME, 1_600_000_000_000)
        assert message.headers() is None and message.error() is None
        view = message.value_view()
        assert (None if view is None else (view.tobytes(), view.readonly)) == (
            None if expected is None else (expected, True)
        )
        assert len(message) == len(expected or b"") and message


def test_headers_keep_their_order_and_their_nulls(
    make_producer: MakeProducer, make_consumer: MakeConsumer, topic: str
) -> None:
    producer = make_producer()
    producer.produce(topic, "list", partition=0, headers=[("a", b"1"), ("ü", None), ("a", "2"), ("e", b"")])
    producer.produce(topic, "dict", partition=0, headers={"k": "v"})
    producer.produce(topic, "none", partition=0, headers=[])
    producer.flush()
    consumer = make_consumer()
    consumer.assign([dohle.TopicPartition(topic, 0)])
    read = [message.headers() for message in take(consumer, 3)]
    assert read == [[("a", b"1"), ("ü", None), ("a", b"2"), ("e", b"")], [("k", b"v")], None]


def test_callbacks_run_in_poll_and_flush_on_the_callers_thread_and_tell_where_the_record_is(
    make_producer: MakeProducer, topic: str
) -> None:
    told: list[tuple[Any, dohle.Message, threading.Thread]] = []
    producer = make_producer()
    for number in range(1000):
        producer.produce(
            topic, f"v{number}", f"k{number}", 1, lambda err, msg: told.append((err, msg, threading.current_thread()))
        )
    assert len(producer) == 1000
    assert producer.flush() == 0 and len(producer) == 0
    assert [error for error, _, _ in told] == [None] * 1000
    assert {thread for _, _, thread in told} == {threading.current_thread()}
    for number, (_, message, _) in enumerate(told):
        assert (message.topic(), message.partition(), message.offset()) == (topic, 1, number)
        assert (message.key(), message.value()) == (f"k{number}".encode(), f"v{number}".encode())
        kind, milliseconds = message.timestamp()
        assert kind == dohle.TIMESTAMP_CREATE_TIME and abs(milliseconds / 1000 - time.time()) < 3600


def test_records_without_a_callback_are_told_to_on_delivery_of_the_options(
    broker: dohle.EmbeddedBroker, topic: str
) -> None:
    told: list[bytes | None] = []
    own: list[bytes | None] = []
    conf = {"bootstrap.servers": broker.address, "on_delivery": lambda err, msg: told.append(msg.value())}
    with dohle.Producer(conf) as producer:
        producer.produce(topic, "a", partition=0)
        producer.produce(topic, "b", partition=0, callback=lambda err, msg: own.append(msg.value()))
    assert (told, own) == ([b"a"], [b"b"])


def test_what_a_callback_raises_comes_out_of_poll_and_the_others_are_called_next(
    make_producer: MakeProducer, topic: str
) -> None:
    called: list[int] = []

    def report(err: Any, msg: dohle.Message) -> None:
        called.append(msg.offset())
        if msg.offset() == 0:
            raise RuntimeError("of the callback")

    producer = make_producer()
    for _ in range(3):
        producer.produce(topic, "v", partition=0, on_delivery=report)
    with pytest.raises(RuntimeError, match="of the callback"):
        producer.flush()
    producer.flush()
    assert called == [0, 1, 2]


def test_wrong_arguments_are_errors_of_python_and_send_nothing(make_producer: MakeProducer, topic: str) -> None:
    producer: Any = make_producer()
    wrong: list[tuple[type[Exception], tuple[Any, ...], dict[str, Any]]] = [
        (TypeError, (7, "v"), {}),
        (TypeError, (topic, 7), {}),
        (TypeError, (topic,), {"key": object()}),
        (TypeError, (topic,), {"value": memoryview(b"abcd")[::2]}),
        (TypeError, (topic,), {"headers": 7}),
        (TypeError, (topic,), {"headers": ["a"]}),
        (ValueError, (topic,), {"headers": [("a",)]}),
        (TypeError, (topic,), {"headers": [(b"a", b"b")]}),
        (TypeError, (topic,), {"headers": {"a": 1}}),
        (dohle.InvalidConfigurationError, (topic,), {"partition": -2}),
        (dohle.InvalidConfigurationError, (topic,), {"timestamp": -1}),
        (TypeError, (topic,), {"nonsense": 1}),
        (ValueError, (topic, "\ud800"), {}),
        (dohle.InvalidConfigurationError, ("no topic/of this name",), {}),
    ]
    for kind, arguments, keywords in wrong:
        with pytest.raises(kind):
            producer.produce(*arguments, **keywords)
    assert len(producer) == 0


def test_a_record_that_is_too_large_is_refused_at_once(make_producer: MakeProducer, topic: str) -> None:
    with pytest.raises(dohle.KafkaError) as refused:
        make_producer(max_request_size=10_000).produce(topic, bytes(20_000))
    assert refused.value.code == "MESSAGE_TOO_LARGE" and not refused.value.retriable


def test_full_memory_is_a_buffer_error_and_poll_waits_for_room(make_producer: MakeProducer, topic: str) -> None:
    producer = make_producer(buffer_memory=100_000, batch_size=20_000, max_request_size=50_000, linger_ms=500)
    refused = 0
    for _ in range(100):
        while True:
            try:
                producer.produce(topic, bytes(10_000))
                break
            except BufferError:
                refused += 1
                producer.poll()
    assert producer.flush() == 0 and refused > 0


def test_a_record_that_nobody_can_take_fails_with_its_persistence() -> None:
    told: list[tuple[Any, dohle.Message]] = []
    with dohle.EmbeddedBroker() as broker:
        producer = dohle.Producer(bootstrap_servers=broker.address, delivery_timeout_ms=1500, request_timeout_ms=500)
        producer.produce("t", "before")
        producer.flush()
    producer.produce("t", "after", on_delivery=lambda err, msg: told.append((err, msg)))
    assert producer.flush() == 0
    [(error, message)] = told
    assert isinstance(error, dohle.KafkaError) and error.persistence in ("not-persisted", "possibly-persisted")
    assert message.offset() == dohle.OFFSET_INVALID and message.value() == b"after"
    again = message.error()
    assert again is not None and again.code == error.code
    producer.close(1)


@pytest.mark.parametrize("wait", ["poll", "flush", "close"])
def test_a_time_that_is_none_is_refused(make_producer: MakeProducer, wait: str) -> None:
    producer = make_producer()
    with pytest.raises(ValueError, match="NaN is no time"):
        getattr(producer, wait)(float("nan"))
    assert getattr(producer, wait)(float("inf") if wait != "poll" else 0) in (0, None)


def test_a_closed_producer_says_so_and_can_be_closed_again(make_producer: MakeProducer, topic: str) -> None:
    producer = make_producer()
    producer.produce(topic, "v")
    producer.close()
    producer.close()
    for use in (lambda: producer.produce(topic, "v"), producer.begin_transaction, lambda: producer.list_topics()):
        with pytest.raises(dohle.KafkaError, match="^CLOSED"):
            use()
    assert len(producer) == 0


def test_a_callback_that_knows_its_producer_keeps_no_memory(broker: dohle.EmbeddedBroker, topic: str) -> None:
    import gc
    import weakref

    class Sender:
        def __init__(self) -> None:
            self.producer = dohle.Producer({"bootstrap.servers": broker.address, "on_delivery": self.told})

        def told(self, err: Any, msg: Any) -> None:
            pass

    sender = Sender()
    sender.producer.produce(topic, "v")
    sender.producer.close()
    gone = weakref.ref(sender)
    del sender
    gc.collect()
    assert gone() is None


def test_several_threads_may_use_one_producer(make_producer: MakeProducer, topic: str) -> None:
    producer = make_producer()
    told: list[int] = []

    def work() -> None:
        for _ in range(5000):
            producer.produce(topic, b"v" * 10, on_delivery=lambda err, msg: told.append(msg.offset()))
            producer.poll(0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert producer.flush() == 0 and len(told) == 20_000


def test_every_row_of_bytes_is_a_value_and_nothing_else(make_producer: MakeProducer, topic: str) -> None:
    import array
    import ctypes

    producer = make_producer()
    sent: list[bytes | None] = []

    def produce(value: Any) -> None:
        producer.produce(topic, value, on_delivery=lambda err, msg: sent.append(msg.value()), partition=0)

    produce(array.array("h", [1, 2]))
    produce(ctypes.c_int32(7))
    produce((ctypes.c_char * 3)(b"a", b"b", b"c"))
    produce(memoryview(bytes(8)).cast("h", (2, 2)))
    producer.flush()
    assert sent == [b"\1\0\2\0", b"\7\0\0\0", b"abc", bytes(8)]
    gone = memoryview(b"v")
    gone.release()
    wrong: list[tuple[Any, str]] = [
        (memoryview(b"abcd")[::2], "value must be a buffer whose bytes follow each other"),
        ((ctypes.py_object * 2)(), "not of objects"),
        (gone, "released"),
        (7, "value must be str, bytes, a buffer or None, not int"),
    ]
    for value, text in wrong:
        with pytest.raises((TypeError, ValueError), match=text):
            produce(value)
    with pytest.raises(UnicodeEncodeError):
        producer.produce(topic, "\ud800")
