"""Runs Lua scripts in Redis, each call as one atomic step."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError


class Script:
    """A Lua script, for any server."""

    def __init__(self, source: str) -> None:
        self._source = source
        # redis-py's `register_script` computes it in each call.
        self._sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    async def run(self, redis: Redis, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
        """The reply to one call. Redis errors pass through."""
        (reply,) = await self.run_all(redis, [(len(keys), *keys, *arguments)])
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def run_all(self, redis: Redis, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """The reply to each call (the number of keys, the keys, the arguments), or the error that it ended with; all of
        them in one round trip. Errors of the connection pass through."""
        replies = await self._evaluate(redis, calls)
        # The server has the script unless it was started anew.
        missing = [position for position, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missing:
            await redis.script_load(self._source)
            again = await self._evaluate(redis, [calls[position] for position in missing])
            for position, reply in zip(missing, again, strict=True):
                replies[position] = reply
        return replies

    async def _evaluate(self, redis: Redis, calls: Sequence[Sequence[Any]]) -> list[Any]:
        async with redis.pipeline(transaction=False) as pipeline:
            for call in calls:
                # As a command: `Pipeline.evalsha` would ask each time whether the server has the script.
                pipeline.execute_command("EVALSHA", self._sha, *call)
            return list(await pipeline.execute(raise_on_error=False))
