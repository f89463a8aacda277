"""Entries of the streams: how one is written, and how a batch of them is read.

An entry has one field, the message as JSON: any program can write or read it, and ``XRANGE`` shows it. Entries are read
as many at a time as there are, because what a read costs is mostly the same for one and for fifty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from faststream.message import encode_message
from faststream.redis import RedisBatchStreamMessage
from faststream.redis.parser import MessageFormat
from pydantic import BaseModel

#: FastStream's name for the field.
FIELD = "__data__"
_KEY = FIELD.encode()

Message = TypeVar("Message", bound=BaseModel)
Result = TypeVar("Result")


class JsonFormat(MessageFormat):
    """What an entry holds, for FastStream: the message as JSON, and nothing else."""

    @classmethod
    async def encode(cls, *, message: Any, serializer: Any = None, **_: Any) -> bytes:
        return encode_message(message, serializer)[0]

    @classmethod
    def parse(cls, data: bytes) -> tuple[bytes, dict[str, Any]]:
        return data, {"content-type": "application/json"}


def entry(message: BaseModel) -> dict[Any, Any]:
    """The fields of the entry that says this; hand them to ``xadd``."""
    return {FIELD: message.model_dump_json()}


def body_of(fields: Mapping[bytes, bytes]) -> bytes:
    """What an entry says, as it was written; all of its fields, where it is none of ours."""
    if _KEY in fields:
        return fields[_KEY]
    shown = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    return orjson.dumps(shown)


async def bodies(batch: RedisBatchStreamMessage) -> list[bytes]:
    """The decoder of every subscriber here: each entry's body."""
    return [body_of(fields) for fields in batch.raw_message["data"]]


class Failures:
    """What went wrong with some of a batch while the rest was handled.

    `raise_first` when all is done: then the whole batch stays pending and is delivered again, one by one, so that what
    cannot be handled is found out; for what could be, a second delivery has no effect.
    """

    def __init__(self) -> None:
        self._first: Exception | None = None

    def parsed(self, kind: type[Message], raw: Sequence[bytes]) -> list[Message]:
        """The messages among these bodies, in order."""
        return self.attempted(kind.model_validate_json, raw)

    def attempted(self, what: Callable[[Any], Result], items: Iterable[Any]) -> list[Result]:
        """``what`` of each item, those left out for which it raises."""
        results = []
        for item in items:
            try:
                results.append(what(item))
            except Exception as error:
                self._first = self._first or error
        return results

    def raise_first(self) -> None:
        if self._first is not None:
            raise self._first
