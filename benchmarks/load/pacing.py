"""Sends audio in real time: every session's in its turn, once per 20 ms or per another period."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from benchmarks.load.frames import FRAME_SECONDS
from benchmarks.load.session import clock

#: The senders of one slot are called together.
_SLOT_SECONDS = 0.001

Send = Callable[[], None]


class Pacer:
    """Calls every sender once per period, each in its time slot, from `start` to `stop`. Missed slots are caught up, so
    that the number of frames is exact; `lateness` has the delays in seconds."""

    def __init__(self, senders: Sequence[Send], period: float = FRAME_SECONDS) -> None:
        """``period`` is in seconds. The senders are spread evenly over it, in their order."""
        slots = round(period / _SLOT_SECONDS)
        self._slots: list[list[Send]] = [[] for _ in range(slots)]
        for number, sender in enumerate(senders):
            self._slots[number * slots // len(senders)].append(sender)
        self._loop = asyncio.get_running_loop()
        self._slot = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.lateness: list[float] = []

    def start(self) -> None:
        self._due = clock()
        self._turn()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self) -> None:
        while (now := clock()) >= self._due:
            slot = self._slots[self._slot]
            if slot:
                self.lateness.append(now - self._due)
                for send in slot:
                    send()
            self._slot = (self._slot + 1) % len(self._slots)
            self._due += _SLOT_SECONDS
        # The loop's timers have a resolution of 1 ms; a shorter delay would cause a busy loop.
        self._timer = self._loop.call_later(max(self._due - clock(), _SLOT_SECONDS), self._turn)
