"""How much one client may send: a rate, and a burst."""

from __future__ import annotations

#: Seconds of the rate that may come at once.
_BURST = 2.0


class Allowance:
    """Units that may be spent: ``rate`` per second, and those of two seconds at once.

    Spending costs one subtraction. What time has added is counted only when everything else is used up.

    No I/O and no clock: ``now`` is in seconds with any monotonic origin.
    """

    __slots__ = ("_burst", "_rate", "_since", "left")

    def __init__(self, rate: float, now: float, *, burst: float = _BURST) -> None:
        """``burst`` is in seconds. A rate of 0 is no limit."""
        self._rate = rate
        #: What may be spent at once, as far as it is counted: take it from here where a call would cost too much.
        self._burst = self.left = rate * burst if rate else float("inf")
        self._since = now

    def spend(self, units: int, now: float) -> bool:
        """Take these. Returns False if there are not enough; then nothing is taken."""
        left = self.left - units
        if left < 0:
            left = min(self._burst, self.left + (now - self._since) * self._rate) - units
            self._since = now
            if left < 0:
                self.left = left + units
                return False
        self.left = left
        return True
