"""The driver of Python: does one step at a time with the usual classes of `dohle`, and tells what it saw. See README.md."""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import json
import os
import sys
import threading
import time
import traceback
from typing import Any

import dohle
from dohle import TopicPartition, admin

Request = dict[str, Any]
OFFSETS = {"earliest": dohle.OFFSET_BEGINNING, "latest": dohle.OFFSET_END}

objects: dict[str, Any] = {}
events: dict[str, list[Any]] = {}
begun: set[str] = set()
cancelled: dict[int, str] = {}
aborted: set[int] = set()
output = threading.Lock()


class Aborted(Exception):
    pass


class NotOffered(Exception):
    pass


def given(value: Any) -> bytes | str | None:
    if value is None or isinstance(value, str):
        return value
    if "base64" in value:
        return base64.b64decode(value["base64"])
    if "repeat" in value:
        return value["repeat"] * value["times"]
    out, x = bytearray(), value["noise"]
    for _ in range(value["bytes"]):
        x ^= (x << 13) & 0xFFFFFFFF
        x ^= x >> 17
        x ^= (x << 5) & 0xFFFFFFFF
        out.append(x & 255)
    return bytes(out)


def told(value: bytes | None) -> Any:
    if value is None:
        return None
    if len(value) > 4096:
        return {"sha256": hashlib.sha256(value).hexdigest(), "length": len(value)}
    return {"base64": base64.b64encode(value).decode()}


def failure(error: BaseException) -> Any:
    if isinstance(error, Aborted):
        return {"code": "ABORTED"}
    if isinstance(error, NotOffered):
        return {"code": "NOT_OFFERED"}
    if not isinstance(error, dohle.KafkaError):
        return {"code": "DRIVER", "message": "".join(traceback.format_exception(error))}
    out = {name: getattr(error, name) for name in ("code", "retriable", "fatal", "abortable", "message")}
    out["class"] = type(error).__name__
    if error.persistence is not None:
        out["persistence"] = error.persistence
    if error.items:
        out["items"] = [{"name": name, "error": failure(one)} for name, one in error.items.items()]
    return out


def place(of: Request, metadata: bool = False) -> TopicPartition:
    offset = of.get("offset", dohle.OFFSET_INVALID)
    offset = OFFSETS.get(offset, offset)
    return TopicPartition(of["topic"], of["partition"], int(offset), of.get("metadata") if metadata else None)


def places(all: list[Request], metadata: bool = False) -> list[TopicPartition]:
    return [place(one, metadata) for one in all]


def named(all: list[TopicPartition]) -> list[Request]:
    return [{"topic": one.topic, "partition": one.partition} for one in all]


def known(offset: int) -> int | None:
    return offset if offset >= 0 else None


class Objects:
    def broker(self, r: Request) -> Any:
        objects[r["name"]] = broker = dohle.EmbeddedBroker(partitions=r["partitions"])
        return {"address": broker.address}

    def producer(self, r: Request) -> Any:
        objects[r["name"]] = dohle.Producer({**r["client"], **(r.get("options") or {})})
        return {}

    def consumer(self, r: Request) -> Any:
        options = {"enable.auto.offset.store": False, **r["client"], **(r.get("options") or {})}
        objects[r["name"]] = dohle.Consumer(options)
        events[r["name"]] = []
        return {}

    def admin(self, r: Request) -> Any:
        objects[r["name"]] = dohle.AdminClient(r["client"])
        return {}

    def close(self, r: Request) -> Any:
        ms = r.get("ms")
        self._close(objects[r["of"]], None if ms is None else ms / 1000)
        return {}

    def _close(self, it: Any, timeout: float | None) -> None:
        if isinstance(it, dohle.EmbeddedBroker):
            it.stop()
        elif isinstance(it, dohle.AdminClient):
            it.close()
        else:
            it.close(timeout)

    def cancel(self, r: Request) -> Any:
        aborted.add(r["request"])
        objects[cancelled[r["request"]]].wakeup()
        return {}

    def churn(self, r: Request) -> Any:
        makes = (
            lambda: dohle.Producer(r["client"]),
            lambda: dohle.Consumer(r["client"], group_id="churn"),
            lambda: dohle.AdminClient(r["client"]),
        )
        for number in range(r["count"]):
            makes[number % 3]().close()
        return {}

    def reset(self, r: Request) -> Any:
        gone = list(objects.values())
        objects.clear()
        for it in sorted(gone, key=lambda it: isinstance(it, dohle.EmbeddedBroker)):
            with contextlib.suppress(dohle.KafkaError):
                self._close(it, 0)
        return {"open": len(gone)}

    def usage(self, r: Request) -> Any:
        gc.collect()
        with open("/proc/self/statm") as statm:
            rss = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {"rss": rss, "threads": len(os.listdir("/proc/self/task")), "files": len(os.listdir("/proc/self/fd"))}


class Producers:
    def produce(self, r: Request) -> Any:
        producer: dohle.Producer = objects[r["of"]]
        times = r.get("times")
        results: dict[int, Any] = {}
        records = r["records"] * (times or 1)
        for at, record in enumerate(records):
            self._send(producer, record, at, results)
        while len(results) < len(records):
            producer.poll(0.05)
        answers = [results[at] for at in range(len(records))]
        if times is None:
            return {"results": answers}
        errors = [answer["error"] for answer in answers if "error" in answer]
        return {"count": len(answers) - len(errors), "errors": errors[:3]}

    def _send(self, producer: dohle.Producer, record: Request, at: int, results: dict[int, Any]) -> None:
        def report(error: dohle.KafkaError | None, message: dohle.Message) -> None:
            results[at] = (
                {"partition": message.partition(), "offset": max(message.offset(), -1)}
                if error is None
                else {"error": failure(error)}
            )

        partition = record.get("partition")
        while True:
            try:
                producer.produce(
                    record["topic"],
                    given(record.get("value")),
                    given(record.get("key")),
                    -1 if partition is None else partition,
                    on_delivery=report,
                    timestamp=record.get("timestamp"),
                    headers=[(name, given(value)) for name, value in record.get("headers") or ()],
                )
                return
            except BufferError:
                producer.poll()
            except dohle.KafkaError as error:
                results[at] = {"error": failure(error)}
                return

    def flush(self, r: Request) -> Any:
        objects[r["of"]].flush()
        return {}

    def begin(self, r: Request) -> Any:
        producer: dohle.Producer = objects[r["of"]]
        if r["of"] not in begun:
            producer.init_transactions()
            begun.add(r["of"])
        producer.begin_transaction()
        return {}

    def sendOffsets(self, r: Request) -> Any:
        metadata = objects[r["consumer"]].consumer_group_metadata()
        objects[r["of"]].send_offsets_to_transaction(places(r["offsets"]), metadata)
        return {}

    def commitTransaction(self, r: Request) -> Any:
        objects[r["of"]].commit_transaction()
        return {}

    def abortTransaction(self, r: Request) -> Any:
        objects[r["of"]].abort_transaction()
        return {}


class Consumers:
    def subscribe(self, r: Request) -> Any:
        seen = events[r["of"]]

        def note(event: str) -> Any:
            return lambda _, partitions: seen.append({"event": event, "partitions": named(partitions)})

        def revoked(consumer: dohle.Consumer, partitions: list[dohle.TopicPartition]) -> None:
            note("revoked")(consumer, partitions)
            if r.get("offsets"):
                consumer.commit(offsets=places(r["offsets"]), asynchronous=False)

        topics = [r["pattern"]] if r.get("pattern") else r["topics"]
        objects[r["of"]].subscribe(topics, note("assigned"), revoked, note("lost"))
        return {}

    def assign(self, r: Request) -> Any:
        objects[r["of"]].assign(places(r["partitions"]))
        return {}

    def unsubscribe(self, r: Request) -> Any:
        objects[r["of"]].unsubscribe()
        return {}

    def consume(self, r: Request) -> Any:
        consumer: dohle.Consumer = objects[r["of"]]
        until = time.monotonic() + r["ms"] / 1000
        messages: list[dohle.Message] = []
        while len(messages) < r["count"] and (left := until - time.monotonic()) > 0:
            try:
                messages += consumer.consume(r["count"] - len(messages), timeout=left)
            except dohle.KafkaError as error:
                if error.code == "CLOSED" and (messages or r["of"] not in objects or consumer._closed):
                    break
                raise
            if r["id"] in aborted:
                raise Aborted
        # What was given is done, and not only with the next poll.
        for message in {(message.topic(), message.partition()): message for message in messages}.values():
            consumer.store_offsets(message)
        if r.get("quiet"):
            return {"count": len(messages)}
        return {"records": [self._record(message) for message in messages]}

    def _record(self, message: dohle.Message) -> Request:
        return {
            "topic": message.topic(),
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
            "key": told(message.key()),
            "value": told(message.value()),
            "headers": [[name, told(value)] for name, value in message.headers() or ()],
        }

    def seek(self, r: Request) -> Any:
        objects[r["of"]].seek(place(r))
        return {}

    def pause(self, r: Request) -> Any:
        objects[r["of"]].pause(places(r["partitions"]))
        return {}

    def resume(self, r: Request) -> Any:
        objects[r["of"]].resume(places(r["partitions"]))
        return {}

    def assignment(self, r: Request) -> Any:
        return {"partitions": named(objects[r["of"]].assignment())}

    def position(self, r: Request) -> Any:
        return {"offset": known(objects[r["of"]].position([place(r)])[0].offset)}

    def commit(self, r: Request) -> Any:
        offsets = r.get("offsets")
        given = None if offsets is None else places(offsets, metadata=True)
        objects[r["of"]].commit(offsets=given, asynchronous=False)
        return {}

    def committed(self, r: Request) -> Any:
        found = objects[r["of"]].committed(places(r["partitions"]))
        return {
            "offsets": [
                {"topic": one.topic, "partition": one.partition, "offset": known(one.offset), "metadata": one.metadata}
                for one in found
            ]
        }

    def offsetAt(self, r: Request) -> Any:
        asked = TopicPartition(r["topic"], r["partition"], r["timestamp"])
        return {"offset": known(objects[r["of"]].offsets_for_times([asked])[0].offset)}

    def ends(self, r: Request) -> Any:
        low, high = objects[r["of"]].get_watermark_offsets(TopicPartition(r["topic"], r["partition"]))
        return {"low": low, "high": high}

    def events(self, r: Request) -> Any:
        seen = events[r["of"]]
        out = list(seen)
        del seen[: len(out)]
        return {"events": out}


class Admins:
    def createTopics(self, r: Request) -> Any:
        topics = [
            admin.NewTopic(
                one["topic"],
                partitions=one.get("partitions"),
                replication_factor=one.get("replicationFactor"),
                configs=one.get("configs"),
            )
            for one in r["topics"]
        ]
        objects[r["of"]].create_topics(topics, validate_only=r.get("validateOnly"))
        return {}

    def deleteTopics(self, r: Request) -> Any:
        objects[r["of"]].delete_topics(r["topics"])
        return {}

    def createPartitions(self, r: Request) -> Any:
        objects[r["of"]].create_partitions([admin.NewPartitions(topic=r["topic"], count=r["count"])])
        return {}

    def listTopics(self, r: Request) -> Any:
        return {"topics": list(objects[r["of"]].list_topics().topics)}

    def describeTopics(self, r: Request) -> Any:
        described = objects[r["of"]].describe_topics(r["topics"])
        return {"topics": [{"topic": one.topic, "partitions": len(one.partitions)} for one in described]}

    def describeConfigs(self, r: Request) -> Any:
        [found] = objects[r["of"]].describe_configs([admin.ConfigsOf(type=r["type"], name=r["name"])])
        return {"configs": {one.name: {"value": one.value, "source": one.source} for one in found.configs}}

    def alterConfigs(self, r: Request) -> Any:
        changes = [
            admin.ConfigChange(one["name"], operation=one.get("operation"), value=one.get("value"))
            for one in r["changes"]
        ]
        objects[r["of"]].incremental_alter_configs(
            [admin.ConfigChanges(type=r["type"], name=r["name"], configs=changes)]
        )
        return {}

    def describeCluster(self, r: Request) -> Any:
        found = objects[r["of"]].describe_cluster()
        brokers = [one.id for one in found.brokers]
        return {"clusterId": found.cluster_id, "controller": found.controller, "brokers": brokers}

    def describeGroup(self, r: Request) -> Any:
        [found] = objects[r["of"]].describe_groups([r["group"]])
        if found.error is not None:
            raise found.error
        return {"state": found.state, "members": len(found.members)}

    def listGroups(self, r: Request) -> Any:
        return {"groups": [one.group_id for one in objects[r["of"]].list_groups()]}

    def deleteGroups(self, r: Request) -> Any:
        objects[r["of"]].delete_groups(r["groups"])
        return {}

    def groupOffsets(self, r: Request) -> Any:
        [found] = objects[r["of"]].list_consumer_group_offsets([admin.OffsetsOf(r["group"])])
        return {
            "offsets": [
                {"topic": one.topic, "partition": one.partition, "offset": str(one.offset), "metadata": one.metadata}
                for one in found.offsets
                if one.offset is not None
            ]
        }

    def alterGroupOffsets(self, r: Request) -> Any:
        objects[r["of"]].alter_consumer_group_offsets(r["group"], places(r["offsets"], metadata=True))
        return {}

    def deleteRecords(self, r: Request) -> Any:
        before = admin.RecordsBefore(topic=r["topic"], partition=r["partition"], before_offset=r.get("offset"))
        [found] = objects[r["of"]].delete_records([before])
        return {"low": found.low_watermark}

    def createAcls(self, r: Request) -> Any:
        objects[r["of"]].create_acls([admin.Acl(**self._acl(one)) for one in r["acls"]])
        return {}

    def _acl(self, acl: Request) -> Request:
        names = {"resourceType": "resource_type", "resourceName": "resource_name", "patternType": "pattern_type"}
        return {names.get(name, name): value for name, value in acl.items()}

    def _acls(self, acls: list[admin.Acl]) -> Any:
        names = ("resourceType", "resourceName", "patternType", "principal", "host", "operation", "permission")
        members = ("resource_type", "resource_name", "pattern_type", *names[3:])
        return {"acls": [dict(zip(names, (getattr(acl, one) for one in members), strict=True)) for acl in acls]}

    def describeAcls(self, r: Request) -> Any:
        return self._acls(objects[r["of"]].describe_acls(admin.AclFilter(**self._acl(r["filter"]))))

    def deleteAcls(self, r: Request) -> Any:
        return self._acls(objects[r["of"]].delete_acls([admin.AclFilter(**self._acl(r["filter"]))]))

    def alterQuota(self, r: Request) -> Any:
        entity = [admin.QuotaEntity(kind, name=name) for kind, name in r["entity"].items()]
        value = r.get("value")
        change = (
            admin.QuotaChanges(entity, remove=[r["name"]])
            if value is None
            else admin.QuotaChanges(entity, set={r["name"]: float(value)})
        )
        objects[r["of"]].alter_client_quotas([change])
        return {}

    def describeQuota(self, r: Request) -> Any:
        filters = [admin.QuotaFilter(kind, name=name) for kind, name in r["entity"].items()]
        found = objects[r["of"]].describe_client_quotas(filters)
        texts = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
        return {"values": {one.name: texts.get(str(one.value), one.value) for all in found for one in all.quotas}}

    def alterScram(self, r: Request) -> Any:
        salt = r.get("salt")
        change = admin.ScramChange(
            user=r["user"],
            mechanism=r["mechanism"],
            iterations=r.get("iterations"),
            password=r.get("password"),
            salt=None if salt is None else base64.b64decode(salt),
        )
        objects[r["of"]].alter_user_scram_credentials([change])
        return {}

    def describeScram(self, r: Request) -> Any:
        [found] = objects[r["of"]].describe_user_scram_credentials(users=[r["user"]])
        return {
            "credentials": [{"mechanism": one.mechanism, "iterations": one.iterations} for one in found.credentials]
        }


OPERATIONS = {
    name: getattr(part, name)
    for part in (Objects(), Producers(), Consumers(), Admins())
    for name in dir(part)
    if not name.startswith("_")
}


def answer(request: Request) -> None:
    try:
        out: Request = {"result": OPERATIONS[request["do"]](request)}
    except Exception as error:
        out = {"error": failure(error)}
    line = json.dumps({"id": request["id"], **out})
    with output:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "consume":
        cancelled[request["id"]] = request["of"]
    threading.Thread(target=answer, args=(request,), daemon=True).start()
Objects().reset({})
