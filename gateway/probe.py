"""The newest answer of a check that takes a while, for those who cannot wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic


class Probe:
    """Asks ``check`` every ``interval`` seconds from `start` to `stop`, and says what it said last. An answer of three
    intervals ago is none: then it says no."""

    def __init__(
        self, check: Callable[[], Awaitable[bool]], interval: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._check = check
        self._interval = interval
        self._clock = clock
        self._good = False
        self._asked_at = 0.0
        self._asking: asyncio.Task[None] | None = None

    def __call__(self) -> bool:
        return self._good and self._clock() - self._asked_at <= 3 * self._interval

    async def ask(self) -> None:
        """Ask once."""
        self._good = await self._check()
        self._asked_at = self._clock()

    async def start(self) -> None:
        """Ask now, and go on asking."""
        await self.ask()
        self._asking = asyncio.create_task(self._go_on())

    async def stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self.ask()
