"""What serves work in the simulation: one process or several alike, in the order of arrival."""

from __future__ import annotations

from heapq import heapreplace


class Station:
    """So many processes with one queue. Work must arrive in the order of time; it is never interrupted."""

    def __init__(self, processes: int, bin_seconds: float = 1.0) -> None:
        self._free = [0.0] * processes
        self._bin = bin_seconds
        #: Seconds of work by the number of the bin in which it began.
        self.busy: dict[int, float] = {}
        #: The longest wait of work before it began, by the number of the bin in which it arrived.
        self.waited: dict[int, float] = {}
        self.served = 0

    def serve(self, now: float, seconds: float) -> float:
        """Take in work at ``now``; returns when it is done."""
        free = self._free
        begins = free[0] if free[0] > now else now
        done = begins + seconds
        heapreplace(free, done)
        arrived, number = int(now / self._bin), int(begins / self._bin)
        self.busy[number] = self.busy.get(number, 0.0) + seconds
        if begins - now > self.waited.get(arrived, 0.0):
            self.waited[arrived] = begins - now
        self.served += 1
        return done

    def restart(self, now: float) -> None:
        """Forget what was under way; free at ``now``."""
        self._free = [now] * len(self._free)

    def wait(self, now: float) -> float:
        """How long work that arrives now would wait."""
        return max(0.0, self._free[0] - now)
