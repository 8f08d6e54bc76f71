"""The asyncio forms: futures and ``async for`` on the event loop's own thread, which watches the engine's descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _config, _native
from ._generated.operations import AsyncAdminOperations
from ._looping import Looping
from ._native import Message
from ._wire import packed, seconds, within
from .consumer import Membership, _places
from .errors import of_failure
from .producer import Sending
from .types import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, ConsumerGroupMetadata, TopicPartition, partition_of

if TYPE_CHECKING:
    from typing import Self, Unpack

    from ._generated.options import ClientOptions, ConsumerOptions, ProducerOptions
    from ._native import Data, Headers

_CHUNKS = 3
#: Messages after which a loop that always finds the next one lets others run.
_FAIR = 256


class AsyncProducer(Sending, Looping):
    """Sends messages from an event loop. Options as of ``Producer``.

    ``send`` puts a message into a batch at once and returns a future: await it for this message's fate, or send many and await them
    together. ``async with`` closes it, which sends what waits.
    """

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **options: Unpack[ProducerOptions]) -> None:
        self._begin()
        #: Messages for which there was no memory yet, in order.
        self._room: deque[tuple[Any, ...]] = deque()
        config = _config.read(conf, options, "producer")
        self._functions = config.functions
        self._client = self._open_client(config.client_json)
        self._handle = self._open(self._client, config.own_json, None)

    def send(
        self,
        topic: str,
        value: Data = None,
        key: Data = None,
        partition: int = -1,
        timestamp: int | None = None,
        headers: Headers = None,
    ) -> asyncio.Future[Message]:
        """Sends a message; the arguments are those of ``Producer.produce``. The future becomes the message with its partition and offset.

        It raises KafkaError, with ``persistence``, when the message was not acknowledged. While ``buffer.memory`` is full the message
        waits, after those before it: await the futures to go no faster than the cluster. To cancel a future stops no message.
        """
        future: asyncio.Future[Message] = self._attach().create_future()
        given = (future, topic, value, key, partition, timestamp, headers)
        if self._room or not self._append(*given):
            self._room.append(given)
        return future

    def produce(self, *args: Any, **kwargs: Any) -> asyncio.Future[Message]:  # type: ignore[override]
        """As ``send``: there are no callbacks here."""
        return self.send(*args, **kwargs)

    def poll(self, timeout: float | None = None) -> int:
        """There is nothing to poll: the event loop does it. Returns 0."""
        return 0

    def _ready(self) -> None:
        if self._serve():
            self._fill()

    def _fill(self) -> None:
        while self._room:
            given = self._room[0]
            try:
                if not self._append(*given):
                    return
            except Exception as error:
                if not given[0].done():
                    given[0].set_exception(error)
            self._room.popleft()

    async def flush(self, timeout: float | None = None) -> int:  # type: ignore[override]
        """Sends what there is without lingering, and waits until all of it is settled, or for at most ``timeout`` seconds.

        Returns how many messages are left.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds(timeout)):
                waits = True
                while waits:
                    waits = bool(self._room)
                    await self._later(self._handle, "producer.flush")
        return len(self) + len(self._room)

    async def close(self, timeout: float | None = None) -> None:
        """Sends what there is, waits until it is settled, and ends. What is not after ``timeout`` seconds fails with ``CLOSED``."""
        await self._finished(lambda: self._close(timeout))

    async def _close(self, timeout: float | None) -> None:
        try:
            if self._room:
                await self.flush(timeout)
            await self._later(self._handle, "producer.close", packed(within(timeout)))
            self._ready()
        finally:
            self._fill()
            await self._ended()

    async def init_transactions(self) -> None:
        """Takes the ``transactional.id``: fences its other producers and ends what they left open. (KIP-98)"""
        await self.begin_transaction()
        await self.abort_transaction()

    async def begin_transaction(self) -> None:
        """Opens a transaction: what is sent from now on is part of it. (KIP-98)"""
        await self._later(self._handle, "producer.beginTransaction")

    async def commit_transaction(self) -> None:
        """Sends what there is and commits; aborts instead, and raises, when anything of the transaction has failed. (KIP-98)"""
        await self._later(self._handle, "producer.commitTransaction")

    async def abort_transaction(self) -> None:
        """Aborts the transaction; what was not sent yet never is. (KIP-98)"""
        await self._later(self._handle, "producer.abortTransaction")

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """``async with producer.transaction():`` commits at the end, and aborts when the body raises."""
        await self.begin_transaction()
        try:
            yield self
        except BaseException:
            await self.abort_transaction()
            raise
        await self.commit_transaction()

    async def send_offsets_to_transaction(
        self, positions: Iterable[TopicPartition], group_metadata: ConsumerGroupMetadata
    ) -> None:
        """Commits offsets of a consumer's group within the transaction; as of ``Producer``. (KIP-447)"""
        offsets = [one._to_commit() for one in positions if one.offset >= 0]
        request = {"offsets": offsets, "group": group_metadata._identity}
        await self._later(self._handle, "producer.commitOffsets", packed(request))

    def _unheard(self, count: int, failure: str) -> None:
        self._failed(of_failure(failure))


class AsyncConsumer(Membership, Looping):
    """Reads messages in an event loop: ``async for message in consumer``. Options as of ``Consumer``.

    A message is done when the next one is asked for, on a commit, and on ``close``. Listeners of ``subscribe`` may be coroutine functions; they
    run when the program asks for the next message, or while it closes.
    """

    _queued = True

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **options: Unpack[ConsumerOptions]) -> None:
        super().__init__(conf, **options)
        self._questions: deque[str] = deque()
        self._news = asyncio.Event()
        self._leaving = False
        #: Asks the listeners; whoever waits for it may be cancelled, but not it.
        self._asking: asyncio.Task[None] | None = None
        self._raised: BaseException | None = None
        self._given = 0

    def _told(self, kind: int, handle: int, number: int, failed: bool, text: str | None) -> None:
        if kind == _CHUNKS:
            self._news.set()
        else:
            super()._told(kind, handle, number, failed, text)

    def _asked(self, text: str) -> None:
        if json.loads(text)["name"] not in ("assigned", "revoke"):
            super()._asked(text)
        else:
            self._questions.append(text)
            self._news.set()
            if self._leaving:
                self._begin_asking()

    def _listens(self) -> bool:
        return self._asking is not None and self._asking is asyncio.current_task()

    def _begin_asking(self) -> None:
        if self._asking is None and self._questions:
            self._asking = asyncio.ensure_future(self._ask_listeners())

    async def _listened(self) -> None:
        """Waits until the listeners have been asked, and raises what one has raised."""
        while (self._asking or self._questions) and not self._listens():
            self._begin_asking()
            if self._asking is not None:
                await asyncio.shield(self._asking)
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised

    async def _ask_listeners(self) -> None:
        """Answers the questions of the group: the program is between two messages."""
        while self._questions:
            question = json.loads(self._questions.popleft())
            self._rebalancing = threading.get_ident()
            try:
                with self._answering(question):
                    outcome = self._listen(question["name"], question["request"]["partitions"])
                    if inspect.isawaitable(outcome):
                        await outcome
            except BaseException as error:
                self._raised = self._raised or error
            finally:
                self._rebalancing = None
        self._asking = None

    async def poll(self, timeout: float | None = None) -> Message | None:  # type: ignore[override]
        """The next message. Waits for at most ``timeout`` seconds (-1 or None: for ever); None: none came in time. Raises KafkaError."""
        found = await self.consume(1, timeout)
        return found[0] if found else None

    async def consume(self, num_messages: int = 1, timeout: float | None = None) -> list[Message]:  # type: ignore[override]
        """Up to ``num_messages`` messages: what is there, once there is one. Waits for that for at most ``timeout`` seconds (-1 or None: for
        ever); an empty list: none came in time. Raises KafkaError.
        """
        loop = self._attach()
        bound = seconds(timeout)
        until = None if bound is None else loop.time() + bound
        while True:
            if self._questions or self._asking:
                self._finish()
            await self._listened()
            self._news.clear()
            found = super().consume(num_messages, 0)
            if found or num_messages == 0:
                return found
            if until is not None and loop.time() >= until:
                return found
            # A question may have come while it was looked for messages.
            if not self._questions:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._news.wait()
            if self._closing is not None:
                return []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        """The next message, however long it takes; the loop ends when the consumer is closed."""
        self._given += 1
        if self._given % _FAIR == 0:
            await asyncio.sleep(0)
        if self._closing is not None:
            raise StopAsyncIteration
        message = None if self._questions or self._asking or self._raised else super().poll(0)
        if message is None:
            message = await self.poll()
        if message is None:
            raise StopAsyncIteration
        return message

    async def commit(
        self, message: Message | None = None, offsets: Iterable[TopicPartition] | None = None
    ) -> None:
        """Commits the offset after ``message``, or ``offsets``, or else that of everything that was given. Raises KafkaError."""
        places = _places(message, offsets)
        if places is None and self._stores:
            self._finish()
        request = {} if places is None else {"offsets": [one._to_commit() for one in places]}
        await self._later(self._handle, "consumer.commit", packed(request))

    async def committed(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """The partitions with what the group has committed; ``OFFSET_INVALID`` where that is nothing."""
        request = {"partitions": [one._named() for one in partitions]}
        return [partition_of(one) for one in await self._later(self._handle, "consumer.committed", packed(request))]

    async def offsets_for_times(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """As of ``Consumer``: each has a time as its ``offset``."""
        places = [{**one._named(), "start": {"kind": "timestamp", "timestamp": str(one.offset)}} for one in partitions]
        answer = await self._later(self._handle, "consumer.offsetsAt", json.dumps({"places": places}))
        found = [partition_of(one) for one in answer]
        for place in found:
            place.offset = OFFSET_END if place.offset == OFFSET_INVALID else place.offset
        return found

    async def get_watermark_offsets(self, partition: TopicPartition) -> tuple[int, int]:
        """The first offset of a partition, and one more than the last, asked of the cluster."""
        ends = []
        for offset in (OFFSET_BEGINNING, OFFSET_END):
            place = TopicPartition(partition.topic, partition.partition, offset)._start("earliest")
            ends += await self._later(self._handle, "consumer.offsetsAt", json.dumps({"places": [place]}))
        return int(ends[0]["offset"]), int(ends[1]["offset"])

    async def _leave_group(self, operation: str, request: str = "{}") -> None:
        if self._stores:
            self._finish()
        self._leaving = True
        try:
            self._begin_asking()
            await self._later(self._handle, operation, request)
        finally:
            self._leaving = False

    async def unsubscribe(self) -> None:
        """Commits what is done, leaves the group or ends the assignment."""
        self._leaves()
        await self._leave_group("consumer.unsubscribe")
        await self._listened()

    async def close(self, timeout: float | None = None) -> None:
        """Commits what is done, unless ``enable.auto.commit`` is false, calls ``on_revoke``, leaves the group, and ends; so do loops over it.

        Takes at most ``timeout`` seconds (None: ``default.api.timeout.ms``).
        """
        self._leaves()
        await self._finished(lambda: self._close(timeout))

    async def _close(self, timeout: float | None) -> None:
        self._news.set()
        request = within(timeout)
        try:
            await self._leave_group("consumer.close", packed(request))
        finally:
            await self._ended()
        await self._listened()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # What was given last was not worked off.
            self._forget()
        await self.close()


class AsyncAdminClient(_native.Core, Looping, AsyncAdminOperations):
    """``AdminClient`` for an event loop: the same methods, to be awaited."""

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **options: Unpack[ClientOptions]) -> None:
        self._begin()
        config = _config.read(conf, options, "client")
        self._functions = config.functions
        self._client = self._target = self._open_client(config.client_json)

    async def close(self) -> None:
        """Closes all connections. Once more: nothing happens."""
        await self._finished(self._ended)
