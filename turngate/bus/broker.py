"""The connection to Redis, and consumers that stay alive.

FastStream carries the streams. What it does not do by itself is here: groups are created at ``0`` before consuming
starts (its own default would skip a backlog), and a group that was lost with the server's data is created again. What a
consumer left unfinished is taken over by `turngate.bus.reclaimer`.

A stream that one process alone reads lives as long as that process keeps it: it makes the stream, with a time to live
that it renews, and those who write to it never make one. So whatever becomes of the reader, nothing is left behind.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import structlog
from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import RedisError, ResponseError

from turngate.bus.consumer_groups import leave
from turngate.bus.streams import JsonFormat, bodies
from turngate.process.settings import BrokerSettings, SettingsError
from turngate.process.tasks import end

if TYPE_CHECKING:
    from faststream._internal.basic_types import LoggerProto

log = structlog.get_logger(__name__)

#: Milliseconds that an idle read blocks in the server; shorter than the socket's timeout.
_BLOCK_MS = 4_000
_CONNECTION: dict[str, Any] = {
    # redis-py refuses instead of waiting when the pool is exhausted, and every blocked read holds one connection.
    "max_connections": 512,
    # Must be longer than a blocked read.
    "socket_timeout": 15,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 15,
}
#: Seconds between two looks at the consumers.
_WATCH_INTERVAL = 0.5
#: Milliseconds that a stream of one process's own outlives its last renewal.
_OWN_STREAM_MS = 60_000
#: Seconds that a process which stops gives the server to take its names out of the groups.
_LEAVE_SECONDS = 3


def connect(settings: BrokerSettings) -> Redis:
    """A client for commands of our own (scripts, groups). Close it with ``aclose()``."""
    client: Redis = Redis.from_url(str(settings.redis_url), retry=_retry(), **_CONNECTION)
    return client


def make_broker(settings: BrokerSettings, *middlewares: Any) -> RedisBroker:
    """A broker that survives a restart of the server. Declare subscribers on it, then hand it to `Consumers`."""
    return RedisBroker(
        str(settings.redis_url),
        retry=_retry(),
        # A message whose handling failed stays pending, and the reclaimer takes it up again.
        ack_policy=AckPolicy.NACK_ON_ERROR,
        graceful_timeout=5,
        logger=cast("LoggerProto", None),  # two lines per message otherwise
        message_format=JsonFormat,
        # Handlers get what `bodies` makes of an entry, as it is.
        apply_types=False,
        middlewares=middlewares,
        **_CONNECTION,
    )


def _retry() -> Retry:
    return Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.5), 20)


def consumer_name() -> str:
    """A name for this process within a consumer group."""
    return f"{socket.gethostname()}-{os.getpid()}"


def subscribe(
    broker: RedisBroker,
    stream: str,
    group: str,
    handler: Callable[[list[bytes]], Awaitable[None]],
    *,
    records: int,
    own: bool = False,
) -> Any:
    """Have ``handler`` called with the bodies of a stream's new entries, at most ``records`` at a time, as a member of
    a group. Returns FastStream's subscriber. What is left unfinished is the reclaimer's business; ``own`` where
    nobody else reads the stream and so nothing can be taken over: an entry is finished when it is read.
    """
    source = StreamSub(
        stream,
        group=group,
        consumer=consumer_name(),
        batch=True,
        max_records=records,
        polling_interval=_BLOCK_MS,
        no_ack=own,
    )
    subscriber = broker.subscriber(stream=source, decoder=bodies)
    subscriber(handler)
    return subscriber


async def require_redis(redis: Redis, settings: BrokerSettings) -> None:
    """Raise `SettingsError` unless a server answers within a few seconds."""
    try:
        async with asyncio.timeout(5):
            await redis.ping()
    except (RedisError, OSError, TimeoutError) as error:
        raise SettingsError(
            f"TURNGATE_REDIS_URL: no Redis answers at {settings.redis_url} ({error or type(error).__name__})"
        ) from None


class Consumers:
    """The subscribers of one process, kept alive from `start` to `stop`."""

    def __init__(
        self,
        broker: RedisBroker,
        redis: Redis,
        groups: Sequence[tuple[str, str]],
        *,
        own: bool = False,
        watch_interval: float = _WATCH_INTERVAL,
    ) -> None:
        """``groups`` are the (stream, group) pairs that the broker's subscribers read; ``own`` when no other process
        reads these streams, which then go when this one does."""
        self._own = own
        self._watch_interval = watch_interval
        self._broker = broker
        self._redis = redis
        self._groups = tuple(groups)

    async def start(self) -> None:
        """Create the groups and start consuming. Run `watch` from then on."""
        await self._create_groups()
        await self._broker.start()

    async def stop(self) -> None:
        """Stop consuming. `watch` must have ended. Handlers that run are waited for, within the broker's graceful
        timeout. Then leave nothing behind, as far as the server answers at once: no stream of our own, no name in a
        group."""
        reading = [task for subscriber in self._subscribers() for task in subscriber.tasks]
        await self._broker.stop()
        # One that missed its cancellation would connect again.
        await end(reading)
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                for stream, group in self._groups:
                    if self._own:
                        await self._redis.unlink(stream)
                    else:
                        await leave(self._redis, stream, group, consumer_name())
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("left_behind", groups=[group for _, group in self._groups], error=str(error))

    async def watch(self) -> None:
        """Start consumers again whose group was lost, and renew streams of one's own, until cancelled."""
        while True:
            await asyncio.sleep(self._watch_interval)
            try:
                if self.alive():
                    await self._renew()
                else:
                    await self._revive()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("consumers_not_watched", error=str(error))

    def alive(self) -> bool:
        """True while every subscriber is reading. A server that answers a ping is not enough: a consumer can be dead
        beside it."""
        return all(map(_reading, self._subscribers()))

    async def ready(self) -> bool:
        """True when the server answers and every subscriber is reading."""
        try:
            async with asyncio.timeout(1):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            return False
        return self.alive()

    def _subscribers(self) -> Iterable[Any]:
        return self._broker.subscribers

    async def _create_groups(self) -> None:
        for stream, group in self._groups:
            try:
                await self._redis.xgroup_create(stream, group, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        await self._renew()

    async def _renew(self) -> None:
        if self._own:
            for stream, _ in self._groups:
                await self._redis.pexpire(stream, _OWN_STREAM_MS)

    async def _revive(self) -> None:
        # Reads the whole of the new stream: nothing that was published since the loss is skipped.
        await self._create_groups()
        for subscriber in self._subscribers():
            if not _reading(subscriber):
                await subscriber.stop()
                await subscriber.start()
        log.warning("consumers_revived", groups=[group for _, group in self._groups])


def _reading(subscriber: Any) -> bool:
    return bool(subscriber.running) and any(not task.done() for task in subscriber.tasks)
