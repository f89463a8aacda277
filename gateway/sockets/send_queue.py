"""The send queue of one connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from gateway.sockets.interface import DirectSocket, Socket

#: A JSON message, or binary audio.
Frame: TypeAlias = dict[str, Any] | bytes


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How much may be queued for one peer that does not read."""

    frames: int = 1_024
    bytes: int = 8_388_608


class SendQueue:
    """The frames to send on one connection. Every `flush` sends from the front, so the order of `add` is the order on
    the wire."""

    __slots__ = ("_clock", "_limits", "_lock", "_sending", "_since", "bytes", "repeats", "waiting")

    def __init__(self, clock: Callable[[], float], limits: QueueLimits) -> None:
        """``clock`` returns seconds."""
        self._limits = limits
        #: Payloads, and whether they are text.
        self.waiting: deque[tuple[bytes, bool]] = deque()
        #: Their size.
        self.bytes = 0
        #: How many of the first ones were queued by `repeat`.
        self.repeats = 0
        self._clock = clock
        self._lock = asyncio.Lock()
        #: Number of sends in progress, and when one last began or ended.
        self._sending = 0
        self._since = 0.0

    def add(self, frames: Sequence[Frame]) -> bool:
        """Queue frames. Returns False, and queues none of them, if a limit is reached: abort the connection. A batch
        is accepted or refused as a whole, so a single burst may exceed the limits."""
        if not frames:
            return True
        if len(self.waiting) >= self._limits.frames or self.bytes >= self._limits.bytes:
            return False
        for frame in frames:
            payload, text = (frame, False) if isinstance(frame, bytes) else (orjson.dumps(frame), True)
            self.waiting.append((payload, text))
            self.bytes += len(payload)
        return True

    def repeat(self, messages: Sequence[dict[str, Any]]) -> None:
        """Queue messages, before all others, that the next connection gets anew if this one ends first: `texts` does
        not count them, and `take_over` leaves them."""
        self.repeats = len(messages)
        self.add(messages)

    @property
    def texts(self) -> int:
        """The number of text messages that are queued, and not repeated."""
        return sum(text for _, text in self.waiting) - self.repeats

    def clear(self) -> None:
        """Send nothing of what is queued."""
        self.waiting.clear()
        self.bytes = self.repeats = 0

    def take_over(self, other: SendQueue) -> None:
        """Send what is queued there, after what is queued here."""
        taken = list(other.waiting)[other.repeats :]
        self.waiting.extend(taken)
        self.bytes += sum(len(payload) for payload, _ in taken)
        other.clear()

    async def flush(self, peer: Socket) -> None:
        """Send everything that is queued. Raises `ConnectionClosed`."""
        async with self._lock:
            while self.waiting:
                payload, text = self._pop()
                await self.send(peer, payload, text=text)

    def post(self, peer: DirectSocket) -> None:
        """Send what is queued until the peer does not read any more. No effect while `flush` is under way."""
        while self.waiting and not self._lock.locked() and not peer.blocked:
            payload, text = self._pop()
            peer.post(payload, text=text)

    def _pop(self) -> tuple[bytes, bool]:
        payload, text = self.waiting.popleft()
        self.bytes -= len(payload)
        self.repeats = max(self.repeats - 1, 0)
        return payload, text

    async def send(self, peer: Socket, frame: bytes, *, text: bool) -> None:
        """Send one frame before those that are queued: for the user's audio, whose order among them does not matter.
        Raises `ConnectionClosed`."""
        self._sending += 1
        self._since = self._clock()
        try:
            await peer.send(frame, text=text)
        finally:
            self._sending -= 1
            self._since = self._clock()

    def stalled(self, limit: float) -> bool:
        """Whether the peer has read nothing for more than ``limit`` seconds while something was being sent."""
        return self._sending > 0 and self._clock() - self._since > limit
