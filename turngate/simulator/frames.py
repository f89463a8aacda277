"""From a WebSocket frame to a JSON object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from turngate.simulator.errors import RefusedError
from turngate.simulator.stage import Event

#: Objects and arrays inside each other; what is deeper could be read but not written again.
DEEPEST = 100


def read(frame: Event | str | bytes) -> Event:
    """The object in a text frame; one that is already read is returned as it is. Raises `RefusedError`.

    Bytes stand for a binary frame, which holds no event whatever is in it.
    """
    if isinstance(frame, dict):
        return frame
    if isinstance(frame, bytes):
        raise RefusedError("invalid_event", "Binary frames are not supported; send each event as a JSON text frame.")
    try:
        found = orjson.loads(frame)
    except ValueError:
        raise RefusedError("invalid_json", "The frame is not valid JSON.") from None
    # Counting brackets costs next to nothing, and almost every frame has too few to be deep.
    if frame.count("{") + frame.count("[") > DEEPEST and _is_deep(found):
        raise RefusedError("invalid_json", f"The event is nested more than {DEEPEST} levels deep.")
    if not isinstance(found, dict):
        raise RefusedError("invalid_event", "The event is not a JSON object.")
    return found


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    return bool(level)


def _inside(value: Any) -> Iterator[Any]:
    """The objects and arrays directly in this one."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return
    yield from (inner for inner in value if isinstance(inner, dict | list))
