"""The bus of one process: the streams that it reads, and publishing to any stream.

    bus = Bus.connect(settings)
    bus.consume(TURNS, SESSION_STATES, TurnRecord, handler, records=256)
    await bus.start()
    supervisor.start("consumer watch", bus.watch)
    await bus.publish([(RELEASES, release)])

A stream that only one process reads (``own``) lives as long as that process: the process creates it with a time to live
that it renews, and those who publish to it never create one. So nothing is left behind, however the reader ends.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from prometheus_client import Counter
from pydantic import BaseModel
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from turngate.bus import log_events, trouble
from turngate.bus.acknowledging import Acknowledger
from turngate.bus.connection import connect
from turngate.bus.consumer import Consumer, Handler, Message
from turngate.bus.consumer_groups import leave
from turngate.bus.entries import fields_of, label_of
from turngate.bus.readers import FastStreamReaders, Reader, Readers
from turngate.bus.spans import Traced
from turngate.process.log_context import on_server
from turngate.process.redis_servers import ONLY
from turngate.process.settings import BrokerSettings
from turngate.tracing.spans import Tracer

#: Seconds between two looks at the consumers.
_WATCH_INTERVAL = 0.5
#: Looks between two renewals.
_LOOKS_PER_RENEWAL = 4
#: Milliseconds that a stream of one process's own outlives its last renewal.
_OWN_STREAM_MS = 60_000
#: The key that says that a group has a member which lives, and how many milliseconds it outlives its last renewal. What
#: Redis knows of a group's members does not tell: before 7.2 a blocked read is no sign of life.
_READS = "turngate:reads:"
_READS_MS = 6_000
#: Seconds that a process which stops gives the server to take its names out of the groups.
_LEAVE_SECONDS = 3
#: Seconds that the server may take to answer the question whether it can be written to.
_READY_SECONDS = 1
#: How often a publication is tried while Redis refuses it or cannot be reached.
_TRIES = 5

_published = Counter(
    "turngate_published", "Messages put on streams, without those that session-state's script writes.", ["stream"]
)


@lru_cache
def _published_on(stream: str) -> Counter:
    return _published.labels(label_of(stream))


def consumer_name() -> str:
    """A name for this process within a consumer group."""
    return f"{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True, slots=True)
class _Reading:
    consumer: Consumer[Any]
    reader: Reader


@dataclass(frozen=True, slots=True)
class _Publication:
    """A message on its way to a stream, and its position among those published together."""

    position: int
    stream: str
    fields: dict[Any, Any]


class Bus:
    """The streams of one process, from `start` to `stop`. `watch` must run meanwhile."""

    def __init__(
        self,
        settings: BrokerSettings,
        redis: Redis,
        readers: Readers,
        *,
        name: str | None = None,
        watch_interval: float = _WATCH_INTERVAL,
        tracer: Tracer | None = None,
        server: str = ONLY,
        several: bool = False,
    ) -> None:
        """``redis`` is the client for commands; ``name``, that of this process within a group, if not
        `consumer_name`; ``tracer`` makes the process's spans, if there are any. ``server`` is the name of the Redis
        server; ``several``: it is one of several."""
        self.settings = settings
        self.tracer = tracer
        self.name = name or consumer_name()
        self.redis = redis
        self.server = server
        self._several = several
        #: Set when every stream is read for the first time.
        self.started = asyncio.Event()
        self._readers = readers
        self._watch_interval = watch_interval
        self._acknowledger = Acknowledger(redis)
        self._readings: list[_Reading] = []
        #: The groups without a member, when `ready` last looked.
        self.missing: tuple[str, ...] = ()

    @classmethod
    def connect(cls, settings: BrokerSettings, tracer: Tracer | None = None) -> Bus:
        """A bus on the server of ``redis_url``. No connection is made yet."""
        return cls(settings, connect(settings), FastStreamReaders(settings), tracer=tracer)

    @classmethod
    def connect_all(cls, settings: BrokerSettings, tracer: Tracer | None = None) -> tuple[Bus, ...]:
        """A bus on each server of the settings. No connection is made yet."""
        servers = settings.servers
        own = {name: settings.model_copy(update={"redis_url": url}) for name, url in servers.items()}
        return tuple(
            cls(one, connect(one), FastStreamReaders(one), tracer=tracer, server=name, several=len(servers) > 1)
            for name, one in own.items()
        )

    def logging(self) -> AbstractContextManager[None]:
        """What is logged meanwhile says which server it is about, if there are several."""
        return on_server(self.server if self._several else None)

    @property
    def consumers(self) -> tuple[Consumer[Any], ...]:
        """What `consume` returned."""
        return tuple(reading.consumer for reading in self._readings)

    def consume(
        self,
        stream: str,
        group: str,
        model: Any,
        handler: Handler[Message],
        *,
        records: int,
        own: bool = False,
        on_given_up: Callable[[bytes], Awaitable[None]] | None = None,
        span: str = "",
    ) -> Consumer[Message]:
        """Have ``handler`` called with the messages of new entries, as a member of the group. Call before `start`.

        ``model`` is what an entry's JSON is validated against; ``records``, how many entries are read at a time.
        ``own``: no other process reads this stream; it is deleted when this one stops. Otherwise a `Reclaimer` must
        run, which delivers failed entries again. ``on_given_up`` is called with the body of one that is given up,
        before it becomes a dead letter; if it raises, both are tried again. ``span``: the name of the spans in which
        messages are handled that have ``traceparents``.
        """
        key = self.key(stream)
        traced = Traced(self.tracer, span, stream, group) if span and self.tracer is not None else None
        consumer = Consumer(
            self._acknowledger, key, stream, group, model, handler, own=own, on_given_up=on_given_up, traced=traced
        )
        reader = self._readers.add(key, group, self.name, consumer.deliver, records=records, own=own)
        self._readings.append(_Reading(consumer, reader))
        return consumer

    async def publish(
        self,
        messages: Sequence[tuple[str, BaseModel]],
        *,
        create: bool = True,
        tries: int = _TRIES,
    ) -> list[Exception | None]:
        """Put each message on its stream, all in one round trip, and return for each the error that concerns only it.

        ``create=False`` for streams that one process reads: what is for a process that has gone is lost. While Redis
        refuses or cannot be reached, this tries again after pauses, and raises the error after the last try; then some
        messages may have been published. Streams are bounded by `stream_max_length`.
        """
        backoff = trouble.Backoff()
        results: list[Exception | None] = [None] * len(messages)
        left: list[_Publication] = []
        for position, (stream, message) in enumerate(messages):
            try:
                left.append(_Publication(position, stream, fields_of(message)))
            except Exception as error:
                # A message that has no JSON form, such as one with half of a surrogate pair.
                results[position] = error
        while left:
            tries -= 1
            try:
                left, refused = await self._add(left, create, results)
            except Exception as error:
                if not trouble.concerns_server(error):
                    raise
                refused = error
            if refused is not None:
                trouble.note(refused, "publish")
                if tries <= 0:
                    raise refused
                await backoff.pause()
        return results

    async def _add(
        self, publications: Sequence[_Publication], create: bool, results: list[Exception | None]
    ) -> tuple[list[_Publication], Exception | None]:
        """Publish these once. Returns those that the server refused, and why."""
        maxlen = self.settings.stream_max_length
        async with self.redis.pipeline(transaction=False) as pipeline:
            for one in publications:
                pipeline.xadd(self.key(one.stream), one.fields, maxlen=maxlen, nomkstream=not create)
            replies: list[Any] = await pipeline.execute(raise_on_error=False)
        left: list[_Publication] = []
        refused: Exception | None = None
        for one, reply in zip(publications, replies, strict=True):
            if not isinstance(reply, Exception):
                _published_on(one.stream).inc()
            elif trouble.concerns_server(reply):
                left.append(one)
                refused = reply
            else:
                results[one.position] = reply
        return left, refused

    def key(self, name: str) -> str:
        """The name in Redis of a stream or key of this installation."""
        return self.settings.redis_prefix + name

    async def start(self) -> None:
        """Create the groups and start consuming. While Redis refuses or cannot be reached, this tries again after
        pauses."""
        backoff = trouble.Backoff()
        while True:
            try:
                await self._create_groups()
                await self._readers.start()
            except Exception as error:
                if not trouble.concerns_server(error):
                    raise
                trouble.note(error, "start consuming")
                await self._readers.stop()
                await backoff.pause()
            else:
                self.started.set()
                return

    async def stop(self) -> None:
        """Stop consuming, when `watch` has ended. Handlers that run are waited for, within a time. If the server
        answers soon, nothing is left behind: no stream of one's own, no name in a group."""
        await self._readers.stop()
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._acknowledger.stop()
                for reading in self._readings:
                    await self._leave(reading.consumer)
        except (RedisError, OSError, TimeoutError) as error:
            log_events.leaving_failed(streams=[consumer.stream for consumer in self.consumers], error=str(error))

    async def close(self) -> None:
        """Close the client for commands. Call it last."""
        await self.redis.aclose()

    def alive(self) -> bool:
        """True while every stream is read. A server that answers a ping is not enough, since a consumer can have ended
        nevertheless."""
        return all(reading.reader.alive() for reading in self._readings)

    async def ready(self, *groups: str) -> bool:
        """True if every stream is read, the server can be written to (one that is out of memory answers pings), and
        each of these groups has a member that lives; `missing` names those that have none."""
        try:
            async with asyncio.timeout(_READY_SECONDS), self.redis.pipeline(transaction=False) as pipeline:
                pipeline.set(self.key("turngate:ready"), 1, px=_OWN_STREAM_MS)
                for group in groups:
                    pipeline.exists(self.key(_READS + group))
                _, *members = await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            trouble.note(error, "check readiness")
            return False
        missing = tuple(group for group, living in zip(groups, members, strict=True) if not living)
        if missing != self.missing:
            if missing:
                log_events.services_missing(missing=missing)
            else:
                log_events.services_complete()
        self.missing = missing
        return not missing and self.alive()

    async def watch(self) -> None:
        """Start readers again whose group was lost, and renew what says that this process lives, until cancelled."""
        looks = 0
        while True:
            await asyncio.sleep(self._watch_interval)
            looks += 1
            try:
                if not self.alive():
                    await self._revive()
                elif looks % _LOOKS_PER_RENEWAL == 0:
                    await self._renew()
            except (RedisError, OSError, TimeoutError) as error:
                trouble.note(error, "watch consumers")

    async def _leave(self, consumer: Consumer[Any]) -> None:
        if consumer.own:
            await self.redis.unlink(consumer.key)
        else:
            await leave(self.redis, consumer.key, consumer.group, self.name)

    async def _create_groups(self) -> None:
        for consumer in self.consumers:
            try:
                await self.redis.xgroup_create(consumer.key, consumer.group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        await self._renew()

    async def _renew(self) -> None:
        for consumer in self.consumers:
            if consumer.own:
                await self.redis.pexpire(consumer.key, _OWN_STREAM_MS)
            else:
                await self.redis.set(self.key(_READS + consumer.group), 1, px=_READS_MS)

    async def _revive(self) -> None:
        # Reads the whole of the new stream: nothing that was published since the loss is skipped.
        await self._create_groups()
        for reading in self._readings:
            if not reading.reader.alive():
                await reading.reader.restart()
        log_events.consumers_revived(streams=[consumer.stream for consumer in self.consumers])
