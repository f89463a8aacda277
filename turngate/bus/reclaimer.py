"""Entries that were delivered and never finished: taken over, and after a bounded number of deliveries given up.

A consumer that dies and one whose handler raises look the same to Redis: the entry stays in the group's pending list,
and nothing there is ever delivered again by itself. So every process of a group looks at that list, and hands what has
been idle for too long to its own subscriber: the same decoding, validation, middleware and handler as the first time.

1. Claiming is the arbiter: of two processes that see the same idle entry, one gets it.
2. The delivery that is the last one allowed and fails, for whatever reason (a body that does not decode or validate, a
   handler that raises), buries the entry with that reason. One that outlived even its last delivery (it killed every
   process that took it up) is buried unread.
3. Burying is one transaction: written to the dead-letter stream and acknowledged, or neither.

Of a consumer that has nothing left, only its name stays in the group; that is removed in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from turngate.bus.broker import consumer_name
from turngate.bus.consumer_groups import remove_silent
from turngate.bus.streams import body_of
from turngate.process.settings import ConsumerSettings
from turngate.protocol.messages import DEAD_LETTERS, DeadLetter

log = structlog.get_logger(__name__)

#: Entries looked at in one round, per stream.
_BATCH = 64
#: A consumer that asks for nothing for so many times the wait for its entries has gone.
_GONE_AFTER = 10
#: Characters of a reason that are kept.
_REASON_MAX = 500
_UNFINISHED = "every consumer that it was delivered to ended before it was finished"

_reclaimed = Counter("turngate_reclaimed", "Entries delivered again after a consumer left them unfinished.", ["stream"])
_buried = Counter("turngate_dead_letters", "Entries given up after too many deliveries.", ["stream"])


@dataclass(frozen=True, slots=True)
class Intake:
    """One stream as this process reads it."""

    stream: str
    group: str
    #: FastStream's, with the handler on it.
    subscriber: Any
    #: Called with the body of each entry that is given up, before it is buried; when it raises, both are tried again.
    on_given_up: Callable[[bytes], Awaitable[None]] | None = None


class Reclaimer:
    """Watches over the pending entries of one process's intakes. `run` it beside the consumers."""

    def __init__(self, redis: Redis, intakes: Sequence[Intake], settings: ConsumerSettings) -> None:
        self._redis = redis
        self._intakes = tuple(intakes)
        self._settings = settings

    async def run(self) -> None:
        """Look at every intake, again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.reclaim_after_ms / 2000)
            for intake in self._intakes:
                try:
                    await self.reclaim(intake)
                    await self.remove_gone(intake)
                except (RedisError, OSError) as error:
                    # The server is away, or has lost the group; `Consumers` sees to both.
                    log.warning("reclaim_failed", stream=intake.stream, error=str(error))

    async def reclaim(self, intake: Intake) -> None:
        """Take over once what has been idle for too long. Redis errors pass through."""
        idle = self._settings.reclaim_after_ms
        left: Any = await self._redis.xpending_range(
            intake.stream, intake.group, min="-", max="+", count=_BATCH, idle=idle
        )
        for entry in left:
            claimed: Any = await self._redis.xclaim(
                intake.stream, intake.group, consumer_name(), idle, [entry["message_id"]]
            )
            # Empty when another process was faster, or the stream was trimmed beyond the entry.
            for entry_id, fields in claimed:
                await self._deliver(intake, entry_id, fields, entry["times_delivered"] + 1)

    async def remove_gone(self, intake: Intake) -> None:
        """Take the names of consumers that have gone out of the group; what they left must be taken over first. Redis
        errors pass through."""
        silent_ms = _GONE_AFTER * self._settings.reclaim_after_ms
        if removed := await remove_silent(self._redis, intake.stream, intake.group, silent_ms):
            log.info("consumers_removed", stream=intake.stream, consumers=removed)

    async def _deliver(self, intake: Intake, entry_id: bytes, fields: Mapping[bytes, bytes], deliveries: int) -> None:
        most = self._settings.deliveries_max
        if deliveries > most:
            await self._bury(intake, entry_id, fields, deliveries - 1, _UNFINISHED)
            return
        _reclaimed.labels(intake.stream).inc()
        try:
            await intake.subscriber.process_message(
                {"type": "bstream", "channel": intake.stream, "message_ids": [entry_id], "data": [fields]}
            )
        except Exception as error:
            log.warning(
                "entry_failed",
                stream=intake.stream,
                entry=entry_id.decode(),
                deliveries=deliveries,
                error=type(error).__name__,
            )
            if deliveries >= most:
                await self._bury(intake, entry_id, fields, deliveries, f"{type(error).__name__}: {error}")

    async def _bury(
        self, intake: Intake, entry_id: bytes, fields: Mapping[bytes, bytes], deliveries: int, reason: str
    ) -> None:
        body = body_of(fields)
        if intake.on_given_up is not None:
            await intake.on_given_up(body)
        letter = DeadLetter(
            stream=intake.stream,
            group=intake.group,
            entry=entry_id.decode(),
            deliveries=deliveries,
            reason=reason[:_REASON_MAX],
            body=body.decode(errors="replace"),
        )
        written: dict[Any, Any] = letter.model_dump()
        async with self._redis.pipeline(transaction=True) as transaction:
            transaction.xadd(DEAD_LETTERS, written, maxlen=self._settings.stream_max_length)
            transaction.xack(intake.stream, intake.group, entry_id)
            await transaction.execute()
        _buried.labels(intake.stream).inc()
        log.error("entry_given_up", stream=intake.stream, entry=letter.entry, deliveries=deliveries)
