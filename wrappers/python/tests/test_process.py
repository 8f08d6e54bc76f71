"""What the end of things does: signals, forks, the interpreter's end, garbage."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import dohle


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-X", "dev", "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("call", ["poll", "consume", "flush", "committed"])
def test_ctrl_c_ends_a_wait(broker: dohle.EmbeddedBroker, topic: str, call: str) -> None:
    # Nobody answers at this address: what asks there waits.
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = "%s:%d" % silent.getsockname()
        producer = dohle.Producer(bootstrap_servers=address)
        consumer = dohle.Consumer(bootstrap_servers=address, group_id="g")
        producer.produce(topic, "v")
        waits: dict[str, Callable[[], Any]] = {
            "poll": lambda: consumer.poll(),
            "consume": lambda: consumer.consume(10),
            "flush": lambda: producer.flush(),
            "committed": lambda: consumer.committed([dohle.TopicPartition(topic, 0)]),
        }
        began = time.monotonic()
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            waits[call]()
        assert time.monotonic() - began < 30
        producer.close(0)
        consumer.close(0)


def test_a_forked_child_is_told_and_ends(broker: dohle.EmbeddedBroker, topic: str) -> None:
    result = run(
        """
        import os, sys, dohle
        producer = dohle.Producer(bootstrap_servers=sys.argv[1])
        producer.produce(sys.argv[2], "parent")
        pid = os.fork()
        if pid == 0:
            for use in (lambda: producer.produce(sys.argv[2], "child"), lambda: producer.poll(0), producer.flush,
                        producer.close, lambda: dohle.Producer(bootstrap_servers=sys.argv[1])):
                try:
                    use()
                except dohle.KafkaError as error:
                    assert "forked" in str(error), error
                else:
                    raise SystemExit(7)
            del producer
            raise SystemExit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert producer.flush() == 0
        producer.close()
        """,
        broker.address,
        topic,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_after_a_fork_a_parent_that_never_used_it_leaves_its_child_free(
    broker: dohle.EmbeddedBroker, topic: str
) -> None:
    result = run(
        """
        import os, sys, dohle
        pid = os.fork()
        if pid == 0:
            with dohle.Producer(bootstrap_servers=sys.argv[1]) as producer:
                producer.produce(sys.argv[2], "child")
                assert producer.flush() == 0
            raise SystemExit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        broker.address,
        topic,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_interpreter_ends_with_open_objects_and_sends_what_they_have(
    broker: dohle.EmbeddedBroker, topic: str
) -> None:
    result = run(
        """
        import sys, dohle
        producer = dohle.Producer(bootstrap_servers=sys.argv[1], linger_ms=60000)
        consumer = dohle.Consumer(bootstrap_servers=sys.argv[1], group_id="g")
        consumer.subscribe([sys.argv[2]])
        consumer.poll(0)
        broker = dohle.EmbeddedBroker()
        for _ in range(100):
            producer.produce(sys.argv[2], "v", partition=0)
        """,
        broker.address,
        topic,
    )
    assert result.returncode == 0, result.stderr
    with dohle.Consumer(bootstrap_servers=broker.address) as consumer:
        assert consumer.get_watermark_offsets(dohle.TopicPartition(topic, 0)) == (0, 100)


def test_a_producer_that_is_forgotten_warns_and_sends_what_it_has(broker: dohle.EmbeddedBroker, topic: str) -> None:
    producer = dohle.Producer(bootstrap_servers=broker.address, linger_ms=60000)
    for _ in range(100):
        producer.produce(topic, "v", partition=0)
    with pytest.warns(ResourceWarning, match="100 messages under way"):
        del producer
        gc.collect()
    with dohle.Consumer(bootstrap_servers=broker.address) as consumer:
        while consumer.get_watermark_offsets(dohle.TopicPartition(topic, 0)) != (0, 100):
            time.sleep(0.01)


def test_records_that_fail_and_that_nobody_asked_about_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with dohle.EmbeddedBroker() as broker:
        producer = dohle.Producer(bootstrap_servers=broker.address, delivery_timeout_ms=1000, request_timeout_ms=500)
        producer.produce("t", "before")
        producer.flush()
    producer.produce("t", "after")
    producer.flush()
    assert any("1 messages without an on_delivery were not delivered" in line for line in caplog.messages)
    producer.close(0)


def test_threads_and_files_are_back_after_close(broker: dohle.EmbeddedBroker, topic: str) -> None:
    def counts() -> tuple[int, int]:
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    def use() -> None:
        with dohle.Producer(bootstrap_servers=broker.address) as producer:
            producer.produce(topic, "v", partition=0)
        with dohle.Consumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
            consumer.assign([dohle.TopicPartition(topic, 0)])
            while consumer.poll(1) is None:
                pass

    for _ in range(3):
        use()
    _, before = counts()
    for _ in range(50):
        use()
    deadline = time.monotonic() + 60
    while counts()[1] > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert counts()[1] <= before


def test_a_panic_of_the_engine_is_an_error() -> None:
    producer = dohle.Producer(bootstrap_servers="localhost:1")
    with pytest.raises(dohle.KafkaError, match="^PANIC.*on purpose|^PANIC"):
        producer._invoke(0, "testing.panic")
    producer.close(0)
