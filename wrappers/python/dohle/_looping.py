"""How an event loop drains an object's queue: it watches the engine's descriptor, on its own thread."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._told import Told, token_of
from ._wire import packed
from .errors import KafkaError

if TYPE_CHECKING:
    from typing import Self


class Looping(Told):
    """An object whose queue an event loop drains: the loop that runs when it is first used."""

    _loop: asyncio.AbstractEventLoop | None = None
    _closing: asyncio.Future[None] | None = None
    _token: asyncio.Future[None] | None = None
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

    def _asked(self, text: str) -> None:
        question = json.loads(text)
        if question["name"] == "token":
            self._token = asyncio.ensure_future(self._give_token(question))
        else:
            super()._asked(text)

    async def _give_token(self, question: dict[str, Any]) -> None:
        with self._answering(question) as answer:
            token = self._functions["oauth_cb"]()
            answer["answer"] = packed(token_of(await token if inspect.isawaitable(token) else token))

    async def _later(self: Any, handle: int, operation: str, request: str = "{}") -> Any:
        if self._closed:
            raise _closed()
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
        try:
            await self._later(self._client, "client.close")
        finally:
            self._closed = True
            self._loop.remove_reader(self._descriptor())
            self._end()
            waiting, self._waiting = self._waiting, {}
            for done in waiting.values():
                done(_closed(), None)

    async def _finished(self: Any, end: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Ends it once; who closes it again waits for the first."""
        if self._closed:
            return
        self._attach()
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


def _closed() -> KafkaError:
    return KafkaError("the object is closed", code="CLOSED")
