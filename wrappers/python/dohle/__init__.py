"""Kafka client with an embedded broker: ``Producer``, ``Consumer``, ``AdminClient``, their asyncio forms, and ``EmbeddedBroker``.

The classes mean what those of confluent-kafka with the same names mean; README.md has a table of what is different.
"""

from . import admin
from ._native import Message, __version__
from .admin import AdminClient
from .aio import AsyncAdminClient, AsyncConsumer, AsyncProducer
from .broker import EmbeddedBroker
from .consumer import Consumer
from .errors import (
    AbortableError,
    ApplicationRecoverableError,
    InvalidConfigurationError,
    KafkaError,
    KafkaException,
    RefreshRetriableError,
    RetriableError,
)
from .producer import Producer
from .types import (
    OFFSET_BEGINNING,
    OFFSET_END,
    OFFSET_INVALID,
    OFFSET_STORED,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    ConsumerGroupMetadata,
    TopicPartition,
)

__all__ = [
    "OFFSET_BEGINNING",
    "OFFSET_END",
    "OFFSET_INVALID",
    "OFFSET_STORED",
    "TIMESTAMP_CREATE_TIME",
    "TIMESTAMP_LOG_APPEND_TIME",
    "TIMESTAMP_NOT_AVAILABLE",
    "AbortableError",
    "AdminClient",
    "ApplicationRecoverableError",
    "AsyncAdminClient",
    "AsyncConsumer",
    "AsyncProducer",
    "Consumer",
    "ConsumerGroupMetadata",
    "EmbeddedBroker",
    "InvalidConfigurationError",
    "KafkaError",
    "KafkaException",
    "Message",
    "Producer",
    "RefreshRetriableError",
    "RetriableError",
    "TopicPartition",
    "__version__",
    "admin",
]
