"""The only clock there is: a heap of moments."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush


class Clock:
    """Virtual time in seconds. What is due at one moment happens in the order in which it was asked for."""

    __slots__ = ("_count", "_heap", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._count = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do ``action`` at this moment, or now if that is past."""
        self._count += 1
        heappush(self._heap, (max(moment, self.now), self._count, action))

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self.at(self.now + delay, action)

    def step(self) -> bool:
        """Let the next thing happen; False when nothing is left."""
        if not self._heap:
            return False
        self.now, _, action = heappop(self._heap)
        action()
        return True
