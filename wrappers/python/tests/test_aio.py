from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import dohle

TP = dohle.TopicPartition


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await body()

    asyncio.run(main(), debug=False)


def test_a_send_becomes_the_message_with_its_place(broker: dohle.EmbeddedBroker, topic: str) -> None:
    async def body() -> None:
        async with dohle.AsyncProducer(bootstrap_servers=broker.address) as producer:
            message = await producer.send(topic, "value", key=b"key", partition=1, headers={"a": "b"})
            assert (message.partition(), message.offset(), message.value(), message.key()) == (1, 0, b"value", b"key")
            futures = [producer.send(topic, str(number), partition=1) for number in range(5000)]
            assert [message.offset() for message in await asyncio.gather(*futures)] == list(range(1, 5001))
            with pytest.raises(TypeError):
                wrong: Any = 7
                producer.send(topic, wrong)

    run(body)


def test_async_for_reads_everything_and_ends_with_close(broker: dohle.EmbeddedBroker, topic: str) -> None:
    async def body() -> None:
        async with dohle.AsyncProducer(bootstrap_servers=broker.address) as producer:
            for number in range(3000):
                producer.send(topic, str(number), partition=number % 3, headers=[("n", str(number))])
        conf = {"bootstrap.servers": broker.address, "group.id": f"{topic}-group", "auto.offset.reset": "earliest"}
        async with dohle.AsyncConsumer(conf) as consumer:
            consumer.subscribe([topic])
            seen = set()
            async for message in consumer:
                value = message.value()
                assert value is not None and message.headers() == [("n", value)]
                seen.add(value)
                if len(seen) == 3000:
                    break
            closing = asyncio.get_running_loop().call_later(0.05, lambda: tasks.append(loop.create_task(consumer.close())))
            async for _ in consumer:
                raise AssertionError("there is nothing more")
            closing.cancel()

    tasks: list[Any] = []
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        runner.run(body())


def test_consume_waits_for_the_first_message_and_gives_up_in_time(broker: dohle.EmbeddedBroker, topic: str) -> None:
    async def body() -> None:
        async with dohle.AsyncConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
            consumer.assign([TP(topic, 0)])
            assert await consumer.consume(10, timeout=0.05) == [] and await consumer.poll(0.01) is None
            waiting = asyncio.create_task(consumer.consume(10))
            async with dohle.AsyncProducer(bootstrap_servers=broker.address) as producer:
                await producer.send(topic, "v", partition=0)
            assert [message.value() for message in await waiting] == [b"v"]
            waiting = asyncio.create_task(consumer.consume(10))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

    run(body)


def test_listeners_may_be_coroutines_and_commits_are_awaited(broker: dohle.EmbeddedBroker, topic: str) -> None:
    told: list[tuple[str, list[TP]]] = []

    async def assigned(consumer: dohle.AsyncConsumer, partitions: list[TP]) -> None:
        await asyncio.sleep(0.01)
        told.append(("assigned", sorted(partitions)))

    async def revoked(consumer: dohle.AsyncConsumer, partitions: list[TP]) -> None:
        await consumer.commit()
        told.append(("revoked", sorted(partitions)))

    async def body() -> None:
        async with dohle.AsyncProducer(bootstrap_servers=broker.address) as producer:
            for number in range(30):
                producer.send(topic, str(number), partition=number % 3)
        conf: dict[str, Any] = {"bootstrap.servers": broker.address, "group.id": f"{topic}-group"}
        conf.update({"auto.offset.reset": "earliest", "enable.auto.commit": False})
        async with dohle.AsyncConsumer(conf) as consumer:
            consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked)
            got: list[dohle.Message] = []
            while len(got) < 30:
                got += await consumer.consume(30)
            await consumer.commit(got[0])
            [place] = await consumer.committed([TP(topic, got[0].partition())])
            assert place.offset == 1
            assert await consumer.get_watermark_offsets(TP(topic, 0)) == (0, 10)
        async with dohle.AsyncConsumer(conf) as consumer:
            found = await consumer.committed([TP(topic, number) for number in range(3)])
            assert [one.offset for one in found] == [10, 10, 10]

    run(body)
    everything = [TP(topic, number) for number in range(3)]
    assert told == [("assigned", everything), ("revoked", everything)]


def test_full_memory_makes_sends_wait_in_order(broker: dohle.EmbeddedBroker, topic: str) -> None:
    async def body() -> None:
        async with dohle.AsyncProducer(
            bootstrap_servers=broker.address, buffer_memory=100_000, batch_size=20_000, max_request_size=50_000
        ) as producer:
            futures = [producer.send(topic, bytes(10_000), partition=0) for _ in range(100)]
            assert await producer.flush() == 0
            assert [future.result().offset() for future in futures] == list(range(100))

    run(body)


def test_a_transaction_commits_or_aborts_as_a_whole(broker: dohle.EmbeddedBroker, topic: str) -> None:
    async def body() -> None:
        async with dohle.AsyncProducer(bootstrap_servers=broker.address, transactional_id=topic) as producer:
            await producer.init_transactions()
            async with producer.transaction():
                await producer.send(topic, "committed", partition=0)
            with pytest.raises(RuntimeError):
                async with producer.transaction():
                    await producer.send(topic, "aborted", partition=0)
                    raise RuntimeError
            async with producer.transaction():
                producer.send(topic, "also", partition=0)
        conf = {"bootstrap.servers": broker.address, "isolation.level": "read_committed", "auto.offset.reset": "earliest"}
        async with dohle.AsyncConsumer(conf) as consumer:
            consumer.assign([TP(topic, 0)])
            assert [(await anext(consumer)).value() for _ in range(2)] == [b"committed", b"also"]

    run(body)


def test_admin_operations_are_awaited_and_their_errors_have_items(broker: dohle.EmbeddedBroker, topic: str) -> None:
    from dohle import admin

    async def body() -> None:
        async with dohle.AsyncAdminClient(bootstrap_servers=broker.address) as client:
            [created] = await client.create_topics([admin.NewTopic(topic, partitions=2)])
            assert (created.topic, created.partitions) == (topic, 2)
            with pytest.raises(dohle.KafkaError) as refused:
                await client.create_topics([admin.NewTopic(topic), admin.NewTopic(f"{topic}-other")])
            assert {name: error.code for name, error in refused.value.items.items()} == {topic: "TOPIC_ALREADY_EXISTS"}
            names = [one.topic for one in await client.list_topics()]
            assert topic in names and f"{topic}-other" in names

    run(body)


def test_an_object_belongs_to_one_loop(broker: dohle.EmbeddedBroker, topic: str) -> None:
    producer = dohle.AsyncProducer(bootstrap_servers=broker.address)

    async def send() -> None:
        await producer.send(topic, "v")

    async def end() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await producer.send(topic, "v")

    with asyncio.Runner() as first:
        first.run(send())
        run(end)
        first.run(producer.close())
