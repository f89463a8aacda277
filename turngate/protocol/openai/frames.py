"""From a text frame of the upstream to the JSON object in it."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_DONE = re.compile(r'"type"\s*:\s*"response\.done"')
_RESPONSE_ID = re.compile(r'"response"\s*:\s*\{[^{}\[\]]*?"id"\s*:\s*"([^"\\]{1,512})"')
_SURROGATES = re.compile("[\ud800-\udfff]")


def read_frame(frame: bytes | str) -> dict[str, Any]:
    """The event in a frame. Raises ValueError for what is no JSON object.

    A text with half of a surrogate pair, which some servers send where they cut a transcript, is read with U+FFFD in
    its place. Of a ``response.done`` that is no JSON at all, its type and its response's id are read, since the end of
    a response must not be missed.
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
        return _without_surrogates(json.loads(text))
    except (ValueError, RecursionError):
        if _DONE.search(text) is None:
            raise ValueError("the frame is not JSON") from None
    found = _RESPONSE_ID.search(text)
    return {"type": "response.done", "response": {"id": found[1]} if found is not None else {}}


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(part) for name, part in value.items()}
    return value
