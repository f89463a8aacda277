"""Sending frames at the pace of life: every line one each way per 20 ms, the lines spread evenly over that time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from benchmarks.load.frames import FRAME_SECONDS
from benchmarks.load.line import clock

_SLOTS = 20
_SLOT_SECONDS = FRAME_SECONDS / _SLOTS

Send = Callable[[], None]


class Pacer:
    """Calls every sender once per frame time, each in its own slot, from `start` to `stop`. Late slots are made up
    for, so that the number of frames is right whatever happens; how late they were is in `lateness`, in seconds."""

    def __init__(self, senders: Sequence[Send]) -> None:
        self._slots: list[list[Send]] = [[] for _ in range(_SLOTS)]
        for number, sender in enumerate(senders):
            self._slots[number * _SLOTS // len(senders)].append(sender)
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
            self._slot = (self._slot + 1) % _SLOTS
            self._due += _SLOT_SECONDS
        # The loop's timers count whole milliseconds; a shorter one would be called at once, again and again.
        self._timer = self._loop.call_later(max(self._due - clock(), _SLOT_SECONDS), self._turn)
