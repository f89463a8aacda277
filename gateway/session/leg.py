"""One connection of a session: the client's, or the upstream's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.conversation.counters import Peer
from gateway.sockets.interface import DirectSocket, Socket
from gateway.sockets.send_queue import Frame, SendQueue


class Leg:
    """A socket, and what is to be sent on it."""

    __slots__ = ("_cutting", "direct", "peer", "queue", "socket")

    def __init__(self, peer: Peer, socket: Socket, clock: Callable[[], float], frames_max: int) -> None:
        """At most ``frames_max`` frames may wait; ``clock`` gives seconds."""
        self.peer = peer
        self.socket = socket
        self.direct: DirectSocket | None = socket.direct
        self.queue = SendQueue(clock, frames_max)
        #: Set once the connection is being cut.
        self._cutting: asyncio.Task[None] | None = None

    def add(self, frames: Sequence[Frame]) -> bool:
        """Queue frames; `flush` them. False when too many wait: `cut` it."""
        return self.queue.add(frames)

    async def flush(self) -> None:
        """Send everything that waits. Raises `ConnectionClosed`."""
        if self.queue.waiting:
            await self.queue.flush(self.socket)

    @property
    def was_cut(self) -> bool:
        return self._cutting is not None

    def cut(self) -> None:
        """End the connection at once; returns before it has ended. Its reader gets `ConnectionClosed`."""
        if self._cutting is None:
            self._cutting = asyncio.create_task(self.socket.cut())
