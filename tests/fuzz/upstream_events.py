"""Events that an upstream might send, made from the official SDK's own models, with ids that meet each other."""

from __future__ import annotations

import json
from random import Random
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel

from tests.fuzz.client_frames import CALLS

MODELS: tuple[type[BaseModel], ...] = get_args(get_args(RealtimeServerEvent)[0])
#: What a conversation mostly consists of; the rest of the union comes now and then.
_COMMON = tuple(
    model
    for model in MODELS
    for kind in (get_args(model.model_fields["type"].annotation)[0],)
    if kind.startswith(("response.", "input_audio_buffer.", "conversation.item.", "session.", "error"))
    and "mcp" not in kind
)


def event(random: Random, request_ids: tuple[str, ...] = (), epoch: int = 0) -> dict[str, Any]:
    """One event. ``request_ids`` are ids of what was sent, so that errors and responses can be about it; ``epoch``
    grows with the session, and with it the ids of responses and items."""
    model = random.choice(_COMMON if random.random() < 0.9 else MODELS)
    made: dict[str, Any] = _Maker(random, request_ids, epoch).value(model, "event")
    return made


def unreadable(random: Random, made: dict[str, Any]) -> bytes:
    """The event as a server sends it that does not write JSON well: cut off, with half of a surrogate pair, with a
    number that is none, with bytes that are no text, or twice."""
    text = json.dumps(made)
    match random.randrange(5):
        case 0:
            return text[: random.randrange(len(text))].encode()
        case 1:
            return text.replace('"x"', '"\\ud83d"').replace('": "', '": "\\udc00', 1).encode()
        case 2:
            return text.replace(": 0", ": NaN").replace(": null", ": Infinity").encode()
        case 3:
            return text.encode()[:-1] + b"\xff\xfe}"
        case _:
            return (text + text).encode()


def response_id(random: Random, epoch: int) -> str:
    return f"resp_{epoch + random.randrange(3)}"


class _Maker:
    def __init__(self, random: Random, request_ids: tuple[str, ...], epoch: int) -> None:
        self._random = random
        self._request_ids = request_ids
        self._response = response_id(random, epoch)
        #: What the whole event is about, so that its words are recognised as this item's.
        self._item = f"item_{epoch + random.randrange(4)}"

    def value(self, annotation: Any, name: str) -> Any:
        random = self._random
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return self._object(annotation)
        if (named := self._by_name(name)) is not None:
            return named
        origin, parts = get_origin(annotation), get_args(annotation)
        if origin is Literal:
            return random.choice(parts)
        if origin in (list, tuple):
            return [self.value(parts[0], name) for _ in range(random.randrange(3))]
        if origin is dict:
            return {}
        if parts:
            return self.value(random.choice([part for part in parts if part is not NoneType]), name)
        samples: dict[Any, Any] = {str: "x", int: random.randrange(5000), float: 0.5, bool: True}
        return samples.get(annotation, "x")

    def _object(self, model: type[BaseModel]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            if field.is_required() or name in _WANTED or self._random.random() < 0.3:
                made[field.alias or name] = self.value(field.annotation, name)
        if model.__name__ == "RealtimeResponse":
            made["id"] = self._response
            if self._random.random() < 0.1:
                made["conversation_id"] = None
            made["metadata"] = {"turngate": self._random.choice(self._request_ids)} if self._request_ids else None
        return made

    def _by_name(self, name: str) -> Any:
        random = self._random
        match name:
            case "response_id":
                return self._response
            case "item_id" | "id":
                return self._item
            case "call_id":
                return random.choice(CALLS)
            case "conversation_id":
                return "conv"
            case "text" | "transcript" | "delta":
                return f"{self._item} says that this is so."
            case "name":
                # Functions that the client has, and one that nobody has.
                return random.choice(("f", "f", "f", "nobody"))
            case "arguments":
                return "{}"
            case "event_id":
                return random.choice((*self._request_ids, "event_1"))
            case "code":
                return random.choice(_CODES)
        return None


#: Optional fields without which little happens.
_WANTED = {"item_id", "id", "status", "content", "output", "call_id", "name", "arguments", "conversation_id", "text"}
_CODES = (
    "conversation_already_has_active_response",
    "response_cancel_not_active",
    "cannot_update_voice",
    "input_audio_buffer_commit_empty",
    "invalid_value",
    "server_error",
    "idle_timeout",
)
