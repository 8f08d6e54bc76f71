from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

import dohle
from dohle import _wire, admin


@pytest.fixture
def client(broker: dohle.EmbeddedBroker) -> Iterator[dohle.AdminClient]:
    with dohle.AdminClient({"bootstrap.servers": broker.address, "group.id": "is ignored"}) as client:
        yield client


def test_topics_are_made_changed_described_and_deleted(client: dohle.AdminClient, topic: str) -> None:
    [created] = client.create_topics([admin.NewTopic(topic, partitions=2, configs={"retention.ms": "1000"})])
    assert (created.topic, created.partitions) == (topic, 2)
    client.create_partitions([admin.NewPartitions(topic=topic, count=4)])
    [described] = client.describe_topics([topic])
    assert [one.partition for one in described.partitions] == [0, 1, 2, 3] and not described.internal
    change = admin.ConfigChange("retention.ms", operation="SET", value="2000")
    client.incremental_alter_configs([admin.ConfigChanges(type="TOPIC", name=topic, configs=[change])])
    [found] = client.describe_configs([admin.ConfigsOf(type="TOPIC", name=topic, keys=["retention.ms"])])
    assert [(one.name, one.value) for one in found.configs] == [("retention.ms", "2000")]
    client.delete_topics([topic])
    assert topic not in client.list_topics().topics


def test_of_several_things_those_that_failed_are_named(client: dohle.AdminClient, topic: str) -> None:
    client.create_topics([admin.NewTopic(topic)])
    with pytest.raises(dohle.KafkaError) as refused:
        client.create_topics([admin.NewTopic(topic), admin.NewTopic(f"{topic}-b")])
    assert {name: error.code for name, error in refused.value.items.items()} == {topic: "TOPIC_ALREADY_EXISTS"}
    assert f"{topic}-b" in client.list_topics().topics


def test_every_kind_of_value_crosses_both_ways(client: dohle.AdminClient, topic: str) -> None:
    """64-bit integers, bytes, doubles that JSON has not, variants, open enums, secrets."""
    client.create_topics([admin.NewTopic(topic)])
    far = 2**62 + 1
    client.alter_consumer_group_offsets(f"{topic}-group", [dohle.TopicPartition(topic, 0, far, metadata="ü")])
    [group] = client.list_consumer_group_offsets([admin.OffsetsOf(f"{topic}-group")])
    assert [(one.topic, one.offset, one.metadata) for one in group.offsets] == [(topic, far, "ü")]
    entity = [admin.QuotaEntity("user", name=topic)]
    client.alter_client_quotas([admin.QuotaChanges(entity, set={"request_percentage": 0.5})])
    [quotas] = client.describe_client_quotas([admin.QuotaFilter("user", name=topic)])
    assert [(one.name, one.value) for one in quotas.quotas] == [("request_percentage", 0.5)]
    for value, text in ((math.inf, "Infinity"), (-math.inf, "-Infinity"), (math.nan, "NaN")):
        assert _wire.DOUBLE.encode(value, "value") == text
        assert repr(_wire.DOUBLE.decode(text)) == repr(value)
    for spec, offset in ((admin.OffsetSpecEarliest(), 0), (admin.OffsetSpecTimestamp(5), None)):
        [listed] = client.list_offsets([admin.OffsetOf(topic=topic, partition=0, offset=spec)])
        assert listed.offset == offset
    change = admin.ScramChange(user=topic, mechanism="SCRAM-SHA-256", iterations=4096, password="secret", salt=b"\0\xff" * 8)
    assert "secret" not in repr(change)
    client.alter_user_scram_credentials([change])
    [user] = client.describe_user_scram_credentials(users=[topic])
    assert [(one.mechanism, one.iterations) for one in user.credentials] == [("SCRAM-SHA-256", 4096)]
    acl = admin.Acl(
        resource_type="TOPIC",
        resource_name=topic,
        pattern_type="LITERAL",
        principal="User:a",
        host="*",
        operation="UNKNOWN(77)",
        permission="ALLOW",
    )
    with pytest.raises(dohle.KafkaError):
        client.create_acls([acl])


def test_wrong_arguments_name_their_place(client: Any, topic: str) -> None:
    wrong: list[tuple[type[Exception], Any, str]] = [
        (TypeError, lambda: client.create_topics("t"), "topics: must be a list"),
        (TypeError, lambda: client.create_topics([admin.NewTopic(topic), "t"]), r"topics\[1\]: must be NewTopic"),
        (TypeError, lambda: client.create_topics([admin.NewTopic(topic, configs=["a"])]), r"topics\[0\]\.configs"),
        (dohle.InvalidConfigurationError, lambda: client.create_topics([admin.NewTopic(7)]), r"topics\[0\]\.topic"),
        (TypeError, lambda: client.delete_records([admin.RecordsBefore(topic=topic, partition=0, before_offset="5")]), "before_offset"),
        (TypeError, lambda: client.create_topics([], nonsense=1), "nonsense"),
    ]
    for kind, use, text in wrong:
        with pytest.raises(kind, match=text):
            use()


def test_a_fault_of_the_embedded_broker_is_felt_and_counted() -> None:
    with dohle.EmbeddedBroker() as broker, dohle.AdminClient(bootstrap_servers=broker.address) as client:
        fault = broker.add_fault(admin.FaultActionError("TOPIC_AUTHORIZATION_FAILED", "before"), api="DescribeTopicPartitions")
        with pytest.raises(dohle.KafkaError):
            client.describe_topics(["t"])
        assert broker.fault_hits(fault).fired > 0
        broker.clear_faults()
        assert client.create_topics([admin.NewTopic("t")])


def test_a_closed_client_says_so(broker: dohle.EmbeddedBroker) -> None:
    client = dohle.AdminClient(bootstrap_servers=broker.address)
    client.close()
    client.close()
    with pytest.raises(dohle.KafkaError, match="^CLOSED"):
        client.describe_cluster()
