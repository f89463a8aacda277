"""What goes to one peer: a queue of messages, and audio past it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson

from gateway.sockets.interface import Socket


class SendQueue:
    """One direction of a session. Whoever flushes sends from the front, so the order of `add` is that on the wire."""

    __slots__ = ("_clock", "_lock", "_most", "_sending", "_since", "waiting")

    def __init__(self, clock: Callable[[], float], most: int) -> None:
        """``clock`` gives seconds; ``most`` messages may wait."""
        self._most = most
        self.waiting: deque[dict[str, Any]] = deque()
        self._clock = clock
        self._lock = asyncio.Lock()
        #: Sends that have begun and not ended, and when the newest of them began or one ended.
        self._sending = 0
        self._since = 0.0

    def add(self, messages: list[dict[str, Any]]) -> bool:
        """Queue these; False, with none of them taken, when as many wait already as may: cut the peer. What comes at
        one time is taken whole, so that a burst is no reason to cut a peer that reads."""
        if messages and len(self.waiting) >= self._most:
            return False
        self.waiting.extend(messages)
        return True

    async def flush(self, peer: Socket) -> None:
        """Send everything that waits. Raises `Closed`."""
        async with self._lock:
            while self.waiting:
                await self.send(peer, orjson.dumps(self.waiting.popleft()), text=True)

    async def send(self, peer: Socket, frame: bytes, *, text: bool) -> None:
        """Send one frame now, past the queue: for audio, whose order among messages its caller keeps. Raises
        `Closed`."""
        self._sending += 1
        self._since = self._clock()
        try:
            await peer.send(frame, text=text)
        finally:
            self._sending -= 1
            self._since = self._clock()

    def stalled(self, limit: float) -> bool:
        """Whether the peer has taken nothing for longer than ``limit`` seconds while something was to be sent."""
        return self._sending > 0 and self._clock() - self._since > limit
