"""The statistics of confluent-kafka (librdkafka), as its stats_cb gets them: one JSON document per line, of a transactional producer and
of a member of a group.

  stats.py BOOTSTRAP TOPIC
"""

import json
import sys

from confluent_kafka import Consumer, Producer


def main(bootstrap, topic):
    told = {}
    common = {
        "bootstrap.servers": bootstrap,
        "statistics.interval.ms": 100,
        "stats_cb": lambda text: told.update({json.loads(text)["type"]: text}),
    }
    producer = Producer({**common, "transactional.id": f"{topic}-t"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, partition=0, value="1")
    producer.commit_transaction()
    while topic not in json.loads(told.get("producer", '{"topics": {}}'))["topics"]:
        producer.poll(0.1)
    consumer = Consumer({**common, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    read = 0
    while not read or topic not in json.loads(told.get("consumer", '{"topics": {}}'))["topics"]:
        message = consumer.poll(0.1)
        read += message is not None and message.error() is None
    consumer.close()
    print(told["producer"])
    print(told["consumer"])


main(*sys.argv[1:])
