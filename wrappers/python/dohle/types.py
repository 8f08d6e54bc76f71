"""Small values: partitions, places in them, and what a cluster consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import total_ordering
from typing import Any

from .errors import KafkaError

#: The start of the log.
OFFSET_BEGINNING = -2
#: The end of the log.
OFFSET_END = -1
#: What the group has committed.
OFFSET_STORED = -1000
#: No offset.
OFFSET_INVALID = -1001

#: A message has no time.
TIMESTAMP_NOT_AVAILABLE = 0
#: Its producer gave the time.
TIMESTAMP_CREATE_TIME = 1
#: The broker gave the time.
TIMESTAMP_LOG_APPEND_TIME = 2


@total_ordering
class TopicPartition:
    """A partition of a topic, with a place in it where one is meant.

    Two are equal when topic and partition are. (confluent-kafka: TopicPartition)
    """

    __slots__ = ("error", "leader_epoch", "metadata", "offset", "partition", "topic")

    def __init__(
        self,
        topic: str,
        partition: int = -1,
        offset: int = OFFSET_INVALID,
        metadata: str | None = None,
        leader_epoch: int | None = None,
    ) -> None:
        #: The topic's name.
        self.topic = topic
        #: The partition's number, from 0.
        self.partition = partition
        #: An offset, or one of ``OFFSET_BEGINNING``, ``OFFSET_END``, ``OFFSET_STORED`` and ``OFFSET_INVALID``.
        self.offset = offset
        #: The application's own text, committed with the offset.
        self.metadata = metadata
        #: Leader epoch of the record before the offset, if it is known.
        self.leader_epoch = leader_epoch
        #: Why nothing could be said of this partition, or None.
        self.error: KafkaError | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TopicPartition):
            return NotImplemented
        return (self.topic, self.partition) == (other.topic, other.partition)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, TopicPartition):
            return NotImplemented
        return (self.topic, self.partition) < (other.topic, other.partition)

    def __hash__(self) -> int:
        return hash((self.topic, self.partition))

    def __repr__(self) -> str:
        return f"TopicPartition({self.topic!r}, {self.partition}, {self.offset})"

    def _named(self) -> dict[str, Any]:
        return {"topic": self.topic, "partition": self.partition}

    def _start(self, unset: str) -> dict[str, Any]:
        """As a place to read from; ``unset``: what none means."""
        special = {
            OFFSET_BEGINNING: "earliest", OFFSET_END: "latest", OFFSET_STORED: "committed", OFFSET_INVALID: unset,
        }
        kind = special.get(self.offset)
        start = {"kind": kind} if kind else {"kind": "offset", "offset": str(self.offset)}
        return {**self._named(), "start": start}

    def _to_commit(self) -> dict[str, Any]:
        place: dict[str, Any] = {**self._named(), "offset": str(self.offset)}
        if self.metadata is not None:
            place["metadata"] = self.metadata
        if self.leader_epoch is not None:
            place["leaderEpoch"] = self.leader_epoch
        return place


def partition_of(found: dict[str, Any]) -> TopicPartition:
    """Of what the engine tells about a partition."""
    offset = found.get("offset")
    return TopicPartition(
        found["topic"],
        found["partition"],
        OFFSET_INVALID if offset is None else int(offset),
        found.get("metadata"),
        found.get("leaderEpoch"),
    )


class ConsumerGroupMetadata:
    """Who a consumer is in its group, for ``Producer.send_offsets_to_transaction``. Not to be kept: it changes with each rebalance."""

    __slots__ = ("_identity",)

    def __init__(self, identity: dict[str, Any]) -> None:
        self._identity = identity

    def __repr__(self) -> str:
        return f"ConsumerGroupMetadata({self._identity['groupId']!r})"


@dataclass
class BrokerMetadata:
    """A broker of the cluster."""

    id: int
    host: str
    port: int


@dataclass
class PartitionMetadata:
    """A partition: who leads it and who has copies. ``leader`` is -1 when there is none."""

    id: int
    leader: int
    replicas: list[int]
    isrs: list[int]
    error: KafkaError | None = None


@dataclass
class TopicMetadata:
    """A topic and its partitions, by number."""

    topic: str
    partitions: dict[int, PartitionMetadata] = field(default_factory=dict)
    error: KafkaError | None = None


@dataclass
class ClusterMetadata:
    """What a cluster consists of: brokers by id, topics by name. ``controller_id`` is -1 when there is none."""

    cluster_id: str | None
    controller_id: int
    brokers: dict[int, BrokerMetadata]
    topics: dict[str, TopicMetadata]
