"""The life of a topic and of a group with confluent-kafka (librdkafka); what it must print is in lives.test.ts.

  life.py BOOTSTRAP TOPIC STRATEGY
"""

import json
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

PATIENCE = 120.0
START = 1_700_000_000_000


def produce(bootstrap, topic, numbers):
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20})
    failures = []
    for number in numbers:
        for partition in range(4):
            producer.produce(
                topic,
                partition=partition,
                value=str(number),
                timestamp=START + number * 1000,
                on_delivery=lambda error, _: error and failures.append(str(error)),
            )
    if producer.flush(PATIENCE) or failures:
        sys.exit(f"not acknowledged: {failures[:3]}")


def poll_until(consumers, seen, done):
    end = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > end:
            sys.exit(f"not within {PATIENCE} s; assigned: {[len(one.assignment()) for one in consumers]}, read: {len(seen)}")
        for consumer in consumers:
            message = consumer.poll(0.05)
            if message is None:
                continue
            if message.error():
                sys.exit(str(message.error()))
            seen.add((message.partition(), message.offset()))


def at_end(consumer, end):
    assigned = consumer.assignment()
    return all(place.offset == end for place in consumer.position(assigned)) and assigned


def main(bootstrap, topic, strategy):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, num_partitions=4)]).values():
        future.result(PATIENCE)
    produce(bootstrap, topic, range(10))
    places = [TopicPartition(topic, partition) for partition in range(4)]

    def offsets(spec):
        futures = admin.list_offsets({place: spec for place in places})
        return sorted(future.result(PATIENCE).offset for future in futures.values())

    listed = [offsets(spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.for_timestamp(START + 5000))]

    def member():
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": topic,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "partition.assignment.strategy": strategy,
                "heartbeat.interval.ms": 500,
            }
        )
        consumer.subscribe([topic])
        return consumer

    one, two, seen = member(), member(), set()
    poll_until([one, two], seen, lambda: all(len(c.assignment()) == 2 and at_end(c, 10) for c in (one, two)))
    read = len(seen)
    one.commit(asynchronous=False)
    two.commit(asynchronous=False)
    two.close()
    poll_until([one], seen, lambda: len(one.assignment()) == 4)
    one.close()

    produce(bootstrap, topic, [10])
    three, later = member(), set()
    poll_until([three], later, lambda: len(later) >= 4)
    three.poll(1)
    three.close()
    print(json.dumps({"listed": listed, "read": read, "resumed": sorted(later)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
