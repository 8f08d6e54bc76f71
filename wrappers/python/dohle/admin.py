"""The admin client: everything that is done to a cluster itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _config, _native
from ._cluster import Cluster
from ._generated.operations import *  # noqa: F403
from ._generated.operations import AdminOperations
from ._told import Told

if TYPE_CHECKING:
    from typing import Self, Unpack

    from ._generated.options import ClientOptions


class AdminClient(_native.Core, Told, Cluster, AdminOperations):
    """Creates, describes, changes and deletes what a cluster has: topics, partitions, configs, groups, ACLs, quotas, users, ….

    ``conf`` and keyword arguments as of ``Producer``; options of producers and consumers in it are ignored. Safe to be used by several threads.

    Every method waits on its caller's thread, for at most ``timeout_ms`` (default: ``default.api.timeout.ms``), and returns what came of it. It
    raises KafkaError; of a call about several things ``error.items`` has those that failed, and the others were done.
    Types of arguments and results are in ``dohle.admin``.
    """

    def __init__(self, conf: Mapping[str, Any] | None = None, /, **options: Unpack[ClientOptions]) -> None:
        self._begin()
        config = _config.read(conf, options, "client")
        self._functions = config.functions
        self._client = self._target = self._open_client(config.client_json)

    def close(self) -> None:
        """Closes all connections. Once more: nothing happens."""
        with self._closes():
            if not self._closed:
                self._call(self._client, "client.close")
                self._closed = True
                self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
