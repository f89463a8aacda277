"""``GET /streams``: what waits on the streams of all services, who reads them, and what was given up."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from turngate.protocol.messages import CLIENT_EVENTS, DEAD_LETTERS, RELEASES, TURNS

#: Nodes of a stream that Redis measures to estimate its size.
_SAMPLES = 20
#: Dead letters that are shown, the newest first, and the characters of a reason.
_LETTERS_MAX = 20
_REASON_MAX = 400


async def described_streams(redis: Redis, prefix: str) -> list[dict[str, Any]]:
    """Each stream that services share, and the dead letters: its entries, its size, and of its consumer group what is
    not read yet (``lag``), what is read and not finished (``pending``), and its ``readers``, each a process. Redis
    errors pass through.

    What is finished is deleted, so all entries are still to be done.
    """
    return [
        await _described(redis, prefix + stream, stream) for stream in (CLIENT_EVENTS, TURNS, RELEASES, DEAD_LETTERS)
    ]


async def newest_letters(redis: Redis, prefix: str) -> list[dict[str, Any]]:
    """The newest dead letters without their bodies, which contain what people said. Redis errors pass through."""
    found: Any = await redis.xrevrange(prefix + DEAD_LETTERS, count=_LETTERS_MAX)
    return [_letter(entry.decode(), fields) for entry, fields in found]


def _letter(entry: str, fields: dict[bytes, bytes]) -> dict[str, Any]:
    def text(name: bytes) -> str:
        return fields.get(name, b"").decode(errors="replace")

    return {
        "id": entry,
        "at_ms": int(entry.partition("-")[0]),
        "stream": text(b"stream"),
        "group": text(b"group"),
        "deliveries": text(b"deliveries"),
        "reason": text(b"reason")[:_REASON_MAX],
    }


async def _described(redis: Redis, key: str, stream: str) -> dict[str, Any]:
    entries = int(await redis.xlen(key))
    told: dict[str, Any] = {
        "stream": stream,
        "entries": entries,
        "bytes": await redis.memory_usage(key, samples=_SAMPLES) or 0,
    }
    groups: Any = await _asked(redis.xinfo_groups(key))
    pending = sum(int(group["pending"]) for group in groups)
    if groups:
        readers = [reader for group in groups for reader in await _asked(redis.xinfo_consumers(key, group["name"]))]
        told |= {
            "lag": max(0, entries - pending),
            "pending": pending,
            "readers": sorted(map(_reader, readers), key=lambda reader: str(reader["name"])),
        }
    return told


def _reader(found: dict[str, Any]) -> dict[str, Any]:
    return {"name": found["name"].decode(), "pending": int(found["pending"]), "idle_ms": int(found["idle"])}


async def _asked(answer: Any) -> Any:
    """What Redis says of a stream; nothing if there is none."""
    try:
        return await answer
    except ResponseError as error:
        if "no such key" in str(error) or "NOGROUP" in str(error):
            return []
        raise
