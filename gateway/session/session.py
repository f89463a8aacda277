"""One session: its two sides, the tasks that serve them, and its end.

`gateway.conversation` takes all decisions; `gateway.session.sending` carries them out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import structlog

from gateway.conversation.conversation import Conversation, Ending
from gateway.session.client_side import ClientSide, Parking
from gateway.session.leg import Leg
from gateway.session.publisher import Publisher
from gateway.session.sending import Sending
from gateway.session.upstream_side import Upstream, UpstreamSide
from gateway.sockets.interface import ConnectionClosed, Socket, fit_reason
from gateway.sockets.send_queue import QueueLimits
from turngate.protocol.deepgram import events
from turngate.protocol.messages import TurnCommand

log = structlog.get_logger(__name__)


class Session:
    """One client, one upstream, one conversation. Call `run`, and meanwhile `command` and `watch`; `attach` for a
    client that returns."""

    def __init__(
        self,
        conversation: Conversation,
        client: Socket,
        upstream: Upstream,
        publisher: Publisher,
        *,
        stall: float,
        queue_limits: QueueLimits,
        clock: Callable[[], float] = monotonic,
        parking: Parking | None = None,
    ) -> None:
        """``stall`` in seconds; ``queue_limits`` hold for each peer. ``clock`` returns seconds."""
        self.conversation = conversation
        self._stall = stall
        self._queue_limits = queue_limits
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        #: A side has ended, or the conversation's output was sent: the session ends.
        self._over = asyncio.Event()
        self._sending = Sending(conversation, self._leg(client), publisher, clock, self.fail)
        self._client_side = ClientSide(self._sending, parking or Parking(), clock, self._start)
        self._upstream_side = UpstreamSide(
            self._sending,
            upstream,
            lambda socket: Leg("upstream", socket, clock, queue_limits),
            clock,
            self._start,
        )
        self._sending.upstreams = self._upstream_side

    @property
    def attachable(self) -> bool:
        """Whether a client may return to this session."""
        return self._client_side.attachable

    @property
    def parked_since(self) -> float | None:
        """Since when there is no client; None while there is one."""
        return self._client_side.parked_since

    @property
    def client(self) -> Leg:
        """The client's connection. When it is `Leg.over`, close it; `run` may go on without it."""
        return self._sending.client

    async def run(self, welcome: dict[str, Any] | None = None) -> None:
        """Serve the client, which gets ``welcome`` first, until it does not return or the conversation ends. Returns
        when both sockets are closed."""
        conversation = self.conversation
        conversation.tell(welcome or events.welcome(conversation.session))
        self._client_side.begin()
        for part in (self._client_side.gone.wait, self._upstream_side.run, self._sending.flush_when_woken):
            self._start(self._until(part))
        try:
            await self._over.wait()
        finally:
            await self._stop_tasks()
            conversation.closed(self._clock())
            await self._close()
            self._sending.client.leave()

    def attach(self, socket: Socket, welcome: dict[str, Any], received: int | None) -> Leg:
        """The client is back on this connection, gets this first, and says that it has ``received`` so many messages,
        if it says so. A connection that it had before is closed. Returns the new one; see `client`."""
        leg = self._leg(socket)
        self._client_side.attach(leg, welcome, received)
        return leg

    def command(self, command: TurnCommand) -> None:
        """Execute a translator's command. Returns at once."""
        try:
            self.conversation.command(command, self._clock())
        except Exception as error:
            # An exception in one session must not affect the other sessions of this process.
            self.fail(error)
        else:
            self._sending.hand_over_and_wake()

    def watch(self) -> None:
        """Abort the connection of a peer that has read nothing for too long, or too little. Call it periodically."""
        self._sending.watch(self._stall, self._queue_limits.bytes)

    @property
    def replying(self) -> bool:
        """Whether the agent is in the middle of a reply: generated, or played by the client."""
        context = self.conversation.context
        return context.replying or context.downlink.playout.ends_at(self._clock()) > self._clock()

    @property
    def held_bytes(self) -> int:
        """Bytes that this session holds: received and not handled, requests, audio that waits, and what is queued."""
        return self._sending.held_bytes + self.conversation.held_bytes

    def cut(self) -> None:
        """Abort both connections, without sending what is queued."""
        for leg in self._sending.legs:
            leg.cut()

    def go_away(self) -> None:
        """The server is stopping: tell the client, and end the session."""
        self.conversation.tell_error("SERVER_GOING_AWAY", "The server is shutting down; connect again.")
        self.conversation.end(1012, "SERVER_GOING_AWAY")
        self._sending.hand_over_and_wake()

    def fail(self, error: Exception) -> None:
        """End this session after an unexpected exception; tell the client."""
        log.error("session_failed", session=self.conversation.session, exc_info=error)
        self.conversation.tell_error("INTERNAL_SERVER_ERROR", "The session failed; connect again.")
        self.conversation.end(1011, "INTERNAL_SERVER_ERROR")
        self._sending.hand_over_and_wake()

    # --- its tasks

    def _leg(self, socket: Socket) -> Leg:
        return Leg("client", socket, self._clock, self._queue_limits)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ConnectionClosed:
            pass
        except Exception as error:
            self.fail(error)

    async def _until(self, part: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """When this part ends, the session does."""
        try:
            await part()
        finally:
            self._over.set()

    async def _stop_tasks(self) -> None:
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self) -> None:
        sending = self._sending
        with contextlib.suppress(ConnectionClosed):
            await sending.flush()
        sending.stop_timer()
        ending = self.conversation.ending or Ending(1000, "")
        # All at the same time, so that the client's close frame does not wait for the upstream's answer.
        closing = [leg.socket.close() for leg in (sending.upstream, sending.next) if leg is not None]
        if not sending.parked:
            closing.append(sending.client.socket.close(ending.code, fit_reason(ending.reason)))
        await asyncio.gather(*closing)
        # Connections that were given up in these last moments.
        await self._stop_tasks()
