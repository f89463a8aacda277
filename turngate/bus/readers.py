"""Reads streams with FastStream. The only module that uses FastStream, and the parts of it that are not public.

What FastStream does not do by itself is done by others: `Bus` creates groups at ``0`` before reading starts (FastStream
would skip a backlog) and starts readers again whose group was lost; `Consumer` acknowledges; `Reclaimer` takes over
what a consumer left unfinished.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from turngate.bus.connection import BLOCK_MS, reading_options
from turngate.bus.entries import Entry, body_of
from turngate.process.absent import absent
from turngate.process.settings import BrokerSettings
from turngate.process.tasks import end

with absent("opentelemetry"):
    from faststream import AckPolicy
    from faststream.redis import RedisBatchStreamMessage, RedisBroker, StreamSub
    from faststream.redis.parser import MessageFormat

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


class _BodyFormat(MessageFormat):
    """Entries are decoded by `_entries`; FastStream publishes none."""

    @classmethod
    async def encode(cls, *, message: Any, **_: Any) -> bytes:
        raise NotImplementedError

    @classmethod
    def parse(cls, data: bytes) -> tuple[bytes, dict[str, Any]]:
        return data, {}


async def _entries(batch: RedisBatchStreamMessage) -> list[Entry]:
    raw = batch.raw_message
    return [Entry(entry, body_of(fields)) for entry, fields in zip(raw["message_ids"], raw["data"], strict=True)]


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
            message_format=_BodyFormat,
            # `on_entries` gets what `_entries` returns, unchanged.
            apply_types=False,
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
        subscriber: Any = self._broker.subscriber(stream=source, decoder=_entries)
        subscriber(on_entries)
        return _FastStreamReader(subscriber)

    async def start(self) -> None:
        await self._broker.start()

    async def stop(self) -> None:
        reading = [task for subscriber in cast("Any", self._broker.subscribers) for task in subscriber.tasks]
        await self._broker.stop()
        # One that missed its cancellation would connect again.
        await end(reading)
