"""The engine's side of the classes; what begins with an underscore is for the classes of this package."""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from typing_extensions import Buffer

from .errors import KafkaError

__version__: str

Data: TypeAlias = str | Buffer | None
Headers: TypeAlias = Sequence[tuple[str, Data]] | Mapping[str, Data] | None
Report: TypeAlias = Callable[[KafkaError | None, "Message"], object]

class Message:
    """A message, as ``Consumer`` reads it, or as a delivery report tells of it. Its parts are read when they are asked for.

    One that was read keeps the memory of the chunk that it came in: of what is kept for long, keep ``value()``.
    """

    def topic(self) -> str:
        """The topic's name."""
    def partition(self) -> int:
        """The partition's number, from 0; -1 when a record failed before it had one."""
    def offset(self) -> int:
        """The offset; ``OFFSET_INVALID`` when a record failed or its offset is not known."""
    def key(self) -> bytes | None:
        """The key, or None."""
    def value(self) -> bytes | None:
        """The value, or None: a tombstone."""
    def key_view(self) -> memoryview | None:
        """The key, read-only and without a copy, or None."""
    def value_view(self) -> memoryview | None:
        """The value, read-only and without a copy, or None."""
    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """The headers in order; None when there are none."""
    def timestamp(self) -> tuple[int, int]:
        """(type, milliseconds since the epoch): ``TIMESTAMP_CREATE_TIME``, ``TIMESTAMP_LOG_APPEND_TIME`` (delivery reports only) or
        ``TIMESTAMP_NOT_AVAILABLE``."""
    def leader_epoch(self) -> int | None:
        """The leader epoch of the chunk that it came in, or None."""
    def error(self) -> KafkaError | None:
        """Why a record of a delivery report failed. None for messages that were read: failures of a consumer are raised."""
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
    def _place(self) -> tuple[str, int, int, int]: ...
    def _owned(self) -> int | None: ...

class Core:
    def __new__(cls, *args: Any, **kwargs: Any) -> Core: ...
    def _open_client(self, options: str) -> int: ...
    def _invoke(self, handle: int, operation: str, request: str = "{}") -> str: ...
    def _call(self, handle: int, operation: str, request: str = "{}", timeout: float | None = None) -> str: ...
    def _start(self, handle: int, operation: str, request: str = "{}") -> int: ...
    def _cancel(self, id: int) -> None: ...
    def _descriptor(self) -> int: ...
    def _turn(self) -> None: ...
    def _end(self) -> None: ...
    def _leave(self, handle: int, operation: str) -> None: ...
    def _forked(self) -> bool: ...

class Producer(Core):
    def _open(self, client: int, options: str, on_delivery: Report | None) -> int: ...
    def produce(
        self,
        topic: str,
        value: Data = None,
        key: Data = None,
        partition: int = -1,
        callback: Report | None = None,
        on_delivery: Report | None = None,
        timestamp: int | None = None,
        headers: Headers = None,
    ) -> None:
        """Sends a message to a topic: it is put into the open batch of its partition, and this returns at once.

        ``value``, ``key``: ``str`` (sent as UTF-8), ``bytes``, any contiguous buffer, or None. ``partition``: -1 lets the partitioner choose, by
        the key if there is one. ``timestamp``: milliseconds since the epoch, None: now. ``headers``: a list of (name, value), or a dict.
        ``on_delivery(err, msg)`` (also called ``callback``) is called from ``poll()`` or ``flush()``, once the message is acknowledged (err is
        None) or has failed; without it the record is only counted.

        Raises BufferError when ``buffer.memory`` is full: ``poll()``, and produce it again. Raises KafkaError for a message that cannot be
        sent, such as one that is too large; TypeError or ValueError for wrong arguments. (confluent-kafka: Producer.produce)
        """
    def _append(
        self,
        future: Future[Message],
        topic: str,
        value: Data,
        key: Data,
        partition: int,
        timestamp: int | None,
        headers: Headers,
    ) -> bool: ...
    def poll(self, timeout: float | None = None) -> int:
        """Calls the delivery callbacks of what is settled, on this thread.

        Waits for at most ``timeout`` seconds (-1 or None: for ever; 0: not at all) until there is one, or room in ``buffer.memory`` again.
        Returns how many were called. What a callback raises is raised here; the remaining ones are called by the next poll.
        (confluent-kafka: Producer.poll)
        """
    def flush(self, timeout: float | None = None) -> int:
        """Sends what there is without lingering, waits until all of it is settled, and calls the delivery callbacks.

        Waits for at most ``timeout`` seconds (-1 or None: until then, which ``delivery.timeout.ms`` bounds). Returns how many messages are
        left. (confluent-kafka: Producer.flush)
        """
    def __len__(self) -> int:
        """Messages that have no fate yet, or whose delivery callback was not called yet."""
    def __bool__(self) -> bool: ...
    def _serve(self) -> bool: ...
    def _outstanding(self) -> int: ...

class Consumer(Core):
    def _open(self, client: int, options: str, queued: bool, stores: bool) -> int: ...
    def poll(self, timeout: float | None = None) -> Message | None:
        """The next message. Waits for at most ``timeout`` seconds (-1 or None: for ever); None: none came in time.

        Listeners of ``subscribe`` and callbacks of ``commit`` are called from here, and failures of the consumer are raised here.
        (confluent-kafka: Consumer.poll)
        """
    def consume(self, num_messages: int = 1, timeout: float | None = None) -> list[Message]:
        """Up to ``num_messages`` messages. Waits until there are so many, but for at most ``timeout`` seconds (-1 or None: for ever).

        The list has what came until then. Otherwise as ``poll``. (confluent-kafka: Consumer.consume)
        """
    def wakeup(self) -> None:
        """Ends a poll that waits on another thread, or else the next one, with nothing."""
    def _finish(self) -> None: ...
    def _forget(self) -> None: ...
    def _store(self, topic: str, partition: int, offset: int) -> None: ...
    def _call_asking(self, operation: str, request: str = "{}") -> str: ...
