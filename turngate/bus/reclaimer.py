"""Entries that were delivered and never finished: taken over, and given up after a bounded number of deliveries.

A consumer that dies and one whose handler fails look the same to Redis: the entry stays in the group's pending list,
and nothing there is delivered again by itself. So every process of a group looks at that list, and gives what has been
idle for too long to its own consumer.

1. Claiming is the arbiter: of two processes that see the same idle entry, one gets it.
2. If the last allowed delivery fails, for whatever reason (a body that cannot be parsed, a handler that fails), the
   entry is given up with that reason. One that was not even finished in its last delivery (it ended every process that
   took it) is given up without another one.
3. Giving up is one step: written to the dead-letter stream and acknowledged, or neither. Only if Redis refuses
   the write is the entry removed without a dead letter.

Of a consumer that has nothing left, only its name stays in the group; that is removed in the end.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import orjson
from prometheus_client import Counter
from redis.exceptions import RedisError, ResponseError

from turngate.bus import log_events, trouble
from turngate.bus.bus import Bus
from turngate.bus.consumer import Consumer
from turngate.bus.consumer_groups import remove_silent
from turngate.bus.entries import Entry, body_of
from turngate.bus.finishing import bury, finish
from turngate.process.log_context import about
from turngate.process.settings import ConsumerSettings
from turngate.protocol.messages import DEAD_LETTERS, DeadLetter

#: Entries looked at in one round, per stream.
_BATCH = 64
#: A consumer that asks for nothing for so many times the wait for its entries has gone.
_GONE_AFTER = 10
#: Bytes of a body that a dead letter keeps.
_BODY_MAX = 16_384
_UNFINISHED = "every consumer that it was delivered to ended before it was finished"

_reclaimed = Counter("turngate_reclaimed", "Entries reclaimed from a consumer that died or failed.", ["stream"])
_given_up = Counter(
    "turngate_dead_letters",
    "Entries that could not be handled. They are in turngate.dead-letters with the reason. Should be zero.",
    ["stream"],
)


class Reclaimer:
    """Watches the pending entries of one process's streams. `run` it while the bus works."""

    def __init__(self, bus: Bus, settings: ConsumerSettings) -> None:
        self._bus = bus
        self._redis = bus.redis
        self._settings = settings

    async def run(self) -> None:
        """Look at every stream again and again, until cancelled."""
        pause = self._settings.reclaim_after_ms / 2000
        self._show_zeros()
        while True:
            # With jitter, so that the processes of a group do not all look at the same moment.
            await asyncio.sleep(random.uniform(0.8, 1) * pause)
            for consumer in self._bus.consumers:
                if consumer.own:
                    continue
                try:
                    await self.reclaim(consumer)
                    await self.remove_gone(consumer)
                except (RedisError, OSError, TimeoutError) as error:
                    # The server is away or has lost the group; `Bus.watch` sees to both.
                    trouble.note(error, f"reclaim {consumer.stream}")

    def _show_zeros(self) -> None:
        """Expose the counters before their first increment: Prometheus sees no increase in a series that begins at
        1, and an alert on the first dead letter would stay silent."""
        for consumer in self._bus.consumers:
            if not consumer.own:
                _reclaimed.labels(consumer.stream)
                _given_up.labels(consumer.stream)

    async def reclaim(self, consumer: Consumer[Any]) -> None:
        """Take over once what has been idle for too long. Redis errors pass through."""
        idle = self._settings.reclaim_after_ms
        pending: Any = await self._redis.xpending_range(
            consumer.key, consumer.group, min="-", max="+", count=_BATCH, idle=idle
        )
        for entry in pending:
            claimed: Any = await self._redis.xclaim(
                consumer.key, consumer.group, self._bus.name, idle, [entry["message_id"]]
            )
            # Empty if another process was faster, or the stream was trimmed beyond the entry.
            for entry_id, fields in claimed:
                await self._deliver(consumer, Entry(entry_id, body_of(fields)), entry["times_delivered"] + 1)

    async def remove_gone(self, consumer: Consumer[Any]) -> None:
        """Remove the names of consumers that have gone from the group; what they left must be taken over first. Redis
        errors pass through."""
        silent_ms = _GONE_AFTER * self._settings.reclaim_after_ms
        if removed := await remove_silent(self._redis, consumer.key, consumer.group, silent_ms):
            log_events.consumers_removed(stream=consumer.stream, consumers=removed)

    async def _deliver(self, consumer: Consumer[Any], entry: Entry, deliveries: int) -> None:
        most = self._settings.deliveries_max
        if deliveries > most:
            with about(_session_in(entry.body)):
                await self._give_up(consumer, entry, deliveries - 1, _UNFINISHED)
            return
        _reclaimed.labels(consumer.stream).inc()
        failed = await consumer.deliver([entry])
        if entry.id in failed and deliveries >= most:
            with about(_session_in(entry.body)):
                await self._give_up(consumer, entry, deliveries, failed[entry.id])

    async def _give_up(self, consumer: Consumer[Any], entry: Entry, deliveries: int, reason: str) -> None:
        if consumer.on_given_up is not None:
            try:
                await consumer.on_given_up(entry.body)
            except Exception as error:
                if trouble.concerns_server(error):
                    trouble.note(error, f"give up an entry of {consumer.stream}")
                else:
                    log_events.giving_up_failed(stream=consumer.stream, entry=entry.id.decode(), exc_info=error)
                # It stays pending, in nobody's way.
                return
        letter = DeadLetter(
            stream=consumer.stream,
            group=consumer.group,
            entry=entry.id.decode(),
            deliveries=deliveries,
            reason=reason,
            body=entry.body[:_BODY_MAX].decode(errors="replace"),
        )
        written = True
        try:
            await bury(
                self._redis,
                consumer.key,
                consumer.group,
                entry.id,
                self._bus.key(DEAD_LETTERS),
                letter.model_dump(),
                self._settings.stream_max_length,
            )
        except ResponseError as error:
            if not trouble.concerns_server(error):
                raise
            trouble.note(error, "write a dead letter")
            await finish(self._redis, consumer.key, consumer.group, [entry.id])
            written = False
        _given_up.labels(consumer.stream).inc()
        log_events.entry_given_up(
            stream=consumer.stream,
            entry=letter.entry,
            deliveries=deliveries,
            reason=reason,
            dead_letter=written,
        )


def _session_in(body: bytes) -> str | None:
    """The session that a message is about, which may be unreadable otherwise."""
    try:
        session = orjson.loads(body)["session"]
    except (ValueError, LookupError, TypeError):
        return None
    return session if isinstance(session, str) else None
