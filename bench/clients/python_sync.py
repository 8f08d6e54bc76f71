"""Dohle and confluent-kafka in Python: one program for both, as their names mean the same. The first argument names the module."""

import importlib
import itertools
import sys
import time

from harness import Watch, main

kafka = importlib.import_module(sys.argv[1])


def producer(job):
    return kafka.Producer({"bootstrap.servers": job.brokers, "acks": job.acks, "compression.type": job.codec})


def send(producer, topic, records):
    """One call per record, without a callback; a full queue is waited for."""
    produce, poll = producer.produce, producer.poll
    for key, value in records:
        try:
            produce(topic, value, key)
        except BufferError:
            while True:
                poll(0.05)
                try:
                    produce(topic, value, key)
                    break
                except BufferError:
                    pass


def enqueue(job):
    with_it = producer(job)
    send(with_it, job.topic, job.run(job.warmup))
    with_it.flush()
    watch = Watch()
    send(with_it, job.topic, job.run(job.records))
    left = with_it.flush()
    return watch.end(job.records - left, job.records + job.warmup - left)


def single(job):
    """Each record with a callback, `window` under way."""
    with_it, values = producer(job), itertools.cycle(job.values)
    delivered = [0]

    def report(err, msg):
        if err is None:
            delivered[0] += 1

    def run(count):
        until = delivered[0] + count
        for sent in range(count):
            while until - count + sent - delivered[0] >= job.window:
                with_it.poll(0.05)
            with_it.produce(job.topic, next(values), on_delivery=report)
        while delivered[0] < until:
            with_it.poll(0.05)

    run(job.warmup)
    watch = Watch()
    run(job.records)
    return watch.end(job.records, delivered[0])


def sequential(job):
    with_it, values, latencies = producer(job), itertools.cycle(job.values), []
    watch = None
    for at in range(job.warmup + job.records):
        if at == job.warmup:
            watch = Watch()
        begun = time.perf_counter()
        with_it.produce(job.topic, next(values))
        with_it.flush()
        if at >= job.warmup:
            latencies.append((time.perf_counter() - begun) * 1e6)
    return watch.end(job.records, job.records + job.warmup, latencies)


def read(job, count, watch, many):
    consumer = kafka.Consumer(
        {"bootstrap.servers": job.brokers, "group.id": f"bench-{time.time_ns()}", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    )
    consumer.assign([kafka.TopicPartition(job.topic, partition, kafka.OFFSET_BEGINNING) for partition in range(job.partitions)])
    got = bytes_seen = 0
    while got < count:
        messages = consumer.consume(1000, 1) if many else [consumer.poll(1)]
        if messages and messages[0] is not None and got == 0 and watch:
            watch.arrived()
        for message in messages:
            if message is not None:
                bytes_seen += len(message.value())
                got += 1
    result = watch.end(count) if watch else None
    consumer.close()
    return result


def consume(job, many=False):
    if job.warmup:
        read(job, job.warmup, None, many)
    return read(job, job.records, Watch(), many)


main(
    kafka.__version__,
    {
        "enqueue": enqueue,
        "single": single,
        "sequential": sequential,
        "consume": consume,
        "consume-batches": lambda job: consume(job, many=True),
    },
)
