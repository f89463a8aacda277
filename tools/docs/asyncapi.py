"""Generates docs/asyncapi.yaml: the Redis streams and their messages, as an AsyncAPI 3.0 document.

What the services read comes from their wiring (`Bus.consume`), what they publish from `PUBLISHES`, and the messages
from their models. ``python -m tools.docs.asyncapi`` prints the document, `make docs` writes it, and `make check`
compares it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.app import Gateway
from gateway.config import GatewaySettings
from gateway.sockets.engines import ENGINES
from session_state.app import wire as wire_session_state
from session_state.config import SessionStateSettings
from translator.app import wire as wire_translator
from translator.config import TranslatorSettings
from turngate.bus.bus import Bus
from turngate.process.settings import BrokerSettings
from turngate.process.supervisor import Supervisor
from turngate.protocol.messages import DEAD_LETTERS, PREFIX, PUBLISHES, DeadLetter, commands_stream

#: A gateway's id, while the document is made.
_GATEWAY = "GATEWAY"
_DESCRIPTION = """\
The Redis streams between turngate's services; see architecture.md for what goes through them, and why every message may
arrive twice, late, or not at all.

An entry has one field, `__data__`, with the message as JSON; entries of the dead letters have the fields of their
message. Each address has the prefix `TURNGATE_REDIS_PREFIX`.
"""
_HEADER = "# Made by `make docs` from the declarations in the services. Do not edit.\n"


@dataclass(frozen=True)
class Channel:
    """One stream, with its messages and those who use it."""

    name: str
    address: str
    messages: tuple[type[BaseModel], ...]
    #: Service and consumer group.
    readers: tuple[tuple[str, str], ...]
    writers: tuple[str, ...]


def buses() -> dict[str, Bus]:
    """The bus of each service as it is wired, without a connection."""
    gateway, translator, session_state = (
        GatewaySettings(gateway_id=_GATEWAY),
        TranslatorSettings(),
        SessionStateSettings(),
    )
    made = {
        name: Bus.connect(BrokerSettings.model_validate(settings.model_dump()))
        for name, settings in (("gateway", gateway), ("translator", translator), ("session-state", session_state))
    }
    Gateway(gateway, Supervisor(), [made["gateway"]], ENGINES[gateway.socket_engine])
    wire_translator(translator, made["translator"])
    wire_session_state(session_state, made["session-state"])
    return made


def channels() -> list[Channel]:
    """Every stream."""
    found: dict[str, Channel] = {}
    for service, bus in buses().items():
        for consumer in bus.consumers:
            address = consumer.stream.replace(_GATEWAY, "{gateway}")
            before = found.get(address)
            readers = (*(before.readers if before else ()), (service, consumer.group))
            found[address] = _channel(address, _models(consumer.model), readers)
    found[DEAD_LETTERS] = _channel(DEAD_LETTERS, (DeadLetter,), ())
    return [found[address] for address in sorted(found)]


def document() -> dict[str, Any]:
    """The whole document."""
    streams = channels()
    models = {model.__name__: model for stream in streams for model in stream.messages}
    _, schemas = models_json_schema(
        [(model, "validation") for model in models.values()], ref_template="#/components/schemas/{model}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "turngate",
            "version": version("turngate"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"redis": {"host": "127.0.0.1:6379", "protocol": "redis", "description": "`TURNGATE_REDIS_URL`"}},
        "channels": {stream.name: _channel_object(stream) for stream in streams},
        "operations": {name: operation for stream in streams for name, operation in _operations(stream)},
        "components": {
            "messages": {name: _message(model) for name, model in sorted(models.items())},
            "schemas": dict(sorted(schemas["$defs"].items())),
        },
    }


class _Dumper(yaml.SafeDumper):
    """Writes lines as lines, and everything in full."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def page() -> str:
    """The document as YAML."""
    return _HEADER + yaml.dump(document(), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def _channel(address: str, models: tuple[type[BaseModel], ...], readers: tuple[tuple[str, str], ...]) -> Channel:
    name = re.sub(r"\W+", "-", address.removeprefix(PREFIX).replace("{gateway}.", ""))
    writers = tuple(service for service, streams in PUBLISHES.items() if address in streams)
    return Channel(name, address, models, readers, writers)


def _models(model: Any) -> tuple[type[BaseModel], ...]:
    """The models of a union, or the model."""
    if isinstance(model, type):
        return (model,)
    return tuple(
        part for argument in get_args(model) for part in (get_args(argument) or (argument,)) if _is_model(part)
    )


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def _channel_object(channel: Channel) -> dict[str, Any]:
    found: dict[str, Any] = {
        "address": channel.address,
        "messages": {model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model in channel.messages},
    }
    if channel.address == commands_stream("{gateway}"):
        found["parameters"] = {"gateway": {"description": "The id of a gateway process (`TURNGATE_GATEWAY_ID`)."}}
    return found


def _operations(channel: Channel) -> list[tuple[str, dict[str, Any]]]:
    reference = {"$ref": f"#/channels/{channel.name}"}
    messages = [{"$ref": f"#/channels/{channel.name}/messages/{model.__name__}"} for model in channel.messages]
    sends = [
        (f"{service}-sends-{channel.name}", {"action": "send", "channel": reference, "messages": messages})
        for service in channel.writers
    ]
    receives = [
        (
            f"{service}-receives-{channel.name}",
            {"action": "receive", "channel": reference, "messages": messages, "x-consumer-group": group},
        )
        for service, group in channel.readers
    ]
    return sends + receives


def _message(model: type[BaseModel]) -> dict[str, Any]:
    summary = (model.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " ")
    return {"name": model.__name__, "summary": summary, "payload": {"$ref": f"#/components/schemas/{model.__name__}"}}


if __name__ == "__main__":
    print(page(), end="")
