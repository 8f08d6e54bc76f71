"""The producer, as confluent-kafka has it."""

from __future__ import annotations

import atexit
import logging
import warnings
import weakref
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _config, _native
from ._cluster import Cluster
from ._told import Told
from ._wire import packed, within
from .errors import of_failure
from .types import ConsumerGroupMetadata, TopicPartition

if TYPE_CHECKING:
    from typing import Self, Unpack

    from ._generated.options import ProducerOptions

_OPEN: weakref.WeakSet[Producer] = weakref.WeakSet()
#: Seconds that the end of the interpreter waits for producers that were not closed.
_LAST_WAIT = 5.0


class Sending(_native.Producer, Told):
    """What ``Producer`` and ``AsyncProducer`` have in common."""

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or not hasattr(self, "_handle") or self._forked():
            return
        left, name = self._outstanding(), type(self).__name__
        warnings.warn(f"{name} was not closed, with {left} messages under way", ResourceWarning, stacklevel=2)
        if left:
            self._leave(self._handle, "producer.close")


class Producer(Sending, Cluster):
    """Sends messages. Safe to be used by several threads.

    ``conf`` is a dict of options under Kafka's names (``{"bootstrap.servers": "localhost:9092"}``); each can be a keyword argument
    instead (``bootstrap_servers=…``): docs/configuration.md has all of them. Beside them: ``on_delivery(err, msg)``, called for messages whose
    ``produce`` names no callback; ``error_cb(err)``, ``stats_cb(json)``, ``oauth_cb(config) -> (token, expiry in seconds)``, ``logger``.

    ``produce`` puts a message into a batch and returns; ``poll`` calls the callbacks of what was delivered; ``flush`` waits for all of
    it. Close it, or use it in a ``with`` statement: what waits is sent then. Idempotent with acks=all unless it is told otherwise.

    Raises InvalidConfigurationError for options that cannot work. (confluent-kafka: Producer)
    """

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **options: Unpack[ProducerOptions]) -> None:
        self._begin()
        config = _config.read(conf, options, "producer")
        self._functions = config.functions
        self._client = self._open_client(config.client_json)
        self._handle = self._open(self._client, config.own_json, self._functions.get("on_delivery"))
        _OPEN.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, timeout: float | None = None) -> None:
        """Sends what there is, waits until it is settled, calls the delivery callbacks, and ends.

        What is not settled after ``timeout`` seconds (None: ``delivery.timeout.ms`` bounds it) fails with ``CLOSED``. An open transaction is
        aborted. What a callback raises is raised when all have been called. Once more: nothing happens.
        """
        if self._closed:
            return
        raised: BaseException | None = None
        with self._closes():
            self._call(self._handle, "producer.close", packed(within(timeout)))
            self._closed = True
            _OPEN.discard(self)
            served = 1
            while served:
                try:
                    served = self.poll(0)
                except BaseException as error:
                    raised = raised or error
            self._call(self._client, "client.close")
            self._end()
        if raised is not None:
            raise raised

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
        self._call(self._handle, "producer.commitOffsets", packed(request), timeout)

    def _unheard(self, count: int, failure: str) -> None:
        if self._closed:
            return
        text = "%d messages without an on_delivery were not delivered; the last one: %s"
        given = self._functions.get("logger")
        logger = given if isinstance(given, logging.Logger) else logging.getLogger("dohle")
        logger.error(text, count, of_failure(failure))


@atexit.register
def _at_exit() -> None:
    """Sends what producers that nobody closed still have, for a while, and tells what is lost."""
    log = logging.getLogger("dohle")
    for producer in list(_OPEN):
        if producer._forked() or not producer._outstanding():
            continue
        try:
            producer.flush(_LAST_WAIT)
        except BaseException:
            log.exception("at the end of the program")
        if left := producer._outstanding():
            log.error("%d messages are lost: their producer was not closed", left)
