"""One direction of one session: what was sent and has not arrived yet."""

from __future__ import annotations

from collections import deque

#: A resampler may keep this many bytes of a frame for the next one (2 ms at 24 kHz).
_SLACK = 96


class Flow:
    """Frames leave in order and arrive in order, as sockets keep it. So the n-th frame has arrived when n frames' worth
    of bytes have, in however many pieces and whatever was done to the samples on the way."""

    __slots__ = ("_bytes", "_due", "_frame", "_sent_at", "latencies", "sent")

    def __init__(self, arriving_frame: int) -> None:
        """``arriving_frame``: the size of one frame where it arrives, in bytes."""
        self._frame = arriving_frame
        self._sent_at: deque[float] = deque()
        self._bytes = 0
        self._due = arriving_frame - _SLACK
        self.sent = 0
        #: Seconds from one end to the other, of every frame that arrived since the last `forget`.
        self.latencies: list[float] = []

    def send(self, now: float) -> None:
        """One frame leaves now."""
        self._sent_at.append(now)
        self.sent += 1

    def arrive(self, size: int, now: float) -> None:
        """``size`` bytes have come."""
        self._bytes += size
        while self._bytes >= self._due and self._sent_at:
            self.latencies.append(now - self._sent_at.popleft())
            self._due += self._frame

    def forget(self) -> None:
        """Count latencies anew; what is on its way stays on its way."""
        self.latencies.clear()

    @property
    def missing(self) -> int:
        """Frames that were sent and have not arrived."""
        return len(self._sent_at)
