"""How an entry ends: acknowledged and deleted, or moved to the dead letters. Each is one atomic step.

They are scripts, not transactions: a Redis that is out of memory refuses to queue any command of a transaction, but
lets a script run that frees memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redis.asyncio import Redis

from turngate.bus.scripts import Script

# KEYS[1] stream; ARGV[1] group, ARGV[2...] ids.
_FINISH = Script("""
local ids = {unpack(ARGV, 2)}
redis.call('XACK', KEYS[1], ARGV[1], unpack(ids))
return redis.call('XDEL', KEYS[1], unpack(ids))
""")
# KEYS[1] stream, KEYS[2] dead letters; ARGV[1] group, ARGV[2] id, ARGV[3] the most letters, ARGV[4...] fields of the
# letter.
_BURY = Script("""
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])
""")


async def finish(redis: Redis, stream: str, group: str, ids: Sequence[bytes]) -> None:
    """Acknowledge and delete these entries. Redis errors pass through, and then nothing is changed."""
    await _FINISH.run(redis, [stream], [group, *ids])


async def bury(
    redis: Redis, stream: str, group: str, entry: bytes, letters: str, letter: Mapping[str, Any], maxlen: int
) -> None:
    """Write a dead letter with these fields, and acknowledge and delete the entry. Redis errors pass through, and then
    nothing is changed."""
    fields = [part for name, value in letter.items() for part in (name, value)]
    await _BURY.run(redis, [stream, letters], [group, entry, maxlen, *fields])
