"""The two Redis clients of a process: one for commands, with a short time-out, and one for reads that block.

A blocked read waits for seconds and needs a time-out that is longer; a command that waits as long holds up its caller.
"""

from __future__ import annotations

from typing import Any

from pydantic import RedisDsn
from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ReadOnlyError, ResponseError

from turngate.bus import trouble
from turngate.bus.sentinels import Master, following
from turngate.process.redis_url import server_url
from turngate.process.settings import BrokerSettings

#: Milliseconds that an idle read blocks in the server.
BLOCK_MS = 4_000
_SHARED: dict[str, Any] = {
    # redis-py refuses instead of waiting when the pool is exhausted.
    "max_connections": 512,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 15,
}


class _Reconnects:
    """Closes a connection after a READONLY reply: since a failover its server is a replica, and the next connection may
    find the new master."""

    async def read_response(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)  # type: ignore[misc]
        except ReadOnlyError:
            self.mark_for_reconnect()
            raise


class _Pauses(_Reconnects):
    """Pauses after an error reply to a command, since FastStream reads again at once."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._backoff = trouble.Backoff()
        self._greeting = False

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        self._greeting = True
        try:
            await super().on_connect_check_health(check_health)  # type: ignore[misc]
        finally:
            self._greeting = False

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            response = await super().read_response(*args, **options)
        except ResponseError as error:
            # A server may not know what the client library offers when it connects. After NOGROUP FastStream stops by
            # itself, and BUSYGROUP is the usual reply to its start.
            if not self._greeting and not str(error).startswith(("NOGROUP", "BUSYGROUP")):
                trouble.note(error, "read")
                await self._backoff.pause()
            raise
        self._backoff.reset()
        return response


class _Command(_Reconnects, Connection):
    """A connection for commands."""


class _CommandTls(_Reconnects, SSLConnection):
    """The same with TLS."""


class _Reading(_Pauses, Connection):
    """A connection for blocking reads."""


class _ReadingTls(_Pauses, SSLConnection):
    """The same with TLS."""


def connect(settings: BrokerSettings) -> Redis:
    """The client for commands. Close it with ``aclose()``."""
    options = {
        **parse_url(server_url(settings.redis_url)),
        "connection_class": _kind(settings, _Command, _CommandTls),
        "socket_timeout": settings.redis_timeout_ms / 1000,
        # Only a connection that was lost meanwhile is met here; whoever sends a command tries again after a pause.
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.1), 2),
        **_SHARED,
    }
    return Redis.from_pool(ConnectionPool(**options))


def reading_options(settings: BrokerSettings) -> dict[str, Any]:
    """The options of the client that blocks in reads, for FastStream to make it."""
    return {
        "url": server_url(settings.redis_url),
        "connection_class": _kind(settings, _Reading, _ReadingTls),
        "socket_timeout": BLOCK_MS / 1000 + settings.redis_timeout_ms / 1000,
        # Without end: FastStream would pause for five seconds, without jitter. Those who send commands report it.
        "retry": Retry(ExponentialWithJitterBackoff(base=0.01, cap=0.5), -1),
        **_SHARED,
    }


def _kind(settings: BrokerSettings, plain: type[Any], tls: type[Any]) -> type[Any]:
    url = settings.redis_url
    kind = tls if url.scheme.startswith("rediss") else plain
    return kind if isinstance(url, RedisDsn) else following(kind, Master(url))
