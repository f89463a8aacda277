"""Tracks the frames of one direction of one session."""

from __future__ import annotations

from collections import deque

#: The number of bytes of a frame that a resampler may delay until the next one (2 ms at 24 kHz).
_SLACK = 96


class Flow:
    """Measures latencies by counting bytes: since sockets preserve order, the n-th frame has arrived when the bytes of
    n frames have arrived, in whatever pieces and in whatever format."""

    __slots__ = ("_bytes", "_due", "_frame", "_sent_at", "latencies", "sent")

    def __init__(self, arriving_frame: int) -> None:
        """``arriving_frame``: the size of one frame at the receiver, in bytes."""
        self._frame = arriving_frame
        self._sent_at: deque[float] = deque()
        self._bytes = 0
        self._due = arriving_frame - _SLACK
        self.sent = 0
        #: The latency in seconds of every frame that arrived since the last `forget`.
        self.latencies: list[float] = []

    def send(self, now: float) -> None:
        """A frame is sent now."""
        self._sent_at.append(now)
        self.sent += 1

    def arrive(self, size: int, now: float) -> None:
        """``size`` bytes have arrived."""
        self._bytes += size
        while self._bytes >= self._due and self._sent_at:
            self.latencies.append(now - self._sent_at.popleft())
            self._due += self._frame

    def forget(self) -> None:
        """Discard the latencies measured so far; frames in flight still count."""
        self.latencies.clear()

    @property
    def missing(self) -> int:
        """The number of frames in flight."""
        return len(self._sent_at)
