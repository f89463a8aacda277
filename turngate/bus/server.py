"""Whether the Redis server can be used, checked once at start."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from turngate.bus import log_events
from turngate.process.redis_servers import ONLY
from turngate.process.settings import BrokerSettings, SettingsError
from turngate.process.urls import without_secrets

#: What to do about a server in cluster mode, and about one that may evict keys.
NO_CLUSTER = "use single servers, each with replicas if needed, and several of them in TURNGATE_REDIS_URLS"
NO_EVICTION = "set maxmemory-policy to noeviction: a stream that is evicted takes its consumer groups with it"
#: Seconds that it gets to answer, and between two tries.
_SECONDS = 5
_PAUSE = 0.05


class ServerSilentError(SettingsError):
    """The server does not answer. It may come later."""


def called(settings: BrokerSettings, server: str) -> str:
    """What the server of ``redis_url`` is called in messages, by its name if it is one of several, and its address."""
    name = "Redis" if settings.redis_urls is None else f"Redis {server}"
    return f"{name} at {without_secrets(str(settings.redis_url))}"


async def require_server(redis: Redis, settings: BrokerSettings, server: str = ONLY) -> None:
    """Raise `SettingsError` unless a server answers within a few seconds (it may be starting; else it is a
    `ServerSilentError`), accepts the password, and is no cluster. Warn in the log if it may evict keys."""
    variable = "TURNGATE_REDIS_URL" if settings.redis_urls is None else "TURNGATE_REDIS_URLS"
    where = f"{variable}: {called(settings, server)}"
    try:
        async with asyncio.timeout(_SECONDS) as limit:
            await _until_it_answers(redis, limit)
            info = await _info(redis)
    except AuthenticationError:
        raise SettingsError(f"{where} refused the user name or the password") from None
    except (RedisError, OSError, TimeoutError) as error:
        raise ServerSilentError(f"{where} does not answer ({error or type(error).__name__})") from None
    if info.get("cluster_enabled"):
        raise SettingsError(f"{where} is in cluster mode, which is not supported: {NO_CLUSTER}")
    if info.get("maxmemory") and (policy := info.get("maxmemory_policy")) != "noeviction":
        log_events.redis_may_evict(policy=policy, remedy=NO_EVICTION)


async def _until_it_answers(redis: Redis, limit: asyncio.Timeout) -> None:
    """Wait for a server that is being started, too. Raises the last error when the time is over."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            await redis.ping()
            return
        except RedisConnectionError as error:
            if isinstance(error, AuthenticationError) or loop.time() + _PAUSE > (limit.when() or 0.0):
                raise
        await asyncio.sleep(_PAUSE)


async def _info(redis: Redis) -> dict[str, Any]:
    """What the server says of itself; nothing if INFO is forbidden. A cluster is then noticed by its MOVED replies."""
    try:
        found: dict[str, Any] = await redis.info()
    except ResponseError:
        return {}
    return found
