"""Dohle and aiokafka in Python's asyncio. The first argument names the module."""

import asyncio
import itertools
import sys
import time

from harness import Watch, main

if sys.argv[1] == "dohle":
    import dohle

    version = dohle.__version__

    def producer(job):
        return dohle.AsyncProducer({"bootstrap.servers": job.brokers, "acks": job.acks, "compression.type": job.codec})

    async def fated(it, topic, value):
        """A future of the record's fate."""
        return it.send(topic, value)

    async def reader(job):
        consumer = dohle.AsyncConsumer({"bootstrap.servers": job.brokers})
        consumer.assign([dohle.TopicPartition(job.topic, at, dohle.OFFSET_BEGINNING) for at in range(job.partitions)])
        return consumer

    def value_of(message):
        return message.value()

else:
    import aiokafka

    version = aiokafka.__version__

    def producer(job):
        codec = None if job.codec == "none" else job.codec
        acks = "all" if job.acks == "all" else int(job.acks)
        return aiokafka.AIOKafkaProducer(bootstrap_servers=job.brokers, acks=acks, compression_type=codec, enable_idempotence=acks == "all")

    async def fated(it, topic, value):
        return await it.send(topic, value)

    async def reader(job):
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=job.brokers)
        await consumer.start()
        partitions = [aiokafka.TopicPartition(job.topic, at) for at in range(job.partitions)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        return consumer

    def value_of(message):
        return message.value


#: Tasks that send at the same time, each its part of the window.
LANES = 10


async def single(job):
    """One send per record, `window` under way: in lanes, each awaiting its records."""
    async with producer(job) as it:
        values = itertools.cycle(job.values)

        async def lane(counts):
            for count in counts:
                for future in [await fated(it, job.topic, next(values)) for _ in range(count)]:
                    await future

        async def run(count):
            size = max(1, job.window // LANES)
            counts = iter([size] * (count // size) + [count % size])
            await asyncio.gather(*(lane(counts) for _ in range(LANES)))

        await run(job.warmup)
        watch = Watch()
        await run(job.records)
        return watch.end(job.records, job.records + job.warmup)


async def sequential(job):
    async with producer(job) as it:
        values, latencies, watch = itertools.cycle(job.values), [], None
        for at in range(job.warmup + job.records):
            if at == job.warmup:
                watch = Watch()
            begun = time.perf_counter()
            await (await fated(it, job.topic, next(values)))
            if at >= job.warmup:
                latencies.append((time.perf_counter() - begun) * 1e6)
        return watch.end(job.records, job.records + job.warmup, latencies)


async def consume(job):
    async def read(count, watch):
        got = bytes_seen = 0
        consumer = await reader(job)
        async with consumer if sys.argv[1] == "dohle" else Stopping(consumer):
            async for message in consumer:
                if got == 0 and watch:
                    watch.arrived()
                bytes_seen += len(value_of(message))
                got += 1
                if got == count:
                    return watch.end(got) if watch else None

    if job.warmup:
        await read(job.warmup, None)
    return await read(job.records, Watch())


class Stopping:
    """aiokafka's consumer was started already."""

    def __init__(self, consumer):
        self.consumer = consumer

    async def __aenter__(self):
        return self.consumer

    async def __aexit__(self, *_):
        await self.consumer.stop()


main(
    version,
    {
        "single": lambda job: asyncio.run(single(job)),
        "sequential": lambda job: asyncio.run(sequential(job)),
        "consume": lambda job: asyncio.run(consume(job)),
    },
)
