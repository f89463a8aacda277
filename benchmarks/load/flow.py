"""Tracks the frames of one direction of one session."""

from __future__ import annotations

from collections import deque

#: The number of bytes of a frame that a resampler may delay until the next one (2 ms at 24 kHz).
_SLACK = 96


class Flow:
    """Measures latencies by counting bytes: since sockets preserve order, the n-th frame has arrived when the bytes of
    n frames have arrived, in whatever pieces and in whatever format."""

    __slots__ = ("_awaited", "_bytes", "_forgotten", "_frame", "_sent_bytes", "latencies", "sent")

    def __init__(self, arriving_frame: int) -> None:
        """``arriving_frame``: the size of one frame at the receiver, in bytes."""
        self._frame = arriving_frame
        #: Of every frame in flight, when it was sent, and how many bytes must have arrived by its end.
        self._awaited: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self._forgotten = 0
        self._sent_bytes = 0
        self.sent = 0
        #: The latency in seconds of every frame that arrived since the last `forget`.
        self.latencies: list[float] = []

    def send(self, now: float, frames: int = 1) -> None:
        """A frame is sent now, or a message with the audio of so many, which counts once."""
        self._sent_bytes += self._frame * frames
        self._awaited.append((now, self._sent_bytes - _SLACK))
        self.sent += 1

    def arrive(self, size: int, now: float) -> None:
        """``size`` bytes have arrived."""
        self._bytes += size
        while self._awaited and self._bytes >= self._awaited[0][1]:
            self.latencies.append(now - self._awaited.popleft()[0])

    def forget(self) -> None:
        """Discard the latencies measured so far; frames in flight still count."""
        self.latencies.clear()
        self._forgotten = self._bytes

    @property
    def frames(self) -> float:
        """The audio that arrived since the last `forget`, as a number of frames."""
        return (self._bytes - self._forgotten) / self._frame

    @property
    def missing(self) -> int:
        """The number of frames in flight."""
        return len(self._awaited)
