"""Options as programs give them: a dict under Kafka's dotted names, keyword arguments with underscores, or both."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ._generated.options import OF
from ._wire import packed
from .errors import invalid

#: librdkafka's names of options that have another one here.
_ALIASES = {
    "metadata.broker.list": "bootstrap.servers",
    "socket.timeout.ms": "request.timeout.ms",
    "topic.metadata.refresh.interval.ms": "metadata.max.age.ms",
    "sasl.mechanisms": "sasl.mechanism",
    "sasl.oauthbearer.client.id": "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.secret": "sasl.oauthbearer.client.credentials.client.secret",
    "socket.send.buffer.bytes": "send.buffer.bytes",
    "socket.receive.buffer.bytes": "receive.buffer.bytes",
    "ssl.ca.pem": "ssl.truststore.certificates",
    "ssl.certificate.pem": "ssl.keystore.certificate.chain",
    "ssl.key.pem": "ssl.keystore.key",
    "queue.buffering.max.ms": "linger.ms",
    "request.required.acks": "acks",
    "message.timeout.ms": "delivery.timeout.ms",
    "message.max.bytes": "max.request.size",
    "max.in.flight": "max.in.flight.requests.per.connection",
    "compression.codec": "compression.type",
    "fetch.wait.max.ms": "fetch.max.wait.ms",
    "fetch.message.max.bytes": "max.partition.fetch.bytes",
}

#: librdkafka's values, by option.
_VALUES: dict[str, dict[object, object]] = {
    "auto.offset.reset": {
        "smallest": "earliest", "beginning": "earliest", "largest": "latest", "end": "latest", "error": "none",
    },
    "security.protocol": {
        name.lower(): name for name in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
    },
}

#: What to do instead of options of librdkafka that have no counterpart.
_HINTS = {
    "enable.partition.eof": "there are no end-of-partition events: compare position() with get_watermark_offsets()",
    "queue.buffering.max.messages": "what waits is bounded by its size: buffer.memory, in bytes",
    "queue.buffering.max.kbytes": "set buffer.memory, in bytes",
    "batch.num.messages": "batches are bounded by their size: batch.size, in bytes",
    "message.send.max.retries": "a record is retried until delivery.timeout.ms is over",
    "retries": "a record is retried until delivery.timeout.ms is over",
    "queued.max.messages.kbytes": "set fetch.buffer.bytes, in bytes",
    "queued.min.messages": "what is held ready is bounded by its size: fetch.buffer.bytes",
    "debug": "set log.level to 'debug'; the lines go to logging.getLogger('dohle')",
    "log_level": "set log.level to error, warn, info or debug; the lines go to logging.getLogger('dohle')",
    "api.version.request": "the brokers are always asked for their versions",
    "broker.version.fallback": "the brokers are always asked for their versions",
    "default.topic.config": "put its options into the same dict",
    "delivery.report.only.error": "records without an on_delivery are not reported; the callback can look at err",
    "go.delivery.reports": "it is an option of another language",
    "plugin.library.paths": "there are no plugins",
    "ssl.ca.certificate.stores": "set ssl.ca.location, or leave it out to trust what the platform trusts",
    "enable.metadata.refresh": "set metadata.max.age.ms",
}

#: Functions of the program's that stand in the dict, as with confluent-kafka.
_FUNCTIONS = ("error_cb", "stats_cb", "oauth_cb", "on_delivery", "on_commit", "logger")

#: What the engine is told when the program gives tokens by a function.
_GIVES_TOKENS = "gives tokens"

_BY_KEYWORD = {name.replace(".", "_"): name for name in (*OF, *_ALIASES, *_HINTS, "enable.auto.offset.store", "sasl.oauthbearer.config")}


@dataclass
class Config:
    """Options, by who takes them."""

    client: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    functions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    #: `enable.auto.offset.store`: what was given to the program counts as finished by itself.
    stores: bool = True

    @property
    def client_json(self) -> str:
        return _json(self.client)

    @property
    def own_json(self) -> str:
        return _json(self.own)


def read(conf: Mapping[str, Any] | None, options: Mapping[str, Any], of: str) -> Config:
    """The options of an object; ``of``: ``producer``, ``consumer`` or ``client``, which takes those of the client only.

    Raises InvalidConfigurationError for names that nobody takes, with what to do instead.
    """
    if conf is not None and not isinstance(conf, Mapping):
        raise TypeError(f"conf must be a dict of options, not {type(conf).__name__}")
    config = Config()
    seen: dict[str, str] = {}
    said = ""
    for given, value in (*(conf or {}).items(), *options.items()):
        if not isinstance(given, str):
            raise TypeError(f"an option's name must be str, not {type(given).__name__}")
        if given in _FUNCTIONS:
            if value is not None:
                config.functions[given] = _function(given, value)
            continue
        name = _BY_KEYWORD.get(given, given)
        name = _ALIASES.get(name, name)
        if name in seen:
            raise invalid(name, f"is given twice, as {seen[name]} and as {given}")
        seen[name] = given
        if value is None:
            continue
        if name == "enable.auto.offset.store" and of == "consumer":
            config.stores = str(value).lower() == "true"
            continue
        if name == "sasl.oauthbearer.config":
            said = value
            continue
        _put(config, name, value, of)
    if "oauth_cb" in config.functions:
        config.client[_GIVES_TOKENS] = True
        config.functions["oauth_cb"] = partial(config.functions["oauth_cb"], said)
    return config


def _function(name: str, value: Any) -> Any:
    if not (isinstance(value, logging.Logger) if name == "logger" else callable(value)):
        what = "a logging.Logger" if name == "logger" else "a function"
        raise TypeError(f"{name}: must be {what}, not {type(value).__name__}")
    return value


def _put(config: Config, name: str, value: Any, of: str) -> None:
    objects = OF.get(name, ())
    value = _VALUES.get(name, {}).get(value, value) if isinstance(value, str) else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if "client" in objects:
        config.client[name] = value
    elif of in objects:
        config.own[name] = value
    elif name in _HINTS:
        raise invalid(name, f"is no option of dohle: {_HINTS[name]}")
    elif objects and of != "client":
        raise invalid(name, f"is an option of a {objects[0]}, not of a {of}")
    elif objects:
        return  # An admin client is often given the options of another object.
    else:
        # The engine names the nearest option that there is.
        (config.client if of == "client" else config.own)[name] = value


def _json(options: dict[str, Any]) -> str:
    for name, value in options.items():
        if not isinstance(value, (str, int, float, bool, list, tuple)):
            raise TypeError(f"{name}: must be str, int, bool or a list of str, not {type(value).__name__}")
    return packed(options)
