"""The producer, as confluent-kafka has it."""

from __future__ import annotations

import atexit
import json
import logging
import warnings
import weakref
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _config, _native
from ._cluster import Cluster
from ._told import Told
from .errors import of_failure
from .types import ConsumerGroupMetadata, TopicPartition

if TYPE_CHECKING:
    from typing import Self, Unpack

    from ._generated.options import ProducerOptions

_OPEN: weakref.WeakSet[Producer] = weakref.WeakSet()
#: Seconds that the end of the interpreter waits for producers that were not closed.
_LAST_WAIT = 5.0


class Producer(_native.Producer, Told, Cluster):
    """Sends messages. Safe to be used by several threads.

    ``conf`` is a dict of options under Kafka's names (``{"bootstrap.servers": "localhost:9092"}``); each can be a keyword argument
    instead (``bootstrap_servers=…``): docs/configuration.md has all of them. Beside them: ``on_delivery(err, msg)``, called for messages whose
    ``produce`` names no callback; ``error_cb(err)``, ``stats_cb(json)``, ``oauth_cb(config) -> (token, expiry in seconds)``, ``logger``.

    ``produce`` puts a message into a batch and returns; ``poll`` calls the callbacks of what was delivered; ``flush`` waits for all of
    it. Close it, or use it in a ``with`` statement: what waits is sent then. Idempotent with acks=all unless it is told otherwise.

    Raises InvalidConfigurationError for options that cannot work. (confluent-kafka: Producer)
    """

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **options: Unpack[ProducerOptions]) -> None:
        self._closed = False
        self._waiting = {}
        config = _config.read(conf, options, "producer")
        self._functions = config.functions
        self._client = self._open_client(config.client_json)
        self._handle = self._open(self._client, config.own_json, self._reporter())
        _OPEN.add(self)

    def _reporter(self) -> Any:
        return self._functions.get("on_delivery")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, timeout: float | None = None) -> None:
        """Sends what there is, waits until it is settled, calls the delivery callbacks, and ends.

        What is not settled after ``timeout`` seconds (None: ``delivery.timeout.ms`` bounds it) fails with ``CLOSED``. An open transaction is
        aborted. Once more: nothing happens.
        """
        if self._closed:
            return
        request = {} if timeout is None or timeout < 0 else {"timeoutMs": int(timeout * 1000)}
        self._call(self._handle, "producer.close", json.dumps(request))
        self._closed = True
        _OPEN.discard(self)
        try:
            while self._serve_all():
                pass
        finally:
            self._call(self._client, "client.close")
            self._end()

    def _serve_all(self) -> bool:
        return self.poll(0) > 0

    def init_transactions(self, timeout: float | None = None) -> None:
        """Takes the ``transactional.id``: fences its other producers and ends what they left open. Waits for at most ``timeout`` seconds.

        Raises KafkaError: ``fatal`` when the id must not be used. (KIP-98; confluent-kafka: Producer.init_transactions)
        """
        self._call(self._handle, "producer.beginTransaction", "{}", timeout)
        self._call(self._handle, "producer.abortTransaction", "{}", timeout)

    def begin_transaction(self, timeout: float | None = None) -> None:
        """Opens a transaction: what is produced from now on is part of it.

        Raises KafkaError when one is open, or ``transactional.id`` is not set. (KIP-98)
        """
        self._call(self._handle, "producer.beginTransaction", "{}", timeout)

    def commit_transaction(self, timeout: float | None = None) -> None:
        """Sends what was produced and commits; aborts instead when anything of the transaction has failed.

        Waits for at most ``timeout`` seconds (None: as long as the coordinator takes); after that it goes on, and another call waits for it.
        Raises KafkaError: ``abortable`` when it was aborted, ``fatal`` when the producer is of no more use. (KIP-98)
        """
        self._call(self._handle, "producer.commitTransaction", "{}", timeout)

    def abort_transaction(self, timeout: float | None = None) -> None:
        """Aborts the transaction; what was not sent yet never is. (KIP-98)"""
        self._call(self._handle, "producer.abortTransaction", "{}", timeout)

    def send_offsets_to_transaction(
        self,
        positions: Iterable[TopicPartition],
        group_metadata: ConsumerGroupMetadata,
        timeout: float | None = None,
    ) -> None:
        """Commits offsets of a consumer's group within the transaction: ``consumer.position(consumer.assignment())`` and
        ``consumer.consumer_group_metadata()``.

        Raises KafkaError; the transaction can then only be aborted. (KIP-447)
        """
        offsets = [one._to_commit() for one in positions if one.offset >= 0]
        request = {"offsets": offsets, "group": group_metadata._identity}
        self._call(self._handle, "producer.commitOffsets", json.dumps(request), timeout)

    def _unheard(self, count: int, failure: str) -> None:
        if self._closed:
            return
        text = "%d messages without an on_delivery were not delivered; the last one: %s"
        given = self._functions.get("logger")
        logger = given if isinstance(given, logging.Logger) else logging.getLogger("dohle")
        logger.error(text, count, of_failure(failure))

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or not hasattr(self, "_handle") or self._forked():
            return
        left = self._outstanding()
        warnings.warn(f"a Producer with {left} messages under way was not closed", ResourceWarning, stacklevel=2)
        if left:
            self._leave(self._handle, "producer.close")


@atexit.register
def _at_exit() -> None:
    """Sends what producers that nobody closed still have, for a while, and tells what is lost."""
    for producer in list(_OPEN):
        if producer._forked() or not producer._outstanding():
            continue
        left = producer.flush(_LAST_WAIT)
        if producer._outstanding():
            logging.getLogger("dohle").error("%d messages are lost: their producer was not closed", left)
