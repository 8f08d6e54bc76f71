"""The consumer, as confluent-kafka has it."""

from __future__ import annotations

import json
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _config, _native
from ._cluster import Cluster
from ._native import Message
from ._told import Told
from ._wire import packed, within
from .errors import KafkaError, invalid
from .types import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, ConsumerGroupMetadata, TopicPartition, partition_of

if TYPE_CHECKING:
    from typing import Self, Unpack

    from ._generated.options import ConsumerOptions

    Listener = Callable[[Any, list[TopicPartition]], object]


class Membership(_native.Consumer, Told):
    """What ``Consumer`` and ``AsyncConsumer`` have in common: all that never waits."""

    _queued = False

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **options: Unpack[ConsumerOptions]) -> None:
        self._begin()
        self._listeners: dict[str, Listener] = {}
        self._pattern: re.Pattern[str] | None = None
        #: What `store_offsets` was told last, of each partition.
        self._places: dict[TopicPartition, TopicPartition] = {}
        #: The thread on which a listener of ``assigned`` or ``revoke`` runs now.
        self._rebalancing: int | None = None
        config = _config.read(conf, options, "consumer")
        self._functions, self._stores = config.functions, config.stores
        self._grouped = config.own.get("group.id") is not None
        self._reset = str(config.own.get("auto.offset.reset", "latest"))
        self._client = self._open_client(config.client_json)
        self._handle = self._open(self._client, config.own_json, self._queued, config.stores)

    def _ask(self, operation: str, **request: Any) -> Any:
        """An operation on the consumer that never waits."""
        return json.loads(self._invoke(self._handle, f"consumer.{operation}", packed(request)))

    def subscribe(
        self,
        topics: Iterable[str] | str,
        on_assign: Listener | None = None,
        on_revoke: Listener | None = None,
        on_lost: Listener | None = None,
    ) -> None:
        """Reads topics as a member of the group ``group.id``, in place of those subscribed before.

        A name that begins with ``^`` is a regular expression (Python's, ``re``), for topics that are there or come. The listeners are called
        with the consumer and a list of partitions, from ``poll`` and from whatever leaves the group: ``on_assign`` before anything of new
        partitions is read (``assign`` in it says from where), ``on_revoke`` while they are still ours (commit in it), ``on_lost`` when
        they are not (None: ``on_revoke`` is called). Raises KafkaError without a ``group.id``. (confluent-kafka: Consumer.subscribe)
        """
        names = [topics] if isinstance(topics, str) else list(topics)
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"topics: a name must be str, not {type(name).__name__}")
        given = {"assigned": on_assign, "revoke": on_revoke, "lost": on_lost or on_revoke}
        for name, listener in given.items():
            if listener is not None and not callable(listener):
                raise TypeError(f"the listener of {name} must be a function, not {type(listener).__name__}")
        self._listeners = {name: listener for name, listener in given.items() if listener is not None}
        if any(name.startswith("^") for name in names):
            source = "|".join(name if name.startswith("^") else f"^{re.escape(name)}$" for name in names)
            try:
                self._pattern = re.compile(source)
            except re.error as error:
                raise ValueError(f"topics: {source!r} is no regular expression: {error}") from None
            self._ask("subscribe", topics=[], pattern={"source": source, "ignoreCase": False})
        else:
            self._ask("subscribe", topics=names)

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Reads these partitions, without a group's assignment, in place of those assigned before.

        Begins at each one's ``offset``; without one at the group's committed offset, or where ``auto.offset.reset`` says. In ``on_assign`` it
        says from where to read what the group has assigned. (confluent-kafka: Consumer.assign)
        """
        partitions = list(partitions)
        if self._rebalancing:
            for one in partitions:
                if one.offset != OFFSET_INVALID:
                    self.seek(one)
            return
        unset = "committed" if self._grouped else self._reset
        if unset not in ("committed", "earliest", "latest") and any(one.offset == OFFSET_INVALID for one in partitions):
            raise invalid("partitions", f"each needs an offset, without group.id and with auto.offset.reset={unset}")
        self._ask("assign", partitions=[one._start(unset) for one in partitions])

    def unassign(self) -> None:
        """Reads nothing any more. In ``on_revoke`` nothing happens: the partitions are given up when it has returned."""
        if not self._rebalancing:
            self._ask("assign", partitions=[])

    def incremental_assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Reads these partitions beside those that are read. In ``on_assign``: as ``assign``. (confluent-kafka)"""
        partitions = list(partitions)
        self.assign(partitions if self._rebalancing else [*self._kept(partitions), *partitions])

    def incremental_unassign(self, partitions: Iterable[TopicPartition]) -> None:
        """Reads these partitions no more. In ``on_revoke`` nothing happens. (confluent-kafka)"""
        if not self._rebalancing:
            self.assign(self._kept(partitions))

    def _kept(self, others: Iterable[TopicPartition]) -> list[TopicPartition]:
        gone = set(others)
        return self.position([one for one in self.assignment() if one not in gone])

    def assignment(self) -> list[TopicPartition]:
        """The partitions that are read now."""
        return [partition_of(one) for one in self._ask("assignment")]

    def position(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """The partitions with the offset of the next message that a poll gives; ``OFFSET_INVALID`` while that is being looked up.

        Raises KafkaError for a partition that is not assigned. (confluent-kafka: Consumer.position)
        """
        places = []
        for one in partitions:
            offset = self._ask("position", **one._named())
            places.append(TopicPartition(one.topic, one.partition, OFFSET_INVALID if offset is None else int(offset)))
        return places

    def seek(self, partition: TopicPartition) -> None:
        """Goes on at the offset of ``partition``, which is assigned. Nothing from before comes when it has returned. (confluent-kafka)"""
        if partition.offset == OFFSET_INVALID:
            raise invalid("partition", "its offset is not set")
        self._ask("seek", to=partition._start("earliest"))

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Nothing of these partitions comes when it has returned, until ``resume``. (confluent-kafka: Consumer.pause)"""
        self._ask("pause", partitions=[one._named() for one in partitions])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Ends a pause. (confluent-kafka: Consumer.resume)"""
        self._ask("resume", partitions=[one._named() for one in partitions])

    def store_offsets(self, message: Message | None = None, offsets: Iterable[TopicPartition] | None = None) -> None:
        """With ``enable.auto.offset.store=False``: messages up to this one, or before these offsets, are done, and the next commit covers them.

        Raises KafkaError without that option. (confluent-kafka: Consumer.store_offsets)
        """
        if self._stores:
            raise invalid("enable.auto.offset.store", "is true: what was given is stored by itself")
        for one in _places(message, offsets) or []:
            self._store(one.topic, one.partition, one.offset)
            self._places[one] = one

    def _stored(self) -> list[TopicPartition]:
        ours = set(self.assignment())
        return [place for place in self._places.values() if place in ours]

    def consumer_group_metadata(self) -> ConsumerGroupMetadata:
        """Who this consumer is in its group now, for ``Producer.send_offsets_to_transaction``. (KIP-447)"""
        return ConsumerGroupMetadata(self._ask("groupMetadata"))

    def memberid(self) -> str | None:
        """The member's id that the group's coordinator gave, or None outside of a generation. (confluent-kafka)"""
        member: str | None = self._ask("groupMetadata").get("memberId")
        return member

    def _listen(self, name: str, partitions: list[dict[str, Any]]) -> Any:
        listener = self._listeners.get(name)
        return None if listener is None else listener(self, [partition_of(one) for one in partitions])

    def _leaves(self) -> None:
        """A listener that leaves the group would wait for its own end."""
        if self._listens():
            raise RuntimeError("a listener cannot close or unsubscribe: the group waits until it has returned")

    def _listens(self) -> bool:
        return self._rebalancing == threading.get_ident()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and hasattr(self, "_handle") and not self._forked():
            text = f"{type(self).__name__} was not closed: its group waits until its session is over"
            warnings.warn(text, ResourceWarning, stacklevel=2)

    def _answer(self, name: str, request: dict[str, Any]) -> Any:
        if name == "match":
            return [topic for topic in request["topics"] if self._pattern is not None and self._pattern.search(topic)]
        if name not in ("assigned", "revoke"):
            return super()._answer(name, request)
        self._rebalancing = threading.get_ident()
        try:
            self._listen(name, request["partitions"])
        finally:
            self._rebalancing = None
        return None

    def _event(self, name: str, event: dict[str, Any]) -> None:
        if name == "lost":
            self._listen("lost", event["partitions"])
        else:
            super()._event(name, event)


def _places(message: Message | None, offsets: Iterable[TopicPartition] | None) -> list[TopicPartition] | None:
    """What is to be committed; None: everything that is finished."""
    if message is not None and offsets is not None:
        raise ValueError("message and offsets cannot both be given")
    if message is not None:
        topic, partition, offset, epoch = message._place()
        return [TopicPartition(topic, partition, offset + 1, leader_epoch=epoch if epoch >= 0 else None)]
    return None if offsets is None else list(offsets)


class Consumer(Membership, Cluster):
    """Reads messages. For one thread at a time; ``wakeup`` and ``close`` may be called from another one.

    ``conf`` and keyword arguments as of ``Producer``: ``{"bootstrap.servers": …, "group.id": …}``. Beside the options of
    docs/configuration.md: ``enable.auto.offset.store`` (default true), ``on_commit(err, partitions)``, ``error_cb``, ``stats_cb``,
    ``oauth_cb``, ``logger``.

    A message counts as done when the program polls again, commits or closes: automatic commits never cover one that it has not had. Close it,
    or use it in a ``with`` statement, to leave the group at once. (confluent-kafka: Consumer)
    """

    _leaving = False
    #: What listeners have raised while the group was left, which nothing of that may stop.
    _raised: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # What was given last was not worked off.
            self._forget()
        self.close()

    def close(self, timeout: float | None = None) -> None:
        """Commits what is done, unless ``enable.auto.commit`` is false, calls ``on_revoke``, leaves the group, and ends.

        Takes at most ``timeout`` seconds (None: ``default.api.timeout.ms``). What a listener raises is raised when it is closed. Once more: nothing happens.
        """
        if self._closed:
            return
        request = within(timeout)
        with self._closes():
            try:
                self._leave_group("consumer.close", packed(request))
            except KafkaError as error:
                # Late, it is closed all the same.
                if error.code != "CLOSED":
                    self._close_client()
                raise
            self._close_client()
        self._raise()

    def _close_client(self) -> None:
        self._closed = True
        self._call(self._client, "client.close")
        self._end()

    def unsubscribe(self) -> None:
        """Commits what is done, leaves the group or ends the assignment. (confluent-kafka: Consumer.unsubscribe)"""
        self._leave_group("consumer.unsubscribe")
        self._raise()

    def _leave_group(self, operation: str, request: str = "{}") -> None:
        self._leaves()
        if self._stores:
            self._finish()
        self._leaving = True
        try:
            self._call_asking(operation, request)
            self._turn()
        finally:
            self._leaving = False

    def _asked(self, text: str) -> None:
        self._heard(super()._asked, text)

    def _told(self, *told: Any) -> None:
        self._heard(super()._told, *told)

    def _heard(self, tell: Callable[..., None], *arguments: Any) -> None:
        try:
            tell(*arguments)
        except BaseException as error:
            if not self._leaving:
                raise
            self._raised = self._raised or error

    def _raise(self) -> None:
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    def commit(
        self,
        message: Message | None = None,
        offsets: Iterable[TopicPartition] | None = None,
        asynchronous: bool = True,
    ) -> list[TopicPartition] | None:
        """Commits the offset after ``message``, or ``offsets``, or else that of everything that was given (with
        ``enable.auto.offset.store=False``: stored).

        ``asynchronous``: returns at once, and ``on_commit`` is called from ``poll``; otherwise waits until the group's coordinator has it and
        returns the offsets. Raises KafkaError. (confluent-kafka: Consumer.commit)
        """
        places = _places(message, offsets)
        if places is None and self._stores:
            self._finish()
        request = {} if places is None else {"offsets": [one._to_commit() for one in places]}
        if places is None:
            places = [one for one in self.position(self.assignment()) if one.offset >= 0] if self._stores else self._stored()
        if not asynchronous:
            self._call(self._handle, "consumer.commit", packed(request))
            return places
        number = self._start(self._handle, "consumer.commit", packed(request))
        self._waiting[number] = lambda error, _: self._committed(error, places)
        return None

    def _committed(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        if "on_commit" in self._functions:
            self._functions["on_commit"](error, places)
        elif error is not None:
            self._failed(error)

    def committed(self, partitions: Iterable[TopicPartition], timeout: float | None = None) -> list[TopicPartition]:
        """The partitions with what the group has committed; ``OFFSET_INVALID`` where that is nothing.

        Waits for at most ``timeout`` seconds (None: ``default.api.timeout.ms``). Raises KafkaError. (confluent-kafka)
        """
        request = {"partitions": [one._named() for one in partitions]}
        return self._found("consumer.committed", request, timeout)

    def offsets_for_times(
        self, partitions: Iterable[TopicPartition], timeout: float | None = None
    ) -> list[TopicPartition]:
        """The partitions with the offset of their first message at or after a time, which each has as its ``offset``, in milliseconds since
        the epoch; ``OFFSET_END`` where there is none. (confluent-kafka: Consumer.offsets_for_times)
        """
        places = [
            {**one._named(), "start": {"kind": "timestamp", "timestamp": str(one.offset)}} for one in partitions
        ]
        found = self._found("consumer.offsetsAt", {"places": places}, timeout)
        for one in found:
            one.offset = OFFSET_END if one.offset == OFFSET_INVALID else one.offset
        return found

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float | None = None, cached: bool = False
    ) -> tuple[int, int] | None:
        """The first offset of a partition, and one more than the last. Asks the cluster, or, when ``cached``, tells what the last answer
        of the partition's broker said: then None while nothing is known. (confluent-kafka: Consumer.get_watermark_offsets)
        """
        if cached:
            ends = self._ask("watermarks", **partition._named())
            low, high = ends.get("logStart"), ends.get("highWatermark")
            return None if low is None or high is None else (int(low), int(high))
        ends = []
        for offset in (OFFSET_BEGINNING, OFFSET_END):
            place = TopicPartition(partition.topic, partition.partition, offset)
            ends += self._found("consumer.offsetsAt", {"places": [place._start("earliest")]}, timeout)
        return ends[0].offset, ends[1].offset

    def _found(self, operation: str, request: dict[str, Any], timeout: float | None) -> list[TopicPartition]:
        found = json.loads(self._call(self._handle, operation, packed(request), timeout))
        return [partition_of(one) for one in found]
