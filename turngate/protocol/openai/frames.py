"""From a text frame of the upstream to the JSON object in it."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_DONE = re.compile(r'"type"\s*:\s*"response\.done"')
#: A text of the response itself: nothing nested stands before it.
_OF_RESPONSE = r'"response"\s*:\s*\{{[^{{}}\[\]]*?"{name}"\s*:\s*"([^"\\]{{1,512}})"'
_RESPONSE_FIELDS = {name: re.compile(_OF_RESPONSE.format(name=name)) for name in ("id", "status")}
_SURROGATES = re.compile("[\ud800-\udfff]")
#: Whole numbers of so many characters have 64 bits at most.
_DIGITS = 18


def read_frame(frame: bytes | str) -> dict[str, Any]:
    """The event in a frame. Raises ValueError for what is no JSON object.

    A text with half of a surrogate pair, which some servers send where they cut a transcript, is read with U+FFFD in
    its place; numbers that are none (NaN) count as null. Of a ``response.done`` that is no JSON at all, its type and
    its response's id and status are read, since the end of a response must not be missed.
    """
    try:
        data = orjson.loads(frame)
    except orjson.JSONDecodeError:
        data = _repaired(frame.decode("utf-8", "replace") if isinstance(frame, bytes) else frame)
    if not isinstance(data, dict):
        raise ValueError("the frame is no JSON object")
    return data


def _repaired(text: str) -> Any:
    try:
        data = json.loads(text.removeprefix("\ufeff"), parse_int=_integer, parse_constant=lambda _: None)
        return _without_surrogates(data)
    except (ValueError, RecursionError):
        if _DONE.search(text) is None:
            raise ValueError("the frame is not JSON") from None
    found = {name: field.search(text) for name, field in _RESPONSE_FIELDS.items()}
    return {"type": "response.done", "response": {name: match[1] for name, match in found.items() if match}}


def _integer(digits: str) -> int | float:
    """As orjson reads it, and can write it."""
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(part) for name, part in value.items()}
    return value
