"""Validates the simulator's events against the models of the official `openai` SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter

_SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
#: The session object of the two session events has these fields. The SDK uses the request's model for it, without them.
_READ_ONLY = {".session.id", ".session.object", ".session.expires_at"}


def validate(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event if it is valid and the SDK knows all of its fields; fail otherwise."""
    unknown = set(_unknown(_SERVER_EVENT.validate_python(event), "")) - _READ_ONLY
    assert not unknown, f"{event['type']}: fields that the SDK does not know: {unknown}"
    return event


def _unknown(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from _unknown(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _unknown(element, f"{path}[{index}]")
