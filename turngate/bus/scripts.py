"""Runs a short Lua script in Redis, as one atomic step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError


async def run_script(redis: Redis, source: str, keys: Sequence[Any], arguments: Sequence[Any]) -> Any:
    """Its reply. Redis errors pass through. redis-py's `register_script` computes the script's hash in each call."""
    # redis-py has no types for what it returns here.
    client: Any = redis
    call = ("EVALSHA", _sha(source), len(keys), *keys, *arguments)
    try:
        return await client.execute_command(*call)
    except NoScriptError:
        # The server was started anew.
        await client.script_load(source)
        return await client.execute_command(*call)


@cache
def _sha(source: str) -> str:
    return sha1(source.encode(), usedforsecurity=False).hexdigest()
