"""A leg: one connection of a session, to the client or to the upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gateway.conversation.counters import Peer
from gateway.sockets.interface import ConnectionClosed, DirectSocket, Socket
from gateway.sockets.send_queue import Frame, QueueLimits, SendQueue


class Leg:
    """A socket and its send queue."""

    __slots__ = ("_cutting", "begun", "direct", "ended", "given_up", "over", "peer", "queue", "socket")

    def __init__(self, peer: Peer, socket: Socket, clock: Callable[[], float], limits: QueueLimits) -> None:
        """``clock`` returns seconds."""
        self.peer = peer
        self.socket = socket
        self.direct: DirectSocket | None = socket.direct
        self.queue = SendQueue(clock, limits)
        #: Set when the peer has begun its session, or the session does not use the connection any more.
        self.begun = asyncio.Event()
        #: Set when the session does not use the connection any more: see `leave`.
        self.over = asyncio.Event()
        #: How the connection ended; None if the session has given it up.
        self.ended: ConnectionClosed | None = None
        #: Nothing that still arrives matters.
        self.given_up = False
        #: Set once the connection is being aborted.
        self._cutting: asyncio.Task[None] | None = None

    def add(self, frames: Sequence[Frame]) -> bool:
        """Queue frames, then call `flush`. Returns False if too much is queued: call `cut`."""
        return self.queue.add(frames)

    async def flush(self) -> None:
        """Send everything that is queued. Raises `ConnectionClosed`."""
        if self.queue.waiting:
            await self.queue.flush(self.socket)

    def post(self) -> None:
        """Send what is queued, as far as that needs no waiting: the rest is left for `flush`."""
        if self.queue.waiting and self.direct is not None and self.socket.open:
            self.queue.post(self.direct)

    @property
    def was_cut(self) -> bool:
        return self._cutting is not None

    def leave(self, ended: ConnectionClosed | None = None) -> None:
        """The connection has ``ended``, or the session does not use it any more: take no message of it."""
        self.given_up = True
        if not self.over.is_set():
            self.ended = ended
            self.begun.set()
            self.over.set()

    def cut(self) -> None:
        """Abort the connection without waiting. Its reader gets `ConnectionClosed`."""
        if self._cutting is None:
            self._cutting = asyncio.create_task(self.socket.cut())
