"""A transactional producer (librdkafka) as a program of the tests.

  transactions.py BOOTSTRAP TOPIC ROUNDS PER_ROUND

Writes ROUNDS transactions of PER_ROUND records with the values "ROUND-INDEX" to partition 0 of TOPIC. Every third one is
aborted; a second producer without transactions writes one record "plain-ROUND" in the middle of each. The last transaction
stays open until a line comes on stdin, then it is committed. Says "open" and "done" on stdout.
"""

import sys
import uuid

from confluent_kafka import Producer

PATIENCE = 120.0


def main(bootstrap, topic, rounds, per_round):
    shared = {"bootstrap.servers": bootstrap, "compression.type": "lz4", "linger.ms": 0}
    producer = Producer({**shared, "transactional.id": f"t-{uuid.uuid4()}"})
    plain = Producer(shared)
    producer.init_transactions(PATIENCE)
    for at in range(rounds):
        producer.begin_transaction()
        for index in range(per_round):
            producer.produce(topic, partition=0, value=f"{at}-{index}")
            if index == per_round // 2:
                if producer.flush(PATIENCE):
                    sys.exit("the first half is not acknowledged")
                plain.produce(topic, partition=0, value=f"plain-{at}")
                if plain.flush(PATIENCE):
                    sys.exit("the plain record is not acknowledged")
        if producer.flush(PATIENCE):
            sys.exit("the second half is not acknowledged")
        if at == rounds - 1:
            print("open", flush=True)
            sys.stdin.readline()
        if at % 3 == 1:
            producer.abort_transaction(PATIENCE)
        else:
            producer.commit_transaction(PATIENCE)
    print("done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
