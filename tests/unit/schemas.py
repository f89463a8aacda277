"""The official SDKs as judges of what this server writes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

from deepgram.agent.v1 import types as deepgram
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

#: What the React component is sent beyond Deepgram's protocol, and the fields that it reads of each.
EXTENSIONS: dict[str, set[str]] = {
    "Transcript": {
        *("transcript", "alternatives", "is_final", "speech_final"),
        *("channel", "channel_index", "start", "duration"),
    },
    "UtteranceEnd": {"channel", "last_word_end"},
    "AgentDone": set(),
}

_SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


#: Fields of turngate's own in Deepgram's messages, which clients ignore that do not know them.
OWN_FIELDS = {"Welcome": ("resumed", "resume", "recovered")}


def accepted_by_openai(event: dict[str, Any]) -> None:
    """Fails unless ``event`` is a client event of the Realtime API, down to the last field."""
    _nothing_unknown(_client_event(event["type"]).validate_python(event))


def sent_by_openai(event: dict[str, Any]) -> dict[str, Any]:
    """``event``, after it was found to be a server event of the Realtime API: tests feed on nothing else."""
    _nothing_unknown(_SERVER_EVENT.validate_python(event))
    return event


def accepted_by_clients(message: dict[str, Any]) -> dict[str, Any]:
    """``message``, after it was found to be one of `EXTENSIONS` or a server message of Deepgram's."""
    if message["type"] in EXTENSIONS:
        assert set(message) == {"type"} | EXTENSIONS[message["type"]], message
    else:
        own = OWN_FIELDS.get(message["type"], ())
        accepted_by_deepgram({name: value for name, value in message.items() if name not in own})
    return message


def accepted_by_deepgram(message: dict[str, Any]) -> None:
    """Fails unless ``message`` is a server message of Deepgram's, down to the last field."""
    _nothing_unknown(_deepgrams(message["type"]).validate_python(message))


@cache
def _client_event(kind: str) -> TypeAdapter[Any]:
    """One member of the union, since trying all of them takes ten times as long."""
    members: Any = get_args(get_args(RealtimeClientEvent)[0])
    return TypeAdapter(next(one for one in members if kind in get_args(one.model_fields["type"].annotation)))


@cache
def _deepgrams(kind: str) -> TypeAdapter[Any]:
    kinds = {"History": "AgentV1History", "FunctionCallResponse": "AgentV1ReceiveFunctionCallResponse"}
    return TypeAdapter(getattr(deepgram, kinds.get(kind, f"AgentV1{kind}")))


def _nothing_unknown(value: Any) -> None:
    unknown = list(_unknown(value, ""))
    assert not unknown, f"fields that the SDK does not know: {unknown}"


def _unknown(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, element in enumerate(value):
            yield from _unknown(element, f"{path}[{index}]")
