"""Reading the client's messages: from bytes off the wire, or from the object that an event on the streams carries."""

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
from turngate.protocol.deepgram.messages import ClientMessage, UserTurnEnded

#: Levels of nesting in a client message. Deeper ones could be read but not written again on the way to a translator.
MAX_DEPTH = 64

_MODELS: dict[str, type[ClientMessage]] = {
    model.model_fields["type"].annotation.__args__[0]: model for model in ClientMessage.__args__
}


@dataclass(frozen=True, slots=True)
class Omitted:
    """What stands for parts of a ``Settings`` that clients of one dialect leave out, though Deepgram requires them."""

    #: By ``input`` and ``output``.
    audio: Mapping[str, Mapping[str, Any]]
    #: The ``provider`` of a ``think`` block; of an ``UpdateThink`` too.
    think_provider: Mapping[str, Any]


def parse_client_message(text: bytes | str, *, strict: bool, omitted: Omitted | None = None) -> ClientMessage:
    """Read one text frame of a client.

    With ``strict`` an unknown field is an error, as it is to Deepgram's service; without it, tell the client once about
    the message's `unknown_fields`. ``omitted`` completes what its dialect lets it leave out. Raises
    `ClientProtocolError` for anything that is not a message a client may send.
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


def read_message(data: dict[str, Any]) -> ClientMessage | UserTurnEnded:
    """Read the object that `ClientEvent.message` carries; unlike a client, the gateway may say `UserTurnEnded`.

    Raises `ClientProtocolError`, which a gateway of the same version never causes.
    """
    return UserTurnEnded() if data.get("type") == "UserTurnEnded" else _validate(data)


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


#: Pydantic's kinds of errors, as the end of a sentence that begins with the field. Others keep pydantic's words.
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
    """The field as the client wrote it: the steps that lead through the client's own data, not through our models."""
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
