from __future__ import annotations

import asyncio
import contextlib
import gc
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


def test_what_is_under_way_when_it_is_closed_ends_and_so_does_what_is_asked_later(broker: dohle.EmbeddedBroker, topic: str) -> None:
    async def body() -> None:
        consumer = dohle.AsyncConsumer(bootstrap_servers=broker.address, group_id=f"{topic}-group")
        producer = dohle.AsyncProducer(bootstrap_servers=broker.address)
        client = dohle.AsyncAdminClient(bootstrap_servers=broker.address)
        await producer.send(topic, "v")
        at_once: list[asyncio.Future[Any]] = [asyncio.ensure_future(consumer.committed([TP(topic, 0)])) for _ in range(5)]
        at_once += [asyncio.ensure_future(client.describe_cluster()) for _ in range(5)]
        await asyncio.sleep(0)
        for one in (consumer, producer, client):
            await asyncio.gather(one.close(), one.close())
        for outcome in await asyncio.gather(*at_once, return_exceptions=True):
            assert not isinstance(outcome, BaseException) or getattr(outcome, "code", None) in ("CLOSED", "ABORTED")
        late = [consumer.commit, consumer.poll, consumer.unsubscribe, producer.flush, producer.begin_transaction, client.describe_cluster]
        for use in late:
            with pytest.raises(dohle.KafkaError, match="^CLOSED"):
                await use()  # type: ignore[operator]

    run(body)


def test_several_tasks_may_wait_for_messages_of_one_consumer(broker: dohle.EmbeddedBroker, topic: str) -> None:
    async def body() -> None:
        async with dohle.AsyncProducer(bootstrap_servers=broker.address) as producer:
            await producer.send(topic, "0", partition=0)
            async with dohle.AsyncConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
                consumer.assign([TP(topic, 0)])
                assert await consumer.poll() is not None
                waiting = [asyncio.ensure_future(consumer.poll()) for _ in range(3)]
                given_up = asyncio.ensure_future(consumer.poll())
                await asyncio.sleep(0.01)
                given_up.cancel()
                for number in range(1, 4):
                    await producer.send(topic, str(number), partition=0)
                found = {message.value() for message in await asyncio.gather(*waiting) if message is not None}
                assert found == {b"1", b"2", b"3"}

    run(body)


def test_a_listener_runs_to_its_end_though_the_poll_is_cancelled(broker: dohle.EmbeddedBroker, topic: str) -> None:
    told: list[str] = []

    async def body() -> None:
        may_end = asyncio.Event()

        async def assigned(consumer: dohle.AsyncConsumer, partitions: list[TP]) -> None:
            told.append("begins")
            await may_end.wait()
            told.append("ends")

        async def revoked(consumer: dohle.AsyncConsumer, partitions: list[TP]) -> None:
            with pytest.raises(RuntimeError, match="a listener cannot"):
                await consumer.close()
            raise KeyError("mine")

        async with dohle.AsyncProducer(bootstrap_servers=broker.address) as producer:
            await producer.send(topic, "v")
        consumer = dohle.AsyncConsumer(bootstrap_servers=broker.address, group_id=topic, auto_offset_reset="earliest")
        consumer.subscribe([topic], on_assign=assigned, on_revoke=revoked)
        while not told:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(consumer.poll(), 0.05)
        may_end.set()
        message = await consumer.poll()
        assert message is not None and told == ["begins", "ends"]
        with pytest.raises(KeyError, match="mine"):
            await consumer.close()
        await consumer.close()
        with pytest.raises(dohle.KafkaError, match="^CLOSED"):
            await consumer.poll()

    run(body)


@pytest.mark.parametrize("of", [dohle.AsyncProducer, dohle.AsyncConsumer])
def test_what_nobody_closed_warns_when_its_loop_is_gone(broker: dohle.EmbeddedBroker, topic: str, of: Any) -> None:
    async def body() -> None:
        one: Any = of(bootstrap_servers=broker.address)
        await one.flush() if of is dohle.AsyncProducer else await one.poll(0.01)

    with pytest.warns(ResourceWarning, match=f"{of.__name__} was not closed"):
        run(body)
        gc.collect()


def test_sends_that_found_no_memory_fail_when_it_is_closed(topic: str) -> None:
    async def body() -> None:
        producer = dohle.AsyncProducer(
            bootstrap_servers="localhost:1", buffer_memory=100_000, batch_size=20_000, max_request_size=50_000
        )
        futures = [producer.send(topic, bytes(10_000), partition=0) for _ in range(100)]
        await producer.close(0.01)
        for future in futures:
            with pytest.raises(dohle.KafkaError):
                await future

    run(body)
