"""Parses client messages, from a WebSocket frame or from the object in a `ClientEvent`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from turngate.protocol.deepgram.errors import (
    AGENT_ID_NOT_SUPPORTED,
    UNPARSABLE,
    ClientProtocolError,
    UnknownMessageTypeError,
)
from turngate.protocol.deepgram.messages import ClientMessage, GatewayMessage

#: Maximum nesting of a client message. Deeper messages could be parsed, but not serialized for the translator.
MAX_DEPTH = 64

_MODELS: dict[str, type[ClientMessage]] = {
    model.model_fields["type"].annotation.__args__[0]: model for model in ClientMessage.__args__
}
_OWN_MODELS: dict[str, type[GatewayMessage]] = {
    model.model_fields["type"].annotation.__args__[0]: model for model in GatewayMessage.__args__
}


@dataclass(frozen=True, slots=True)
class Omitted:
    """Values for parts of ``Settings`` that clients of one dialect may omit, although Deepgram requires them."""

    #: The values of ``audio.input`` and ``audio.output``.
    audio: Mapping[str, Mapping[str, Any]]
    #: The ``provider`` of a ``think`` block, also in ``UpdateThink``.
    think_provider: Mapping[str, Any]


def parse_client_message(text: bytes | str, *, strict: bool, omitted: Omitted | None = None) -> ClientMessage:
    """Parse one text frame of a client.

    With ``strict`` an unknown field is an error, as in Deepgram's service; otherwise the caller warns about the
    message's `unknown_fields`. ``omitted`` has values for the parts that the dialect allows to omit. Raises
    `ClientProtocolError` for an invalid message.
    """
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ClientProtocolError(UNPARSABLE, f"The message is not valid JSON: {error.msg}.") from None
    if not isinstance(data, dict):
        raise ClientProtocolError(UNPARSABLE, "The message is not a JSON object.")
    if _deeper_than(MAX_DEPTH, data):
        raise ClientProtocolError(UNPARSABLE, f"The message is nested deeper than {MAX_DEPTH} levels.")
    message = _validate(data if omitted is None else _completed(data, omitted))
    if strict and (unknown := message.unknown_fields):
        raise ClientProtocolError(UNPARSABLE, f"{data['type']} has no field {_listed(unknown)}.", unknown[0])
    return message


def read_message(data: dict[str, Any]) -> ClientMessage | GatewayMessage:
    """Parse `ClientEvent.message`, which may also be one that the gateway made.

    Raises `ClientProtocolError`, which does not happen if the gateway has the same version.
    """
    own = _OWN_MODELS.get(str(data.get("type")))
    return _validate(data) if own is None else own.model_validate(data)


def _completed(data: dict[str, Any], omitted: Omitted) -> dict[str, Any]:
    """The message with what was left out; whatever is wrong with the rest stays for the validation to find."""
    if data.get("type") == "Settings":
        audio, agent = data.get("audio"), data.get("agent")
        if audio is None or isinstance(audio, dict):
            said = {name: value for name, value in (audio or {}).items() if value is not None}
            data = {**data, "audio": {**omitted.audio, **said}}
        if isinstance(agent, dict) and "think" in agent:
            data = {**data, "agent": {**agent, "think": _with_providers(agent["think"], omitted)}}
    elif data.get("type") == "UpdateThink" and "think" in data:
        data = {**data, "think": _with_providers(data["think"], omitted)}
    return data


def _with_providers(think: Any, omitted: Omitted) -> Any:
    if isinstance(think, list):
        return [_with_providers(block, omitted) for block in think]
    if isinstance(think, dict) and think and think.get("provider") is None:
        return {**think, "provider": omitted.think_provider}
    return think


def _validate(data: dict[str, Any]) -> ClientMessage:
    name = data.get("type")
    if not isinstance(name, str):
        problem = "has no `type`" if name is None else "has a `type` that is not a string"
        raise ClientProtocolError(UNPARSABLE, f"The message {problem}.", "type")
    model = _MODELS.get(name)
    if model is None:
        raise UnknownMessageTypeError(name if len(name) <= 64 else f"{name[:64]}…")
    if name == "Settings" and isinstance(data.get("agent"), str):
        raise ClientProtocolError(
            AGENT_ID_NOT_SUPPORTED, "Stored agents are not supported: `agent` must be the settings themselves.", "agent"
        )
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explain(name, data, error.errors(include_url=False)[0]) from None


#: Texts for pydantic's error types, which follow the name of the field. Other types keep pydantic's text.
_PROBLEMS = {
    "missing": "is missing",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "value_error": "{error}",
}


def _explain(name: str, data: dict[str, Any], error: ErrorDetails) -> ClientProtocolError:
    field = _path(data, error["loc"], missing=error["type"] == "missing")
    words = _PROBLEMS.get(error["type"])
    problem = words.format(**error.get("ctx", {})) if words else f"is not valid ({error['msg']})"
    # Without a path, it is the message as a whole.
    subject = f"{name}: `{field}`" if field else name
    return ClientProtocolError(UNPARSABLE, f"{subject} {problem}.", field or None)


def _path(data: Any, loc: Sequence[int | str], *, missing: bool) -> str:
    """The path of the field in the client's data, without the parts that refer only to our models."""
    path = ""
    for step in loc:
        if isinstance(step, int) and isinstance(data, list):
            path, data = f"{path}[{step}]", data[step]
        elif isinstance(step, str) and isinstance(data, dict) and step in data:
            path, data = f"{path}.{step}", data[step]
    return (f"{path}.{loc[-1]}" if missing else path).removeprefix(".")


def _listed(fields: Sequence[str]) -> str:
    shown = ", ".join(f"`{field}`" for field in fields[:3])
    return shown if len(fields) <= 3 else f"{shown} and {len(fields) - 3} more"


def _deeper_than(limit: int, value: object) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
