"""Counts resources of the processes, from the kernel and from their metrics, and in Redis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import redis.asyncio

from benchmarks.environment import processes_of
from benchmarks.metrics import metric
from benchmarks.processes import open_files, resident_bytes
from turngate.local.stack import Stack


class ResourceCounts:
    """The resources of one stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._redis = redis.asyncio.Redis.from_url(stack.redis_url, decode_responses=True)

    async def close(self) -> None:
        await self._redis.aclose()

    def memory(self) -> dict[str, int]:
        """The resident memory of every process in bytes. Raises OSError if one has ended."""
        return {name: resident_bytes(pid) for name, pid in processes_of(self._stack).items()}

    async def counts(self) -> dict[str, float]:
        """The counts that must return to their initial values."""
        found: dict[str, float] = {}
        for name, pid in processes_of(self._stack).items():
            found[f"{name}: file descriptors"] = open_files(pid)
        for name, child in self._stack.processes.items():
            found[f"{name}: restarts"] = child.restarts
            if name != "broker":
                found[f"{name}: tasks"] = await metric(f"http://{child.program.internal_address}", "turngate_tasks")
        found["Redis: keys"] = await self._redis.dbsize()
        for stream in await self._streams():
            for group in await self._groups(stream):
                what = f"Redis: {_named(stream)}, {group['name']}"
                found[f"{what}: consumers"] = group["consumers"]
                found[f"{what}: pending"] = group["pending"]
        return found

    async def lengths(self) -> dict[str, float]:
        """The length of every stream."""
        return {f"Redis: {_named(stream)}: entries": await self._redis.xlen(stream) for stream in await self._streams()}

    async def _streams(self) -> list[str]:
        return sorted([key async for key in self._redis.scan_iter(_type="STREAM")])

    async def _groups(self, stream: str) -> Iterable[dict[str, Any]]:
        return cast("Iterable[dict[str, Any]]", await self._redis.xinfo_groups(stream))


def _named(stream: str) -> str:
    """The name of a stream without the gateway's id."""
    return "turngate.gateway.….commands" if stream.startswith("turngate.gateway.") else stream
