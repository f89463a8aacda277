"""What sessions have to say to the other services, put on the streams without any session waiting for it.

A broker that is slow or down costs a live conversation nothing here: records of one session fold into the newest, and
an event that could not be published is published again by its ledger.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from faststream.redis import RedisBroker
from redis.exceptions import RedisError

from contracts.broker import CLIENT_EVENTS, TURNS, ClientEvent, TurnRecord

log = structlog.get_logger(__name__)


class Source(Protocol):
    """What the publisher asks of a conversation, at the moment of publishing."""

    session: str

    def client_event(self, seq: int) -> ClientEvent | None: ...

    def record(self) -> TurnRecord: ...


class Publisher:
    """A queue without duplicates: one place per session's turn, and one per open request."""

    def __init__(self, broker: RedisBroker, max_length: int, workers: int) -> None:
        self._broker = broker
        self._max_length = max_length
        self._workers = workers
        self._waiting: dict[tuple[str, int], Source] = {}
        self._some = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def turn(self, source: Source) -> None:
        """Publish the session's turn record, as it is when its place in the queue comes."""
        self._add(source, 0)

    def client_event(self, source: Source, seq: int) -> None:
        """Publish this request, unless it is settled when its place in the queue comes."""
        self._add(source, seq)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._workers)]

    async def stop(self, timeout: float) -> None:
        """Publish what waits (the last records of closing sessions), but not for longer than ``timeout`` seconds."""
        self._stopping = True
        self._some.set()
        _, unfinished = await asyncio.wait(self._tasks, timeout=timeout)
        if unfinished:
            log.warning("unpublished", messages=len(self._waiting))
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    def _add(self, source: Source, seq: int) -> None:
        self._waiting.setdefault((source.session, seq), source)
        self._some.set()

    async def _work(self) -> None:
        while True:
            await self._some.wait()
            if not self._waiting:
                if self._stopping:
                    return
                self._some.clear()
                continue
            key = next(iter(self._waiting))
            source = self._waiting.pop(key)
            try:
                await self._publish(source, key[1])
            except (RedisError, OSError) as error:
                log.warning("not_published", session=key[0], seq=key[1], error=str(error))
                if key[1] == 0:
                    self._add(source, 0)

    async def _publish(self, source: Source, seq: int) -> None:
        if seq == 0:
            await self._broker.publish(source.record(), stream=TURNS, maxlen=self._max_length)
        elif (event := source.client_event(seq)) is not None:
            await self._broker.publish(event, stream=CLIENT_EVENTS, maxlen=self._max_length)
