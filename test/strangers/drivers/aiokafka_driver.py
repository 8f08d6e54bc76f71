"""aiokafka as a driver of the cases.

  aiokafka_driver.py BOOTSTRAP
"""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, ProducerFenced
from kit import PATIENCE, RECORDS, T0, serve, text

BOOTSTRAP = sys.argv[1]
TIMESTAMP_TYPES = {0: "CreateTime", 1: "LogAppendTime"}


async def until(what, done):
    """Calls `done` until it gives something true, which it returns."""
    end = time.monotonic() + PATIENCE
    while True:
        value = done()
        value = await value if asyncio.iscoroutine(value) else value
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"never: {what}")
        await asyncio.sleep(0.02)


async def code_of(call):
    """Kafka's number of the error that a call ends with; 0 for none."""
    try:
        await call
        return 0
    except KafkaError as error:
        return error.errno


async def produce(topic, records, **settings):
    """Sends (key, value, headers, timestamp) to partition 0, and gives what the broker said of each."""
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=True, **settings) as producer:
        sent = []
        for key, value, headers, timestamp in records:
            sent.append(
                await producer.send(topic, value, key, partition=0, headers=headers, timestamp_ms=timestamp)
            )
        return await asyncio.gather(*sent)


async def read(topic, partition, offset, count, **settings):
    """So many records from an offset."""
    async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, **settings) as consumer:
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        consumer.seek(place, offset)
        return [await asyncio.wait_for(consumer.getone(), PATIENCE) for _ in range(count)]


async def asking(question, **settings):
    """What a consumer answers that reads nothing."""
    async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, **settings) as consumer:
        return await question(consumer)


async def administering(work):
    admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    await admin.start()
    try:
        return await work(admin)
    finally:
        await admin.close()


def values(records):
    return [text(record.value) for record in records]


def offsets(records):
    return [record.offset for record in records]


async def codec(topic, name):
    records = [(*record, T0 + at * 1000) for at, record in enumerate(RECORDS)]
    # A limit of its own for what is not compressed yet.
    await produce(topic, records, compression_type=None if name == "none" else name, linger_ms=20, max_request_size=100_000)
    return {
        "records": [
            {
                "offset": record.offset,
                "key": text(record.key),
                "value": text(record.value),
                "headers": [[name, text(value)] for name, value in record.headers],
                "timestamp": record.timestamp,
            }
            for record in await read(topic, 0, 0, len(records))
        ]
    }


async def too_large(topic):
    error = await code_of(produce(topic, [(None, b"x" * 20_000, [], None)]))
    [sent] = await produce(topic, [(None, b"small", [], None)])
    place = TopicPartition(topic, 0)
    end = await asking(lambda consumer: consumer.end_offsets([place]))
    return {"error": error, "offset": sent.offset, "end": end[place]}


async def append_time(topic):
    await produce(topic, [(None, b"v", [], T0)])
    [record] = await read(topic, 0, 0, 1)
    near = abs(time.time() * 1000 - record.timestamp) < 3_600_000
    return {"type": TIMESTAMP_TYPES[record.timestamp_type], "brokersClock": near}


async def auto_create(name):
    topic = f"{name}-auto"
    [sent] = await produce(topic, [(None, b"v", [], None)])
    [found] = await administering(lambda admin: admin.describe_topics([topic]))
    return {"offset": sent.offset, "partitions": len(found["partitions"])}


async def fetch(topic):
    places = [TopicPartition(topic, partition) for partition in (0, 1)]
    records = await read(topic, 1, 4, 6)
    [reset] = await read(topic, 1, 100, 1, auto_offset_reset="earliest")
    low = await asking(lambda consumer: consumer.beginning_offsets(places))
    high = await asking(lambda consumer: consumer.end_offsets(places))
    return {
        "values": values(records),
        "offsets": offsets(records),
        "earliest": [low[place] for place in places],
        "latest": [high[place] for place in places],
        "reset": reset.offset,
    }


async def seek_by_time(topic):
    place = TopicPartition(topic, 0)
    found = []
    for after in (-1, 4_500, 5_000, 9_001):
        times = {place: T0 + after}
        answer = (await asking(lambda consumer, times=times: consumer.offsets_for_times(times)))[place]
        found.append(None if answer is None else answer.offset)
    return {"offsets": found, "values": values(await read(topic, 0, found[1], 5))}


class Member(ConsumerRebalanceListener):
    """A member of a group: what it has read, and how often it lost something."""

    def __init__(self, topic, **settings):
        self.revoked, self.next, self.seen = 0, {}, set()
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=BOOTSTRAP,
            group_id=f"{topic}-group",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=300,
            partition_assignment_strategy=(RangePartitionAssignor,),
            **settings,
        )
        self.topic = topic

    async def start(self):
        self.consumer.subscribe([self.topic], listener=self)
        await self.consumer.start()
        self.reading = asyncio.create_task(self.read())
        return self

    def on_partitions_revoked(self, revoked):
        self.revoked += len(revoked)

    def on_partitions_assigned(self, assigned):
        pass

    async def read(self):
        async for record in self.consumer:
            self.seen.add((record.partition, record.offset))
            self.next[record.partition] = record.offset + 1

    def places(self):
        return sorted(place.partition for place in self.consumer.assignment())

    async def stop(self):
        self.reading.cancel()
        await self.consumer.stop()


async def state(admin, group):
    """State, number of members and the assignor of a group."""
    [answer] = await admin.describe_consumer_groups([group])
    [(error, _, state, _, protocol, members, *_)] = answer.groups
    assert error == 0, error
    return [state.upper(), len(members)], protocol


async def committed(admin, group, topic, partitions):
    places = [TopicPartition(topic, partition) for partition in range(partitions)]
    found = await admin.list_consumer_group_offsets(group, partitions=places)
    return [found[place].offset for place in places]


async def group_classic(topic):
    group, steps = f"{topic}-group", []

    async def settle(members, counts, read=lambda: True):
        await until(counts, lambda: [len(member.places()) for member in members] == counts and read())
        steps.append([len(member.places()) for member in members])

    one = await Member(topic).start()
    await settle([one], [4])
    two = await Member(topic).start()
    await settle([one, two], [2, 2])
    await one.stop()
    # The one that is left reads what nobody has committed.
    await settle([two], [4], lambda: two.next == dict.fromkeys(range(4), 10))
    await two.consumer.commit({TopicPartition(topic, partition): offset for partition, offset in two.next.items()})

    async def rest(admin):
        stable, protocol = await state(admin, group)
        await two.stop()

        async def gone():
            now, _ = await state(admin, group)
            return now[1] == 0 and now

        return {
            "stable": stable,
            "empty": await until("the group is empty", gone),
            "committed": await committed(admin, group, topic, 4),
            "details": protocol,
        }

    return {**await administering(rest), "steps": steps, "read": len(one.seen | two.seen)}


async def static_member(topic):
    async def join(name):
        return await Member(topic, group_instance_id=name).start()

    one, two = await join("one"), await join("two")

    def settled(one, two):
        return len(one.places()) == 1 == len(two.places()) and one.places() != two.places()

    await until("one partition each", lambda: settled(one, two))
    steps, before, revoked = [len(one.places()), len(two.places())], one.places(), two.revoked
    await one.stop()  # a static member does not leave
    back = await join("one")
    await until("it is back", lambda: settled(back, two))
    result = {"steps": steps, "same": back.places() == before, "undisturbed": two.revoked == revoked}
    for member in (two, back):
        await member.stop()
    return result


async def transactions(topic):
    def producer():
        return AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=f"{topic}-tx")

    one, two = producer(), producer()
    await one.start()

    async def begin(*list_of_values):
        await one.begin_transaction()
        for value in list_of_values:
            await one.send_and_wait(topic, value.encode(), partition=0)

    await begin("a0", "a1")
    await one.commit_transaction()
    await begin("b0", "b1")
    await one.abort_transaction()
    await begin("c0")
    place = TopicPartition(topic, 0)
    await one.send_offsets_to_transaction({place: 2}, f"{topic}-group")
    await one.commit_transaction()
    await begin("d0")

    async def ends():
        async def end(consumer):
            return (await consumer.end_offsets([place]))[place]

        return [await asking(end, isolation_level=f"read_{what}committed") for what in ("", "un")]

    open_ends = await ends()
    found = await read(topic, 0, 0, 3, isolation_level="read_committed")
    uncommitted = await read(topic, 0, 0, 6, isolation_level="read_uncommitted")
    await two.start()
    try:
        await one.commit_transaction()
        fenced = False
    except ProducerFenced:
        fenced = True
    result = {
        "committed": values(found),
        "offsets": offsets(found),
        "uncommitted": values(uncommitted)[:5],
        "ends": open_ends,
        "groupOffset": (await administering(lambda admin: committed(admin, f"{topic}-group", topic, 1)))[0],
        "fenced": fenced,
        "final": await ends(),
    }
    await two.stop()
    await one.stop()
    return result


async def topics(admin, name):
    topic = f"{name}-new"

    async def create(topic, partitions=2, factor=1):
        answer = await admin.create_topics([NewTopic(topic, partitions, factor)])
        return answer.topic_errors[0][1]

    async def partitions(count):
        [found] = await admin.describe_topics([topic])
        return len(found["partitions"]) == count and sorted(found["partitions"], key=lambda each: each["partition"])

    async def grow(count):
        await admin.create_partitions({topic: NewPartitions(count)})

    assert await create(topic) == 0
    found = await until("it is listed", lambda: partitions(2))
    described = {
        "partitions": len(found),
        "leaders": [each["leader"] for each in found],
        "replicas": [each["replicas"] for each in found],
        "isr": [each["isr"] for each in found],
    }
    result = {
        "brokers": [broker["node_id"] for broker in (await admin.describe_cluster())["brokers"]],
        "described": described,
        "again": await create(topic),
        "badName": await create(f"{name} with spaces"),
        "badReplication": await create(f"{name}-wide", 1, 3),
        "listed": topic in await admin.list_topics(),
    }
    await grow(3)
    result["grown"] = len(await until("it has grown", lambda: partitions(3)))
    result["shrunk"] = await code_of(grow(1))
    await admin.delete_topics([topic])

    async def gone():
        return topic not in await admin.list_topics()

    result["deleted"] = await until("it is gone", gone)
    answer = await admin.delete_topics([f"{name}-none"])
    return {**result, "unknown": answer.topic_error_codes[0][1]}


async def delete_records(admin, name):
    place = TopicPartition(name, 0)

    async def delete(offset):
        return (await admin.delete_records({place: RecordsToDelete(offset)}))[place]

    low = await delete(4)
    earliest = (await asking(lambda consumer: consumer.beginning_offsets([place])))[place]
    return {"low": low, "earliest": earliest, "beyond": await code_of(delete(11)), "all": await delete(-1)}


async def configs_legacy(admin, topic):
    sources = {1: "DYNAMIC_TOPIC_CONFIG", 3: "DYNAMIC_DEFAULT_BROKER_CONFIG", 4: "STATIC_BROKER_CONFIG", 5: "DEFAULT_CONFIG"}

    async def alter(value):
        resource = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.bytes": value})
        return (await admin.alter_configs([resource]))[0].resources[0][0]

    async def after():
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
        rows = answer.resources[0][4]
        found = {row[0]: [row[1], sources[row[3]]] for row in rows}
        return found["retention.bytes"][0] == "1000" and {name: found[name] for name in ("retention.ms", "retention.bytes")}

    assert await alter("1000") == 0
    return {"after": await until("it is changed", after), "badValue": await alter("much")}


async def groups(admin, name):
    empty, live = f"{name}-group", f"{name}-live"
    listed = {group[0] for group in await admin.list_consumer_groups()}
    return {
        "listed": {empty, live} <= listed,
        "described": (await state(admin, empty))[0],
        "live": (await state(admin, live))[0],
    }


async def group_offsets(admin, name):
    group = f"{name}-group"
    before = await committed(admin, group, name, 2)
    places = [TopicPartition(name, 0)]
    async with AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign(places)
        await consumer.commit({places[0]: 1})
    return {"before": before, "altered": await committed(admin, group, name, 2)}


def synchronous(case):
    return lambda *arguments: asyncio.run(case(*arguments))


def with_admin(case):
    return lambda name: asyncio.run(administering(lambda admin: case(admin, name)))


serve(
    {
        "codec": synchronous(codec),
        "too-large": synchronous(too_large),
        "append-time": synchronous(append_time),
        "auto-create": synchronous(auto_create),
        "fetch": synchronous(fetch),
        "seek-by-time": synchronous(seek_by_time),
        "group-classic": synchronous(group_classic),
        "static-member": synchronous(static_member),
        "transactions": synchronous(transactions),
        "admin-topics": with_admin(topics),
        "delete-records": with_admin(delete_records),
        "admin-configs-legacy": with_admin(configs_legacy),
        "admin-groups": with_admin(groups),
        "admin-offsets": with_admin(group_offsets),
    }
)
