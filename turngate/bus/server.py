"""Whether the Redis server can be used, checked once at start."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from turngate.process.settings import BrokerSettings, SettingsError
from turngate.process.urls import without_secrets

_SECONDS = 5


async def require_server(redis: Redis, settings: BrokerSettings) -> None:
    """Raise `SettingsError` unless a server answers within a few seconds, accepts the password, and is no cluster."""
    where = f"TURNGATE_REDIS_URL: Redis at {without_secrets(str(settings.redis_url))}"
    try:
        async with asyncio.timeout(_SECONDS):
            await redis.ping()
            clustered = await _is_cluster(redis)
    except AuthenticationError:
        raise SettingsError(f"{where} refused the user name or the password") from None
    except (RedisError, OSError, TimeoutError) as error:
        raise SettingsError(f"{where} does not answer ({error or type(error).__name__})") from None
    if clustered:
        raise SettingsError(
            f"{where} is in cluster mode, which is not supported: one script uses keys of several hash slots. "
            "Use a single server, with replicas if needed"
        )


async def _is_cluster(redis: Redis) -> bool:
    try:
        found = await redis.info("cluster")
    except RedisError:
        # INFO may be forbidden; a cluster is then noticed by its MOVED replies.
        return False
    return bool(found.get("cluster_enabled"))
