"""Parses WebSocket frames into events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from turngate.simulator.errors import RefusedError

#: One JSON object on the wire. Emitted events are immutable by convention: nobody changes one afterwards.
Event = dict[str, Any]

#: Maximum nesting of objects and arrays. orjson can parse deeper values but not serialize them.
MAX_DEPTH = 100


def read(frame: Event | str | bytes) -> Event:
    """Parse a text frame; an already parsed object is returned unchanged. Raises `RefusedError`.

    ``bytes`` is a binary frame, which is always refused.
    """
    if isinstance(frame, dict):
        return frame
    if isinstance(frame, bytes):
        raise RefusedError("invalid_event", "Binary frames are not supported; send each event as a JSON text frame.")
    try:
        found = orjson.loads(frame)
    except ValueError:
        raise RefusedError("invalid_json", "The frame is not valid JSON.") from None
    # Counting brackets is cheap, and almost every frame has too few of them to be nested too deeply.
    if frame.count("{") + frame.count("[") > MAX_DEPTH and _is_deep(found):
        raise RefusedError("invalid_json", f"The event is nested more than {MAX_DEPTH} levels deep.")
    if not isinstance(found, dict):
        raise RefusedError("invalid_event", "The event is not a JSON object.")
    return found


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
    return bool(level)


def _inside(value: Any) -> Iterator[Any]:
    """The objects and arrays that are direct children of this one."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    yield from (inner for inner in value if isinstance(inner, dict | list))
