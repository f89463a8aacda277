"""``GET /streams``: what waits on the streams of all services."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from turngate.protocol.messages import CLIENT_EVENTS, DEAD_LETTERS, RELEASES, TURNS

#: Nodes of a stream that Redis measures to estimate its size.
_SAMPLES = 20


async def described_streams(redis: Redis, prefix: str) -> list[dict[str, Any]]:
    """Each stream that services share, and the dead letters: its entries, its size, and of its consumer group what is
    not read yet (``lag``) and what is read and not finished (``pending``). Redis errors pass through.

    What is finished is deleted, so all entries are still to be done.
    """
    return [
        await _described(redis, prefix + stream, stream) for stream in (CLIENT_EVENTS, TURNS, RELEASES, DEAD_LETTERS)
    ]


async def _described(redis: Redis, key: str, stream: str) -> dict[str, Any]:
    entries = int(await redis.xlen(key))
    told: dict[str, Any] = {
        "stream": stream,
        "entries": entries,
        "bytes": await redis.memory_usage(key, samples=_SAMPLES) or 0,
    }
    groups: Any = await _groups(redis, key)
    pending = sum(int(group["pending"]) for group in groups)
    if groups:
        told |= {
            "lag": max(0, entries - pending),
            "pending": pending,
            "consumers": sum(int(group["consumers"]) for group in groups),
        }
    return told


async def _groups(redis: Redis, key: str) -> Any:
    try:
        return await redis.xinfo_groups(key)
    except ResponseError as error:
        if "no such key" in str(error):
            return []
        raise
