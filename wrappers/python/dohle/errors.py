"""Errors: one class, five subclasses (the groups of KIP-1050), and ``code`` to tell them apart."""

from __future__ import annotations

import json
from typing import Any, Literal

from ._generated.errors import NUMBERS, BrokerErrorCode, OwnErrorCode

__all__ = [
    "AbortableError",
    "ApplicationRecoverableError",
    "BrokerErrorCode",
    "InvalidConfigurationError",
    "KafkaError",
    "KafkaException",
    "OwnErrorCode",
    "Persistence",
    "RefreshRetriableError",
    "RetriableError",
]

#: Whether a record is in the log, as far as can be known: one that is ``not-persisted`` may be sent again without making a duplicate.
Persistence = Literal["not-persisted", "possibly-persisted", "persisted"]

_PERSISTENCE: tuple[Persistence, ...] = ("not-persisted", "possibly-persisted", "persisted")


class KafkaError(Exception):
    """Every error of Dohle. Its subclasses are the five groups of KIP-1050, which say what to do.

    An error outside of these groups is a plain ``KafkaError``. ``str(error)`` begins with the code.
    """

    #: Kafka's name of the error, such as ``UNKNOWN_TOPIC_OR_PARTITION``, one of Dohle's, such as ``CLOSED``, or ``UNKNOWN(n)``.
    code: str
    #: For people.
    message: str
    #: Whether the same call may succeed when it is made again.
    retriable: bool
    #: Whether the object that gave the error is of no more use.
    fatal: bool
    #: Whether it ended a transaction, which is aborted or must be; the producer can begin another one.
    abortable: bool
    #: For a record that was not acknowledged: whether it is in the log all the same. None for other errors.
    persistence: Persistence | None
    #: Of a call about several things: those that failed, by name (``orders-3`` is a partition). Those not named were done.
    items: dict[str, KafkaError]

    def __init__(
        self,
        message: str,
        *,
        code: str,
        retriable: bool = False,
        fatal: bool = False,
        abortable: bool = False,
        persistence: Persistence | None = None,
        items: dict[str, KafkaError] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message
        self.retriable, self.fatal, self.abortable = retriable, fatal, abortable
        self.persistence = persistence
        self.items = items or {}

    @property
    def number(self) -> int | None:
        """Kafka's number of the code on the wire; None for Dohle's own codes."""
        return NUMBERS.get(self.code)

    def __reduce__(self) -> tuple[Any, ...]:
        return _copied, (type(self), self.message, {name: getattr(self, name) for name in _MEMBERS}, self.__cause__)


_MEMBERS = ("code", "retriable", "fatal", "abortable", "persistence", "items")

#: The name that confluent-kafka has for what is raised.
KafkaException = KafkaError


class RetriableError(KafkaError):
    """May succeed when the same call is made again."""


class RefreshRetriableError(RetriableError):
    """May succeed when the same call is made again, after the engine has asked for the cluster's metadata anew."""


class AbortableError(KafkaError):
    """The transaction must be aborted; the producer stays usable."""


class ApplicationRecoverableError(KafkaError):
    """The application must act, for example make a new producer, join anew or seek."""


class InvalidConfigurationError(KafkaError):
    """An option or an argument is wrong; the message names it, its value and what is allowed."""


_CLASSES: dict[str, type[KafkaError]] = {
    "retriable": RetriableError,
    "refreshRetriable": RefreshRetriableError,
    "abortable": AbortableError,
    "applicationRecoverable": ApplicationRecoverableError,
    "invalidConfiguration": InvalidConfigurationError,
}


def _copied(of: type[KafkaError], message: str, members: dict[str, Any], cause: BaseException | None) -> KafkaError:
    error = of(message, **members)
    error.__cause__ = cause
    return error


def of_failure(text: str, persistence: int | None = None) -> KafkaError:
    """The error of a failure as the engine tells it, in JSON. For the native module."""
    return from_failure(json.loads(text), None if persistence is None else _PERSISTENCE[persistence])


def from_failure(failure: dict[str, Any], persistence: Persistence | None = None) -> KafkaError:
    """The error of a failure."""
    error = _CLASSES.get(failure["class"], KafkaError)(
        failure["message"],
        code=failure["code"],
        retriable=failure["retriable"],
        fatal=failure["fatal"],
        abortable=failure.get("abortable", False),
        persistence=failure.get("persistence") or persistence,
        items={item["name"]: from_failure(item["error"]) for item in failure.get("items", ())},
    )
    cause: Exception | None = None
    for message in reversed(failure.get("causes", ())):
        inner, cause = cause, Exception(message)
        cause.__cause__ = inner
    error.__cause__ = cause
    return error


def invalid(what: str, problem: str) -> InvalidConfigurationError:
    """An argument or an option is wrong."""
    return InvalidConfigurationError(f"{what}: {problem}", code="INVALID_ARGUMENT")
