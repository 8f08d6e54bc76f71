"""A Kafka broker inside the program, for tests."""

from __future__ import annotations

import json
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _native
from ._generated.operations import BrokerOperations
from ._told import Told
from ._wire import packed

if TYPE_CHECKING:
    from typing import Self


class EmbeddedBroker(_native.Core, Told, BrokerOperations):
    """A broker that runs in this process and keeps its records in memory, for tests of programs that use Kafka.

    Options are keyword arguments: ``port`` (default 0: a free one), ``partitions`` of topics that are created by themselves (default 1),
    ``auto_create_topics``, ``tls``, ``sasl``, ``properties``, …; docs/embedded-broker.md has all of them. It listens when the constructor has returned.

    ``add_fault`` and its kin make it fail on purpose; their types are in ``dohle.admin``. Raises KafkaError when it cannot listen.
    """

    def __init__(self, **options: Any) -> None:
        self._begin()
        running = json.loads(self._call(0, "environment.startBroker", packed(_camel(options))))
        self._handle = self._target = int(running["handle"])
        #: Host and port, for ``bootstrap.servers``.
        self.address: str = running["address"]

    @property
    def bootstrap_servers(self) -> str:
        """Host and port: ``address`` under the option's name."""
        return self.address

    def stop(self) -> None:
        """Closes all connections and forgets everything. Once more: nothing happens."""
        with self._closes():
            if not self._closed:
                self._call(self._handle, "broker.stop")
                self._closed = True
                self._end()

    def __repr__(self) -> str:
        return f"<EmbeddedBroker {self.address}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


#: Options whose own keys are names of Kafka's.
_AS_THEY_ARE = ("properties",)


def _camel(options: Any) -> Any:
    if isinstance(options, dict):
        return {_name(key): value if key in _AS_THEY_ARE else _camel(value) for key, value in options.items()}
    return [_camel(one) for one in options] if isinstance(options, (list, tuple)) else options


def _name(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)
