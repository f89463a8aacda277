"""How much one client may send: a rate, and a burst."""

from __future__ import annotations

#: Seconds of the rate that may come at once.
_BURST = 2.0


class Allowance:
    """Units that may be spent: ``rate`` per second, and those of two seconds at once.

    Spending costs one subtraction. What time has added is counted only when everything else is used up.

    No I/O and no clock: ``now`` is in seconds with any monotonic origin.
    """

    __slots__ = ("_burst", "_left", "_rate", "_since")

    def __init__(self, rate: float, now: float, *, burst: float = _BURST) -> None:
        """``burst`` is in seconds. A rate of 0 is no limit."""
        self._rate = rate
        self._burst = self._left = rate * burst if rate else float("inf")
        self._since = now

    def spend(self, units: int, now: float) -> bool:
        """Take these. Returns False if there are not enough; then nothing is taken."""
        left = self._left - units
        if left < 0:
            left = min(self._burst, self._left + (now - self._since) * self._rate) - units
            self._since = now
            if left < 0:
                self._left = left + units
                return False
        self._left = left
        return True
