"""Bounds of the streams in bytes and by age.

Acknowledged entries are deleted, so a stream grows only while nobody handles its entries: all consumers are down, or
too slow. Then the oldest entries are dropped; whoever published them does so again while they matter. Dead letters are
dropped when they are old.
"""

from __future__ import annotations

import asyncio
import random

from prometheus_client import Counter, Gauge
from redis.exceptions import RedisError

from turngate.bus import log_events, trouble
from turngate.bus.bus import Bus
from turngate.process.settings import ConsumerSettings
from turngate.protocol.messages import DEAD_LETTERS

#: Seconds between two looks.
_INTERVAL = 2.0
#: A stream beyond its limit is trimmed to this share of it, so that not every look has to trim.
_TRIM_TO = 0.75
#: Nodes of a stream that Redis measures to estimate its size.
_SAMPLES = 20

_bytes = Gauge(
    "turngate_stream_bytes",
    "Size of each stream and of the dead letters by Redis server, estimated by it. Near zero while consumers work.",
    ["stream", "server"],
)
_trimmed = Counter(
    "turngate_entries_trimmed", "Entries dropped because their stream was larger than its limit.", ["stream"]
)


class StreamLimits:
    """Keeps the streams of one process and the dead letters within their limits. `run` it while the bus works."""

    def __init__(self, bus: Bus, settings: ConsumerSettings) -> None:
        self._bus = bus
        self._redis = bus.redis
        self._settings = settings

    async def run(self) -> None:
        """Look at every stream again and again, until cancelled."""
        while True:
            await asyncio.sleep(random.uniform(0.8, 1) * _INTERVAL)
            try:
                await self.enforce()
            except (RedisError, OSError, TimeoutError) as error:
                trouble.note(error, "enforce limits")

    async def enforce(self) -> None:
        """Look once. Redis errors pass through."""
        for consumer in self._bus.consumers:
            if not consumer.own:
                await self._bound(consumer.stream, self._settings.stream_max_bytes)
        await self._expire_dead_letters()
        await self._bound(DEAD_LETTERS, self._settings.dead_letters_max_bytes)

    async def _bound(self, stream: str, most: int) -> None:
        key = self._bus.key(stream)
        size = await self._redis.memory_usage(key, samples=_SAMPLES) or 0
        _bytes.labels(stream, self._bus.server).set(size)
        if size <= most:
            return
        length = await self._redis.xlen(key)
        kept = min(int(length * _TRIM_TO * most / size), length - 1)
        dropped = int(await self._redis.xtrim(key, maxlen=max(kept, 0), approximate=False))
        _trimmed.labels(stream).inc(dropped)
        log_events.stream_trimmed(stream=stream, size=size, limit=most, dropped=dropped, kept=length - dropped)

    async def _expire_dead_letters(self) -> None:
        seconds, _ = await self._redis.time()
        oldest = int(seconds) * 1000 - self._settings.dead_letter_ttl_ms
        await self._redis.xtrim(self._bus.key(DEAD_LETTERS), minid=str(max(oldest, 0)), approximate=False)
