"""The newest answer of a check that takes a while, for those who cannot wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

#: How much more often is asked at first, when what is asked for is being started too.
_OFTEN = 10


class Probe:
    """Asks ``check`` every ``interval`` seconds while `run` runs, and ten times as often before the first good answer.
    Returns its last answer. An answer of three intervals ago counts as no."""

    def __init__(
        self, check: Callable[[], Awaitable[bool]], interval: float, clock: Callable[[], float] = monotonic
    ) -> None:
        self._check = check
        self._interval = interval
        self._clock = clock
        self._good = self._was_good = False
        self._asked_at = 0.0

    def __call__(self) -> bool:
        return self._good and self._clock() - self._asked_at <= 3 * self._interval

    async def ask(self) -> None:
        """Ask once."""
        self._good = await self._check()
        self._was_good = self._was_good or self._good
        self._asked_at = self._clock()

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._interval if self._was_good else self._interval / _OFTEN)
            await self.ask()
