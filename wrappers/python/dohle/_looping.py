"""How an event loop drains an object's queue: it watches the engine's descriptor, on its own thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._told import Told
from .errors import KafkaError

if TYPE_CHECKING:
    from typing import Self


class Looping(Told):
    """An object whose queue an event loop drains: the loop that runs when it is first used."""

    _loop: asyncio.AbstractEventLoop | None = None
    _closing: asyncio.Future[None] | None = None
    _client: int
    _closed: bool

    def _attach(self: Any) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self._descriptor(), self._ready)
        elif self._loop is not loop:
            raise RuntimeError("it belongs to another event loop, the one in which it was first used")
        return loop

    def _ready(self: Any) -> None:
        self._turn()

    async def _later(self: Any, handle: int, operation: str, request: str = "{}") -> Any:
        future: asyncio.Future[Any] = self._attach().create_future()

        def done(error: KafkaError | None, response: Any) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(response)
            else:
                future.set_exception(error)

        number = self._start(handle, operation, request)
        self._waiting[number] = done
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(number, None)
            self._cancel(number)
            raise

    async def _ended(self: Any) -> None:
        await self._later(self._client, "client.close")
        if self._loop is not None:
            self._loop.remove_reader(self._descriptor())
        self._end()

    async def _finished(self: Any, end: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Ends it once; who closes it again waits for the first."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(end())
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        self._attach()
        return self

    async def __aexit__(
        self: Any, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
