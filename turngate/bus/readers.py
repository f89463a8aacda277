"""Reads streams with FastStream. The only module that uses FastStream, and the parts of it that are not public.

What FastStream does not do by itself is done by others: `Bus` creates groups at ``0`` before reading starts (FastStream
would skip a backlog) and starts readers again whose group was lost; `Consumer` acknowledges; `Reclaimer` takes over
what a consumer left unfinished.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from turngate.bus import log_events
from turngate.bus.connection import BLOCK_MS, reading_options
from turngate.bus.entries import Entry, body_of
from turngate.process.absent import absent
from turngate.process.settings import BrokerSettings
from turngate.process.tasks import end

with absent("opentelemetry"):
    from faststream import AckPolicy
    from faststream.redis import RedisBroker, StreamSub
    from faststream.redis.subscriber.usecases.stream_subscriber import StreamBatchSubscriber

if TYPE_CHECKING:
    from faststream._internal.basic_types import LoggerProto

OnEntries = Callable[[list[Entry]], Awaitable[Any]]


class Reader(Protocol):
    """Reads one stream."""

    def alive(self) -> bool:
        """True while it reads. It stops by itself when its group is lost."""

    async def restart(self) -> None:
        """Read on, when the group exists again."""


class Readers(Protocol):
    """The readers of one process."""

    def add(self, key: str, group: str, consumer: str, on_entries: OnEntries, *, records: int, own: bool) -> Reader:
        """A reader of new entries, at most ``records`` at a time; call before `start`. ``own``: nobody else reads the
        stream, so nothing stays pending."""

    async def start(self) -> None:
        """Start reading; the groups must exist."""

    async def stop(self) -> None:
        """Stop reading. Calls of ``on_entries`` that run are waited for, within a time."""


class _Subscriber(StreamBatchSubscriber):
    """Hands over what was read as it is. FastStream's middlewares, parsers and dependencies have nothing to do here,
    and took half of a translator's CPU time."""

    on_entries: OnEntries

    @property
    def stream_sub(self) -> StreamSub[Any]:
        # FastStream makes a deep copy for every read, to put a prefix before the name.
        return self._stream_sub

    async def _get_msgs(self, read: Callable[[str], Awaitable[Any]]) -> None:
        for _, found in await read(self.last_id):
            if found and self.running:
                # `stop` waits until it is released.
                with self.lock:
                    await self._hand_over([Entry(entry, body_of(fields)) for entry, fields in found])

    async def _hand_over(self, entries: list[Entry]) -> None:
        try:
            await self.on_entries(entries)
        except Exception as error:
            # FastStream would take it for one of the read, and pause.
            log_events.delivery_failed(stream=self._stream_sub.name, entries=len(entries), exc_info=error)


class _FastStreamReader:
    def __init__(self, subscriber: Any) -> None:
        self._subscriber = subscriber

    def alive(self) -> bool:
        subscriber = self._subscriber
        return bool(subscriber.running) and any(not task.done() for task in subscriber.tasks)

    async def restart(self) -> None:
        await self._subscriber.stop()
        await self._subscriber.start()


class FastStreamReaders:
    """Readers that share one FastStream broker, whose client is used for blocking reads only."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._broker = RedisBroker(
            ack_policy=AckPolicy.MANUAL,
            graceful_timeout=5,
            logger=cast("LoggerProto", None),  # two lines per message otherwise
            **reading_options(settings),
        )

    def add(self, key: str, group: str, consumer: str, on_entries: OnEntries, *, records: int, own: bool) -> Reader:
        source = StreamSub(
            key,
            group=group,
            consumer=consumer,
            batch=True,
            max_records=records,
            polling_interval=BLOCK_MS,
            no_ack=own,
        )
        subscriber: Any = self._broker.subscriber(stream=source)
        # There is no other way to choose the class. One without a handler would not read.
        subscriber.__class__ = _Subscriber
        subscriber.on_entries = on_entries
        subscriber(on_entries)
        return _FastStreamReader(subscriber)

    async def start(self) -> None:
        await self._broker.start()

    async def stop(self) -> None:
        reading = [task for subscriber in cast("Any", self._broker.subscribers) for task in subscriber.tasks]
        await self._broker.stop()
        # One that missed its cancellation would connect again.
        await end(reading)
