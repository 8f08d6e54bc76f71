"""``list_topics``, which every object has."""

from __future__ import annotations

import json
from typing import Any

from ._wire import packed, within
from .errors import KafkaError
from .types import BrokerMetadata, ClusterMetadata, PartitionMetadata, TopicMetadata


class Cluster:
    """The part of an object that asks for the cluster's metadata."""

    _client: int

    def list_topics(self: Any, topic: str | None = None, timeout: float | None = None) -> ClusterMetadata:
        """Brokers and topics of the cluster; ``topic``: just this one. Waits for at most ``timeout`` seconds (None: ``default.api.timeout.ms``).

        A topic that does not exist is in the answer with its ``error``. Raises KafkaError when the cluster cannot be asked.
        (confluent-kafka: Producer.list_topics)
        """

        def ask(operation: str, **request: Any) -> Any:
            return json.loads(self._call(self._client, f"admin.{operation}", packed({**request, **within(timeout)})))

        cluster = ask("describeCluster")
        names = [topic] if topic is not None else [one["topic"] for one in ask("listTopics", includeInternal=True)]
        topics: dict[str, TopicMetadata] = {}
        try:
            described = ask("describeTopics", topics=names) if names else []
        except KafkaError as error:
            if not error.items:
                raise
            topics = {name: TopicMetadata(name, error=why) for name, why in error.items.items()}
            rest = [name for name in names if name not in topics]
            described = ask("describeTopics", topics=rest) if rest else []
        for one in described:
            partitions = {
                at["partition"]: PartitionMetadata(
                    at["partition"], _or_none(at.get("leader")), at["replicas"], at["inSync"]
                )
                for at in one["partitions"]
            }
            topics[one["topic"]] = TopicMetadata(one["topic"], partitions)
        return ClusterMetadata(
            cluster.get("clusterId"),
            _or_none(cluster.get("controller")),
            {b["id"]: BrokerMetadata(b["id"], b["host"], b["port"]) for b in cluster["brokers"]},
            topics,
        )


def _or_none(id: int | None) -> int:
    return -1 if id is None else id
