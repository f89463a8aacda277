"""The members of a consumer group. Redis keeps the name of everyone who ever read, and nothing removes it by itself.

Removing a consumer drops what it has pending, so only one that has nothing is removed, looked at and removed in one
atomic step. One that was only quiet (before Redis 7.2 a blocked read does not count as a sign of life) loses nothing:
its next read makes it a member again.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis

from turngate.bus.scripts import Script

# KEYS[1] stream; ARGV[1] group, ARGV[2] the least ms of silence, ARGV[3] one consumer's name, or '' for all.
_REMOVE = Script("""
local removed = {}
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
-- A group that is lost has no members.
if consumers.err then return removed end
for _, fields in ipairs(consumers) do
  local consumer = {}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  local meant = ARGV[3] == '' or consumer.name == ARGV[3]
  if meant and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed[#removed + 1] = consumer.name
  end
end
return removed
""")


async def remove_silent(redis: Redis, stream: str, group: str, silent_ms: int) -> list[str]:
    """Remove the consumers that have asked for nothing for so long and have nothing pending; returns their names.

    Redis errors pass through.
    """
    return await _remove(redis, stream, group, silent_ms, "")


async def leave(redis: Redis, stream: str, group: str, consumer: str) -> None:
    """Remove this consumer, which reads no more, unless it leaves something pending: then the reclaimers of the others
    take that over, and remove the name when it has been silent for long. Redis errors pass through."""
    await _remove(redis, stream, group, 0, consumer)


async def _remove(redis: Redis, stream: str, group: str, silent_ms: int, consumer: str) -> list[str]:
    removed: list[Any] = await _REMOVE.run(redis, [stream], [group, silent_ms, consumer])
    return [name.decode() for name in removed]
