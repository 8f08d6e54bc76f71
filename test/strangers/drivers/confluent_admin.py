"""The administration of confluent-kafka: see confluent.py."""

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)
from kit import PATIENCE, wait_until

PATIENT = {"request_timeout": PATIENCE}


def code_of(future):
    """Kafka's number of the error that a call ends with; 0 for none."""
    try:
        future.result()
        return 0
    except KafkaException as error:
        return error.args[0].code()


def only(futures):
    """The future of a call about one thing."""
    [future] = futures.values()
    return future


def offsets(admin, group):
    """What a group has committed, by partition."""
    found = only(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], **PATIENT)).result()
    return {place.partition: place.offset for place in found.topic_partitions}


def topics(admin, name):
    topic = f"{name}-new"

    def create(topic, partitions=2, factor=1):
        return only(admin.create_topics([NewTopic(topic, partitions, factor)], **PATIENT))

    def grow(count):
        return only(admin.create_partitions([NewPartitions(topic, count)], **PATIENT))

    def metadata():
        return admin.list_topics(timeout=PATIENCE)

    def partitions(count):
        found = metadata().topics.get(topic)
        return found is not None and len(found.partitions) == count and found

    create(topic).result()
    listed = wait_until("it is listed", lambda: partitions(2))
    numbers = sorted(listed.partitions)
    described = {
        "partitions": len(numbers),
        "leaders": [listed.partitions[at].leader for at in numbers],
        "replicas": [listed.partitions[at].replicas for at in numbers],
        "isr": [listed.partitions[at].isrs for at in numbers],
    }
    result = {
        "brokers": sorted(metadata().brokers),
        "described": described,
        "again": code_of(create(topic)),
        "badName": code_of(create(f"{name} with spaces")),
        "badReplication": code_of(create(f"{name}-wide", 1, 3)),
        "listed": True,
    }
    grow(3).result()
    result["grown"] = len(wait_until("it has grown", lambda: partitions(3)).partitions)
    result["shrunk"] = code_of(grow(1))
    only(admin.delete_topics([topic], **PATIENT)).result()
    result["deleted"] = wait_until("it is gone", lambda: topic not in metadata().topics)
    result["unknown"] = code_of(only(admin.delete_topics([f"{name}-none"], **PATIENT)))
    return result


def delete_records(admin, name):
    def delete(offset):
        return only(admin.delete_records([TopicPartition(name, 0, offset)], **PATIENT))

    low = delete(4).result().low_watermark
    earliest = only(admin.list_offsets({TopicPartition(name, 0): OffsetSpec.earliest()}, **PATIENT)).result().offset
    return {"low": low, "earliest": earliest, "beyond": code_of(delete(11)), "all": delete(-1).result().low_watermark}


def config_of(admin, kind, name):
    return only(admin.describe_configs([ConfigResource(kind, name)], **PATIENT)).result()


def chosen(admin, topic, *names):
    found = config_of(admin, ResourceType.TOPIC, topic)
    sources = {1: "DYNAMIC_TOPIC_CONFIG", 2: "DYNAMIC_BROKER_CONFIG", 3: "DYNAMIC_DEFAULT_BROKER_CONFIG"}
    sources |= {4: "STATIC_BROKER_CONFIG", 5: "DEFAULT_CONFIG"}
    return {name: [found[name].value, sources[found[name].source]] for name in names}


def configs(admin, topic):
    def alter(topic, *changes):
        entries = [ConfigEntry(name, value, incremental_operation=kind) for name, kind, value in changes]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        return only(admin.incremental_alter_configs([resource], **PATIENT))

    kinds = AlterConfigOpType
    before = chosen(admin, topic, "retention.ms", "cleanup.policy")
    alter(
        topic,
        ("retention.bytes", kinds.SET, "1000"),
        ("retention.ms", kinds.DELETE, None),
        ("cleanup.policy", kinds.APPEND, "compact"),
    ).result()

    def after():
        found = chosen(admin, topic, "retention.ms", "retention.bytes", "cleanup.policy")
        return found["retention.bytes"][0] == "1000" and found

    return {
        "before": before,
        "after": wait_until("it is changed", after),
        "badValue": code_of(alter(topic, ("retention.bytes", kinds.SET, "much"))),
        "unknownName": code_of(alter(topic, ("no.such.name", kinds.SET, "1"))),
        "unknownTopic": code_of(alter(f"{topic}-none", ("retention.bytes", kinds.SET, "1"))),
        "broker": config_of(admin, ResourceType.BROKER, "1")["num.partitions"].value,
        "details": sorted(config_of(admin, ResourceType.TOPIC, topic)),
    }


def legacy(admin, topic):
    def alter(value):
        return only(admin.alter_configs([ConfigResource(ResourceType.TOPIC, topic, {"retention.bytes": value})], **PATIENT))

    alter("1000").result()

    def after():
        found = chosen(admin, topic, "retention.ms", "retention.bytes")
        return found["retention.bytes"][0] == "1000" and found

    return {"after": wait_until("it is changed", after), "badValue": code_of(alter("much"))}


def groups(admin, name):
    empty, live, none = (f"{name}-{which}" for which in ("group", "live", "none"))

    def state(group):
        found = only(admin.describe_consumer_groups([group], **PATIENT)).result()
        return [found.state.name.replace("_", ""), len(found.members)]

    def delete(group):
        return only(admin.delete_consumer_groups([group], **PATIENT))

    def listed():
        return {group.group_id for group in admin.list_consumer_groups(**PATIENT).result().valid}

    result = {
        "listed": {empty, live} <= listed(),
        "described": state(empty),
        "live": state(live),
        "notEmpty": code_of(delete(live)),
        "unknown": code_of(delete(none)),
    }
    delete(empty).result()
    return {**result, "deleted": empty not in listed()}


def group_offsets(admin, name):
    group = f"{name}-group"

    def now():
        found = offsets(admin, group)
        return [found.get(partition) for partition in (0, 1)]

    before = now()
    place = TopicPartition(name, 0, 1)
    only(admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [place])], **PATIENT)).result()
    return {"before": before, "altered": now()}


def acls(admin, name):
    alice = AclBinding(
        ResourceType.TOPIC,
        name,
        ResourcePatternType.LITERAL,
        f"User:{name}-alice",
        "*",
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    bob = AclBinding(
        ResourceType.GROUP,
        name,
        ResourcePatternType.PREFIXED,
        f"User:{name}-bob",
        "10.0.0.1",
        AclOperation.DESCRIBE,
        AclPermissionType.DENY,
    )

    def matching(kind=ResourceType.ANY, resource=None, pattern=ResourcePatternType.ANY, principal=None):
        return AclBindingFilter(kind, resource, pattern, principal, None, AclOperation.ANY, AclPermissionType.ANY)

    def said(found):
        fields = lambda acl: (acl.restype, acl.resource_pattern_type, acl.operation, acl.permission_type)  # noqa: E731
        lines = []
        for acl in found:
            kind, pattern, operation, permission = (field.name for field in fields(acl))
            lines.append(f"{kind}:{pattern}:{acl.name}:{acl.principal}:{acl.host}:{operation}:{permission}")
        return sorted(lines)

    def find(**fields):
        return said(admin.describe_acls(matching(**fields), **PATIENT).result())

    for future in admin.create_acls([alice, bob], **PATIENT).values():
        future.result()
    of_alice, of_bob = {"principal": f"User:{name}-alice"}, {"principal": f"User:{name}-bob"}
    wait_until("the rules are there", lambda: find(**of_alice) and find(**of_bob))
    longer = {"kind": ResourceType.GROUP, "resource": f"{name}-longer"}
    result = {
        "alice": find(**of_alice),
        "bob": find(**of_bob),
        "matchTopic": find(kind=ResourceType.TOPIC, resource=name, pattern=ResourcePatternType.MATCH),
        "matchGroup": find(**longer, pattern=ResourcePatternType.MATCH),
        "literalGroup": find(**longer, pattern=ResourcePatternType.LITERAL),
        "deleted": said(only(admin.delete_acls([matching(**of_alice)], **PATIENT)).result()),
    }
    wait_until("alice's is gone", lambda: not find(**of_alice))
    return {**result, "left": find(**of_bob)}


def cases(admin):
    """The cases of this file, by name."""
    all_of_them = {
        "admin-topics": topics,
        "delete-records": delete_records,
        "admin-configs": configs,
        "admin-configs-legacy": legacy,
        "admin-groups": groups,
        "admin-offsets": group_offsets,
        "admin-acls": acls,
    }
    return {name: lambda topic, case=case: case(admin, topic) for name, case in all_of_them.items()}
