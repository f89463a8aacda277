"""Runs a script of this package in Redis, each call as one atomic step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError


@cache
def source_of(name: str) -> str:
    """The text of the script in this file, beside this one."""
    return (Path(__file__).parent / name).read_text()


class Script:
    """A Lua script of this package, by the name of its file."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._source = source_of(name)
        self._sha = sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    async def run(self, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """The reply to each call (the number of keys, the keys, the arguments), or the error that it ended with; all of
        them in one round trip. Errors of the connection pass through."""
        replies = await self._evaluate(calls)
        # The server has the script unless it was started anew.
        missing = [position for position, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missing:
            await self._redis.script_load(self._source)
            again = await self._evaluate([calls[position] for position in missing])
            for position, reply in zip(missing, again, strict=True):
                replies[position] = reply
        return replies

    async def _evaluate(self, calls: Sequence[Sequence[Any]]) -> list[Any]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            for call in calls:
                # As a command: `Pipeline.evalsha` would ask each time whether the server has the script.
                pipeline.execute_command("EVALSHA", self._sha, *call)
            return list(await pipeline.execute(raise_on_error=False))
