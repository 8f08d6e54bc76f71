"""confluent-kafka for Python (librdkafka): records and groups; its administration is in confluent_admin.py.

  confluent.py BOOTSTRAP
"""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

import confluent_admin
from kit import PATIENCE, RECORDS, T0, serve, text, wait_until

BOOTSTRAP = sys.argv[1]
TIMESTAMP_TYPES = {0: "NotAvailable", 1: "CreateTime", 2: "LogAppendTime"}


def client(**settings):
    return {"bootstrap.servers": BOOTSTRAP, **{name.replace("_", "."): value for name, value in settings.items()}}


def produce(topic, records, **settings):
    """Sends (key, value, headers, timestamp) to partition 0, and gives (error code, offset) of each."""
    producer = Producer(client(**settings))
    told = []
    for key, value, headers, timestamp in records:
        producer.produce(
            topic,
            partition=0,
            key=key,
            value=value,
            headers=headers,
            timestamp=timestamp,
            on_delivery=lambda error, message: told.append((error.code() if error else 0, message.offset())),
        )
    wait_until("acknowledged", lambda: producer.poll(0.05) is not None and len(told) == len(records))
    return told


def read(topic, partition, offset, **settings):
    """The messages from an offset to the end."""
    consumer = Consumer(client(group_id="none", enable_partition_eof=True, enable_auto_commit=False, **settings))
    consumer.assign([TopicPartition(topic, partition, offset)])
    messages = []

    def at_end():
        message = consumer.poll(1)
        if message is None:
            return False
        if message.error() is None:
            messages.append(message)
        elif message.error().code() == KafkaError._PARTITION_EOF:
            return True
        else:
            raise KafkaException(message.error())

    wait_until("the end", at_end, 0)
    consumer.close()
    return messages


def codec(topic, name):
    records = [(*record, T0 + at * 1000) for at, record in enumerate(RECORDS)]
    # 20 ms: all in one batch or in several, as it comes.
    assert all(code == 0 for code, _ in produce(topic, records, compression_type=name, linger_ms=20))
    return {
        "records": [
            {
                "offset": message.offset(),
                "key": text(message.key()),
                "value": text(message.value()),
                "headers": [[name, text(value)] for name, value in message.headers() or []],
                "timestamp": message.timestamp()[1],
            }
            for message in read(topic, 0, OFFSET_BEGINNING, check_crcs=True)
        ]
    }


def too_large(topic):
    [(error, _)] = produce(topic, [(None, b"x" * 20_000, [], T0)])
    [(_, offset)] = produce(topic, [(None, b"small", [], 0)])
    return {"error": error, "offset": offset, "end": ends(topic, 0)[1]}


def ends(topic, partition, **settings):
    consumer = Consumer(client(group_id="none", **settings))
    found = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=PATIENCE)
    consumer.close()
    return found


def append_time(topic):
    produce(topic, [(None, b"v", [], T0)])
    [message] = read(topic, 0, OFFSET_BEGINNING)
    kind, timestamp = message.timestamp()
    return {"type": TIMESTAMP_TYPES[kind], "brokersClock": abs(time.time() * 1000 - timestamp) < 3_600_000}


def auto_create(name):
    topic = f"{name}-auto"
    [(error, offset)] = produce(topic, [(b"k", b"v", [], 0)], allow_auto_create_topics=True)
    assert error == 0, error
    partitions = AdminClient(client()).list_topics(topic, timeout=PATIENCE).topics[topic].partitions
    return {"offset": offset, "partitions": len(partitions)}


def fetch(topic):
    messages = read(topic, 1, 4)
    reset = read(topic, 1, 100, auto_offset_reset="earliest")
    low, high = zip(*(ends(topic, partition) for partition in (0, 1)))
    return {
        "values": [text(message.value()) for message in messages],
        "offsets": [message.offset() for message in messages],
        "earliest": list(low),
        "latest": list(high),
        "reset": reset[0].offset(),
    }


def seek_by_time(topic):
    consumer = Consumer(client(group_id="none"))

    def find(timestamp):
        [place] = consumer.offsets_for_times([TopicPartition(topic, 0, timestamp)], timeout=PATIENCE)
        return place.offset if place.offset >= 0 else None

    offsets = [find(T0 + after) for after in (-1, 4_500, 5_000, 9_001)]
    consumer.close()
    return {"offsets": offsets, "values": [text(message.value()) for message in read(topic, 0, offsets[1])]}


def list_offsets(topic):
    admin, place = AdminClient(client()), TopicPartition(topic, 0)

    def find(spec):
        return admin.list_offsets({place: spec}, request_timeout=PATIENCE)[place].result().offset

    return {
        "earliest": find(OffsetSpec.earliest()),
        "latest": find(OffsetSpec.latest()),
        "byTime": find(OffsetSpec.for_timestamp(T0 + 1)),
        "largest": find(OffsetSpec.max_timestamp()),
    }


class Member:
    """A member of a group: its assignment, and how often it lost some."""

    def __init__(self, topic, group, **settings):
        self.revoked, self.errors, self.next = 0, [], {}
        settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "heartbeat_interval_ms": 300, **settings}
        if settings.get("group_protocol") == "consumer":
            del settings["heartbeat_interval_ms"]
        self.consumer = Consumer({**client(group_id=group, **settings), "error_cb": self.errors.append})
        self.consumer.subscribe([topic], on_revoke=self.lose, on_lost=self.lose)

    def lose(self, _consumer, _places):
        self.revoked += 1

    def poll(self):
        message = self.consumer.poll(0.05)
        if message is not None and message.error() is not None:
            self.errors.append(message.error())
        return message if message is not None and message.error() is None else None

    def places(self):
        return sorted(place.partition for place in self.consumer.assignment())


def described(admin, group):
    found = admin.describe_consumer_groups([group], request_timeout=PATIENCE)[group].result()
    return found, [found.state.name.replace("_", ""), len(found.members)]


def rebalances(topic, **settings):
    group, admin = f"{topic}-group", AdminClient(client())
    seen, steps = set(), []

    def settle(members, counts, read=lambda: True):
        def settled():
            for member in members:
                message = member.poll()
                if message is not None:
                    seen.add((message.partition(), message.offset()))
                    member.next[message.partition()] = message.offset() + 1
            return [len(member.places()) for member in members] == counts and read()

        wait_until(f"{counts}", settled, 0)
        steps.append([len(member.places()) for member in members])

    one = Member(topic, group, **settings)
    settle([one], [4])
    two = Member(topic, group, **settings)
    settle([one, two], [2, 2])
    one.consumer.close()
    # The one that is left reads what nobody has committed.
    settle([two], [4], lambda: two.next == dict.fromkeys(range(4), 10))
    places = [TopicPartition(topic, partition, offset) for partition, offset in two.next.items()]
    two.consumer.commit(offsets=places, asynchronous=False)
    found, stable = described(admin, group)
    details = {"assignor": found.partition_assignor, "type": found.type.name}
    two.consumer.close()
    empty = wait_until("the group is empty", lambda: (state := described(admin, group)[1])[1] == 0 and state)
    committed = confluent_admin.offsets(admin, group)
    return {
        "steps": steps,
        "read": len(seen),
        "committed": [committed.get(partition) for partition in range(4)],
        "stable": stable,
        "empty": empty,
        "details": details,
    }


def static_member(topic):
    group, admin = f"{topic}-group", AdminClient(client())

    def join(name):
        return Member(topic, group, group_instance_id=name)

    def settled(*members):
        for member in members:
            member.poll()
        return all(len(member.places()) == 1 for member in members) and members[0].places() != members[-1].places()

    members = [join("one"), join("two")]
    wait_until("one partition each", lambda: settled(*members), 0)
    steps = [len(member.places()) for member in members]
    one, two = members
    before, revoked = one.places(), two.revoked
    one.consumer.close()
    back = join("one")
    wait_until("it is back", lambda: settled(two, back), 0)
    result = {"steps": steps, "same": back.places() == before, "undisturbed": two.revoked == revoked}
    instances = sorted(member.group_instance_id for member in described(admin, group)[0].members)
    third = join("one")

    def fenced():
        for member in (back, two, third):
            member.poll()
        # The number of a fatal error is only in its words.
        fatal = [error for error in back.errors if error.code() == KafkaError._FATAL]
        return [KafkaError.FENCED_INSTANCE_ID for error in fatal if "Static consumer fenced" in error.str()]

    code = wait_until("the one before is fenced", fenced, 0)[0]
    for member in (third, two, back):
        member.consumer.close()
    return {**result, "instances": instances, "fenced": code}


def transactions(topic):
    group, admin = f"{topic}-group", AdminClient(client())

    def producer():
        made = Producer(client(transactional_id=f"{topic}-tx", linger_ms=0))
        made.init_transactions(PATIENCE)
        return made

    def send(*values):
        for value in values:
            one.produce(topic, partition=0, value=value)
        one.flush(PATIENCE)

    one = producer()
    one.begin_transaction()
    send("a0", "a1")
    one.commit_transaction(PATIENCE)
    one.begin_transaction()
    send("b0", "b1")
    one.abort_transaction(PATIENCE)
    one.begin_transaction()
    send("c0")
    reader = Consumer(client(group_id=group))
    one.send_offsets_to_transaction([TopicPartition(topic, 0, 2)], reader.consumer_group_metadata(), PATIENCE)
    one.commit_transaction(PATIENCE)
    one.begin_transaction()
    send("d0")

    def limits():
        return [ends(topic, 0, isolation_level=f"read_{what}committed")[1] for what in ("", "un")]

    open_ends = limits()
    committed = read(topic, 0, OFFSET_BEGINNING, isolation_level="read_committed")
    two = producer()
    fenced = False
    try:
        one.commit_transaction(PATIENCE)
    except KafkaException as error:
        fenced = error.args[0].code() in (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)
    uncommitted = read(topic, 0, OFFSET_BEGINNING, isolation_level="read_uncommitted")
    result = {
        "committed": [text(message.value()) for message in committed],
        "offsets": [message.offset() for message in committed],
        "uncommitted": [text(message.value()) for message in uncommitted if message.value() != b"d0"],
        "ends": open_ends,
        "groupOffset": confluent_admin.offsets(admin, group).get(0),
        "fenced": fenced,
        "final": limits(),
    }
    reader.close()
    del two
    return result


serve(
    {
        "codec": codec,
        "too-large": too_large,
        "append-time": append_time,
        "auto-create": auto_create,
        "fetch": fetch,
        "seek-by-time": seek_by_time,
        "list-offsets": list_offsets,
        "group-classic": lambda name: rebalances(name, partition_assignment_strategy="range"),
        "group-848": lambda name: rebalances(name, group_protocol="consumer"),
        "static-member": static_member,
        "transactions": transactions,
        **confluent_admin.cases(AdminClient(client())),
    }
)
