"""An embedded broker for all tests, and a topic for each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import dohle

_NAMES = itertools.count()


@pytest.fixture(scope="session")
def broker() -> Iterator[dohle.EmbeddedBroker]:
    with dohle.EmbeddedBroker(partitions=3) as broker:
        yield broker


@pytest.fixture
def topic() -> str:
    return f"topic-{next(_NAMES)}"


@pytest.fixture
def make_producer(broker: dohle.EmbeddedBroker) -> Iterator[Callable[..., dohle.Producer]]:
    made: list[dohle.Producer] = []

    def make(**options: Any) -> dohle.Producer:
        made.append(dohle.Producer({"bootstrap.servers": broker.address}, **options))
        return made[-1]

    yield make
    for producer in made:
        producer.close()


@pytest.fixture
def make_consumer(broker: dohle.EmbeddedBroker) -> Iterator[Callable[..., dohle.Consumer]]:
    made: list[dohle.Consumer] = []

    def make(**options: Any) -> dohle.Consumer:
        options.setdefault("auto_offset_reset", "earliest")
        made.append(dohle.Consumer({"bootstrap.servers": broker.address}, **options))
        return made[-1]

    yield make
    for consumer in made:
        consumer.close()


def take(consumer: dohle.Consumer, count: int) -> list[dohle.Message]:
    """So many messages, however long they take."""
    messages: list[dohle.Message] = []
    while len(messages) < count:
        messages += consumer.consume(count - len(messages), timeout=1)
    return messages
