"""Where the master is, by what Redis Sentinel says.

It is asked before each connection, so that the one after a failover finds the new master.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic_core import MultiHostUrl
from redis.asyncio.sentinel import Sentinel

from turngate.process.redis_url import master_of, sentinel_options

_PORT = 26_379
#: Seconds that a sentinel may take before the next one is asked.
_SECONDS = 1.0


class Master:
    """The master of a URL of sentinels."""

    def __init__(self, url: MultiHostUrl) -> None:
        self._name = master_of(url)
        tls = {"ssl": True} if url.scheme.startswith("rediss") else {}
        self._sentinels = Sentinel(  # type: ignore[no-untyped-call]
            [((host["host"] or "").strip("[]"), host["port"] or _PORT) for host in url.hosts()],
            sentinel_kwargs={
                "socket_connect_timeout": _SECONDS,
                "socket_timeout": _SECONDS,
                "retry": None,
                **tls,
                **sentinel_options(url),
            },
        )
        # Many connections may be lost at once, and the sentinels need not be asked by all of them at the same time.
        self._asking = asyncio.Lock()

    async def address(self) -> tuple[str, int]:
        """Host and port. Raises redis.exceptions.ConnectionError if no sentinel knows a master that is up."""
        async with self._asking:
            try:
                found: tuple[str, int] = await self._sentinels.discover_master(self._name)
            finally:
                for sentinel in self._sentinels.sentinels:
                    await sentinel.aclose()
        return found


def following(kind: type[Any], master: Master) -> type[Any]:
    """Connections of this kind that go to the master."""

    class Following(kind):  # type: ignore[misc]
        async def connect_check_health(self, check_health: bool = True, retry_socket_connect: bool = True) -> None:
            if not self.is_connected:
                self.host, self.port = await master.address()
            # Where the connection is tried again, the master may be another one by then.
            await super().connect_check_health(check_health, retry_socket_connect=False)

    return Following
