"""How values cross to the engine: JSON in which 64-bit integers are text, bytes are base64, and absent and null are both None."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from .errors import from_failure
from .types import TopicPartition, partition_of


class Codec(Protocol):
    """Both ways of one kind of value; ``path`` names it in errors."""

    def encode(self, value: Any, path: str) -> Any: ...
    def decode(self, wire: Any) -> Any: ...


#: A member of an object: its name here, its name there, and how it crosses.
Member: TypeAlias = tuple[str, str, Codec]
#: The arguments of an operation: name there, value, and how it crosses.
Request: TypeAlias = tuple[tuple[str, Any, Codec], ...]

#: Seconds that the engine can wait for.
_LONGEST = 2_000_000
_CLASSES: dict[str, type[Any]] = {}
_VARIANTS: dict[str, dict[str, type[Any]]] = {}


def crosses(name: str, group: str | None = None, tag: str | None = None) -> Callable[[type[Any]], type[Any]]:
    """Makes a class known by its name, and, when it is one of several, by theirs and its tag."""

    def known(of: type[Any]) -> type[Any]:
        _CLASSES[name] = of
        if group is not None and tag is not None:
            _VARIANTS.setdefault(group, {})[tag] = of
        return of

    return known


class _Plain:
    def __init__(
        self, encode: Callable[[Any], Any] = lambda value: value, decode: Callable[[Any], Any] = lambda wire: wire
    ) -> None:
        self._encode, self._decode = encode, decode

    def encode(self, value: Any, path: str) -> Any:
        try:
            return self._encode(value)
        except TypeError as error:
            raise TypeError(f"{path}: {error}") from None

    def decode(self, wire: Any) -> Any:
        return self._decode(wire)


def _int64(value: Any) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"must be int, not {type(value).__name__}")
    return str(value)


def _double(value: Any) -> Any:
    if not isinstance(value, (int, float)):
        raise TypeError(f"must be float, not {type(value).__name__}")
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _place(value: Any) -> TopicPartition:
    if not isinstance(value, TopicPartition):
        raise TypeError(f"must be TopicPartition, not {type(value).__name__}")
    return value


PLAIN = _Plain()
INT64 = _Plain(_int64, int)
BYTES = _Plain(lambda value: base64.b64encode(value).decode(), base64.b64decode)
DOUBLE = _Plain(_double, float)
FAILURE = _Plain(decode=from_failure)
PLACE_TOPIC_PARTITION = _Plain(lambda value: _place(value)._named(), partition_of)
PLACE_PARTITION_OFFSET = _Plain(lambda value: _place(value)._to_commit(), partition_of)


class List:
    """Several values."""

    def __init__(self, of: Codec) -> None:
        self._of = of

    def encode(self, value: Any, path: str) -> Any:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise TypeError(f"{path}: must be a list, not {type(value).__name__}")
        return [self._of.encode(one, f"{path}[{at}]") for at, one in enumerate(value)]

    def decode(self, wire: Any) -> Any:
        return [self._of.decode(one) for one in wire]


class Map:
    """Values by text."""

    def __init__(self, of: Codec) -> None:
        self._of = of

    def encode(self, value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError(f"{path}: must be a dict, not {type(value).__name__}")
        return {name: self._of.encode(one, f"{path}.{name}") for name, one in value.items()}

    def decode(self, wire: Any) -> Any:
        return {name: self._of.decode(one) for name, one in wire.items()}


class Object:
    """A dataclass that was made known."""

    def __init__(self, name: str) -> None:
        self._name = name

    def encode(self, value: Any, path: str) -> Any:
        if not isinstance(value, _CLASSES[self._name]):
            raise TypeError(f"{path}: must be {self._name}, not {type(value).__name__}")
        return _members_of(value, path)

    def decode(self, wire: Any) -> Any:
        return _made(_CLASSES[self._name], wire)


class Variants:
    """One of several dataclasses, told apart by ``kind``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def encode(self, value: Any, path: str) -> Any:
        classes = _VARIANTS[self._name]
        tag = next((tag for tag, of in classes.items() if isinstance(value, of)), None)
        if tag is None:
            names = ", ".join(of.__name__ for of in classes.values())
            raise TypeError(f"{path}: must be one of {names}, not {type(value).__name__}")
        return {"kind": tag, **_members_of(value, path)}

    def decode(self, wire: Any) -> Any:
        return _made(_VARIANTS[self._name][wire["kind"]], wire)


def _members_of(value: Any, path: str) -> dict[str, Any]:
    out = {}
    for here, there, codec in value._members:
        member = getattr(value, here)
        if member is not None:
            out[there] = codec.encode(member, f"{path}.{here}")
    return out


def _made(of: type[Any], wire: dict[str, Any]) -> Any:
    members = {}
    for here, there, codec in of._members:
        found = wire.get(there)
        members[here] = None if found is None else codec.decode(found)
    return of(**members)


def packed(value: Any) -> str:
    """JSON for the engine. Raises ValueError for what it cannot have: NaN, and text that UTF-8 does not have."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    text.encode()
    return text


def seconds(timeout: float | None) -> float | None:
    """A time to wait; None: for ever, as what is below 0."""
    if timeout is not None and math.isnan(timeout):
        raise ValueError("timeout: NaN is no time")
    return None if timeout is None or timeout < 0 else timeout


def within(timeout: float | None) -> dict[str, int]:
    """The same as an argument of an operation; without one it has a bound of its own."""
    bound = seconds(timeout)
    return {} if bound is None or bound > _LONGEST else {"timeoutMs": int(bound * 1000)}


def encoded(request: Request) -> str:
    """A request's JSON."""
    return packed({name: codec.encode(value, name) for name, value, codec in request if value is not None})


def decoded(text: str, codec: Codec) -> Any:
    """A response's JSON."""
    wire = json.loads(text)
    return None if wire is None else codec.decode(wire)


class Operating:
    """What has operations: the calls that wait on the caller's thread."""

    #: The handle that the operations are on.
    _target: int

    def _operate(self: Any, operation: str, request: Request, response: Codec) -> Any:
        return decoded(self._call(self._target, operation, encoded(request)), response)

    def _at_once(self: Any, operation: str, request: Request, response: Codec) -> Any:
        return decoded(self._invoke(self._target, operation, encoded(request)), response)


class AsyncOperating:
    """The same for asyncio."""

    _target: int

    async def _operate(self: Any, operation: str, request: Request, response: Codec) -> Any:
        wire = await self._later(self._target, operation, encoded(request))
        return None if wire is None else response.decode(wire)
