"""A member of a group by confluent-kafka (librdkafka): joins, reads and commits until its standard input ends.

  member.py BOOTSTRAP TOPIC GROUP KEY=VALUE...     prints "assigned N" whenever it has another number of partitions
"""

import sys
import threading

from confluent_kafka import Consumer

bootstrap, topic, group, *settings = sys.argv[1:]
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        **dict(setting.split("=", 1) for setting in settings),
    }
)
ended = threading.Event()


def wait_for_end():
    sys.stdin.read()
    ended.set()


threading.Thread(target=wait_for_end, daemon=True).start()
consumer.subscribe([topic])
before = -1
while not ended.is_set():
    consumer.poll(0.05)
    now = len(consumer.assignment())
    if now != before:
        print("assigned", now, flush=True)
        before = now
consumer.close()
