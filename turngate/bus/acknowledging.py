"""Acknowledges handled entries in batches, after a short time: nobody waits for an acknowledgement, and one for each
read would delay what somebody waits for.

A process that dies before an entry is acknowledged leaves it pending, and it is handled again, as after any death.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from redis.asyncio import Redis

from turngate.bus import log_events, trouble
from turngate.bus.finishing import finish
from turngate.process.tasks import end

#: Seconds in which acknowledgements are collected.
_DELAY = 0.01
#: Entries in one command.
_MOST = 512
#: Entries of one stream that may wait while Redis does not take acknowledgements. Further ones stay pending.
_WAITING_MAX = 16_384
#: How often an acknowledgement is tried while Redis refuses or cannot be reached.
_TRIES = 5


class Acknowledger:
    """The acknowledgements of one process. Call `stop` when nothing is handled any more."""

    def __init__(self, redis: Redis, delay: float = _DELAY) -> None:
        """``delay``: seconds that an entry waits for others."""
        self._redis = redis
        self._delay = delay
        #: By stream (its name in Redis) and group: what is not acknowledged yet, in the order of handling.
        self._waiting: dict[tuple[str, str], list[bytes]] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, key: str, group: str, ids: Sequence[bytes]) -> None:
        """Acknowledge and delete these entries soon. ``key`` is the stream's name in Redis."""
        if not ids:
            return
        waiting = self._waiting.setdefault((key, group), [])
        waiting.extend(ids[: _WAITING_MAX - len(waiting)])
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send_all(), name="acknowledgements")

    async def stop(self) -> None:
        """Acknowledge what waits, or give up after the last try. It stays pending if this is cancelled."""
        if self._task is not None:
            try:
                await asyncio.wait([self._task])
            finally:
                await end([self._task])

    async def _send_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._delay)
            for key, group in list(self._waiting):
                waiting = self._waiting.pop((key, group))
                for start in range(0, len(waiting), _MOST):
                    await self._send(key, group, waiting[start : start + _MOST])

    async def _send(self, key: str, group: str, ids: Sequence[bytes]) -> None:
        backoff = trouble.Backoff()
        for _ in range(_TRIES):
            try:
                await finish(self._redis, key, group, ids)
            except Exception as error:
                # A group that was lost with the server's data has nothing to acknowledge.
                if not trouble.concerns_server(error):
                    log_events.not_acknowledged(stream=key, entries=len(ids), error=str(error))
                    return
                trouble.note(error, f"acknowledge {key}")
                await backoff.pause()
            else:
                return
