"""Entries of the streams: how one is written, and what is read from it.

An entry has one field, the message as JSON: any program can write or read it, and ``XRANGE`` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel

#: FastStream's name for the field.
FIELD = "__data__"
_KEY = FIELD.encode()


class Entry(NamedTuple):
    """An entry as it was read."""

    id: bytes
    body: bytes


def fields_of(message: BaseModel) -> dict[Any, Any]:
    """The fields of the entry for this message; pass them to ``xadd``."""
    return {FIELD: message.model_dump_json()}


def body_of(fields: Mapping[bytes, bytes]) -> bytes:
    """An entry's message as it was written; all of its fields as JSON if it has another form."""
    if _KEY in fields:
        return fields[_KEY]
    shown = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    return orjson.dumps(shown)


@lru_cache
def label_of(stream: str) -> str:
    """A stream's name for metrics: the streams of all gateways have one."""
    first, *middle, last = stream.split(".")
    return f"{first}.{middle[0]}.{last}" if middle else stream
