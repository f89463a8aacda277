"""The send queue of one connection."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import orjson

from gateway.sockets.interface import Socket

#: A JSON message, or binary audio.
Frame: TypeAlias = dict[str, Any] | bytes


class SendQueue:
    """The frames to send on one connection. Every `flush` sends from the front, so the order of `add` is the order on
    the wire."""

    __slots__ = ("_clock", "_limit", "_lock", "_sending", "_since", "waiting")

    def __init__(self, clock: Callable[[], float], limit: int) -> None:
        """``clock`` returns seconds. At most ``limit`` frames are queued."""
        self._limit = limit
        self.waiting: deque[Frame] = deque()
        self._clock = clock
        self._lock = asyncio.Lock()
        #: Number of sends in progress, and when one last began or ended.
        self._sending = 0
        self._since = 0.0

    def add(self, frames: Sequence[Frame]) -> bool:
        """Queue frames. Returns False, and queues none of them, if the limit is reached: abort the connection. A batch
        is accepted or refused as a whole, so a single burst may exceed the limit."""
        if frames and len(self.waiting) >= self._limit:
            return False
        self.waiting.extend(frames)
        return True

    async def flush(self, peer: Socket) -> None:
        """Send everything that is queued. Raises `ConnectionClosed`."""
        async with self._lock:
            while self.waiting:
                frame = self.waiting.popleft()
                if isinstance(frame, bytes):
                    await self.send(peer, frame, text=False)
                else:
                    await self.send(peer, orjson.dumps(frame), text=True)

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
