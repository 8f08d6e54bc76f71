"""What the engine tells a program outside of records: log lines, statistics, questions, the end of calls."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ._wire import packed
from .errors import KafkaError, of_failure

_LEVELS = {"error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}
_COMPLETION, _QUESTION, _EVENT, _POISON = 4, 5, 6, 7


class _Core(Protocol):
    def _invoke(self, handle: int, operation: str, request: str = "{}") -> str: ...


class Told:
    """The part of every object that hears. The native part calls ``_told``, on the thread that polls."""

    _functions: dict[str, Callable[..., Any]] = {}
    #: Who waits for the completion of a call, by its number: ``(error, response)``.
    _waiting: dict[int, Callable[[KafkaError | None, Any], object]]
    _closed: bool

    def _begin(self) -> None:
        self._closed = False
        self._waiting = {}

    @contextlib.contextmanager
    def _closes(self) -> Iterator[None]:
        """That a callback or another thread has closed it in the meantime is no failure."""
        try:
            yield
        except KafkaError as error:
            if error.code != "CLOSED" or not self._closed:
                raise

    def _told(self, kind: int, handle: int, number: int, failed: bool, text: str | None) -> None:
        if kind == _COMPLETION:
            waits = self._waiting.pop(number, None)
            if waits is not None:
                waits(of_failure(text or "{}"), None) if failed else waits(None, json.loads(text or "null"))
        elif kind == _QUESTION:
            self._asked(text or "{}")
        elif kind == _EVENT:
            event = json.loads(text or "{}")
            self._event(event.pop("name"), event)
        elif kind == _POISON:
            self._failed(of_failure(text or "{}"))

    def _event(self, name: str, event: dict[str, Any]) -> None:
        if name == "log":
            _log(self._functions.get("logger"), event)
        elif name == "statistics" and "stats_cb" in self._functions:
            self._functions["stats_cb"](json.dumps(event["statistics"]))

    def _failed(self, error: KafkaError) -> None:
        if "error_cb" in self._functions:
            self._functions["error_cb"](error)
        else:
            _logger(self._functions.get("logger")).error("%s", error)

    def _asked(self: Any, text: str) -> None:
        """Answers a question of the engine with what the program's function gives, or raises."""
        question = json.loads(text)
        with self._answering(question) as answer:
            answer["answer"] = packed(self._answer(question["name"], question.get("request") or {}))

    @contextlib.contextmanager
    def _answering(self: Any, question: dict[str, Any]) -> Iterator[dict[str, Any]]:
        answer: dict[str, Any] = {"id": str(question["id"])}
        try:
            yield answer
        except BaseException as error:
            answer["error"] = ascii(error)
            raise
        finally:
            with self._closes():
                self._invoke(0, "environment.answer", packed(answer))

    def _answer(self, name: str, request: dict[str, Any]) -> Any:
        return token_of(self._functions["oauth_cb"]()) if name == "token" else None


def token_of(given: Any) -> dict[str, Any]:
    """What the engine wants of an ``oauth_cb``: (token, expiry[, principal][, extensions])."""
    value, expires, *rest = given
    extensions = rest[-1] if rest and isinstance(rest[-1], dict) else {}
    return {"value": value, "expiresAt": expires * 1000, "extensions": extensions}


def _logger(given: object) -> logging.Logger:
    return given if isinstance(given, logging.Logger) else logging.getLogger("dohle")


def _log(given: object, event: dict[str, Any]) -> None:
    fields = "".join(f" {name}={value}" for name, value in event.get("fields", {}).items())
    level = _LEVELS.get(event["level"], logging.WARNING)
    _logger(given).log(level, "%s: %s%s", event["target"], event["message"], fields)
    if event.get("dropped"):
        _logger(given).warning("%d lines before this one were dropped: nobody polled", event["dropped"])
