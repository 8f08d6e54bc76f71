"""confluent-kafka (librdkafka) as a program of the tests.

  confluent.py write BOOTSTRAP               records as lines of JSON on stdin (see peer.ts)
  confluent.py read BOOTSTRAP TOPIC...       records as lines of JSON on stdout, from the beginnings to the present ends
"""

import base64
import json
import sys
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

PATIENCE = 120.0


def decode(text):
    return None if text is None else base64.b64decode(text)


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def write(bootstrap):
    failures, producers = [], {}

    def report(error, _message):
        if error is not None:
            failures.append(str(error))

    for line in sys.stdin:
        row = json.loads(line)
        codec = row["codec"]
        if codec not in producers:
            producers[codec] = Producer(
                {"bootstrap.servers": bootstrap, "compression.type": codec, "linger.ms": 100, "enable.idempotence": True}
            )
        extra = {} if row["timestamp"] is None else {"timestamp": row["timestamp"]}
        producers[codec].produce(
            row["topic"],
            partition=row["partition"],
            key=decode(row["key"]),
            value=decode(row["value"]),
            headers=[(name, decode(value)) for name, value in row["headers"]],
            on_delivery=report,
            **extra,
        )
    for producer in producers.values():
        left = producer.flush(PATIENCE)
        if left:
            failures.append(f"{left} records are not acknowledged")
    if failures:
        sys.exit("\n".join(failures[:5]))


def read(bootstrap, topics):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"confluent-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "check.crcs": True,
        }
    )
    open_partitions = set()
    for topic in topics:
        for partition in consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions:
            open_partitions.add((topic, partition))
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in open_partitions])
    while open_partitions:
        message = consumer.poll(PATIENCE)
        if message is None:
            sys.exit(f"nothing came for {PATIENCE} s; unfinished: {open_partitions}")
        if message.error() is not None:
            if message.error().code() != KafkaError._PARTITION_EOF:
                sys.exit(str(message.error()))
            open_partitions.discard((message.topic(), message.partition()))
            continue
        row = {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
            "key": encode(message.key()),
            "value": encode(message.value()),
            "headers": [[name, encode(value)] for name, value in message.headers() or []],
        }
        sys.stdout.write(json.dumps(row) + "\n")
    consumer.close()


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2])
    else:
        read(sys.argv[2], sys.argv[3:])
