"""One session: its two sides, the tasks that serve them, and its end.

`gateway.conversation` takes all decisions; `gateway.session.sending` carries them out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from gateway import log_events
from gateway.continuity.journal import Changes
from gateway.conversation.conversation import Conversation, Effects, Ending
from gateway.session.client_side import ClientSide, Parking
from gateway.session.journal_writer import JournalWriter
from gateway.session.leg import Leg
from gateway.session.publisher import Publisher
from gateway.session.sending import Sending
from gateway.session.upstream_side import Upstream, UpstreamSide
from gateway.sockets.interface import ConnectionClosed, Socket, fit_reason
from gateway.sockets.send_queue import QueueLimits
from session_state.owners import JournalEntry
from turngate.process.log_context import about
from turngate.process.redis_servers import ONLY
from turngate.protocol.deepgram import events
from turngate.protocol.messages import TurnCommand

#: How the connection of a client ends that is served elsewhere.
RESUMED_ELSEWHERE = Ending(1008, "SESSION_RESUMED_ELSEWHERE")


@dataclass(frozen=True, slots=True)
class Writing:
    """How a session is written down: by whom, and the keys by which its client finds it. ``fenced`` is called when
    another gateway owns the session, with the last entry, and gives it that."""

    journals: JournalWriter
    keys: Callable[[str], tuple[str, ...]]
    fenced: Callable[[Session, JournalEntry], None]


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
        writing: Writing | None = None,
        server: str = ONLY,
    ) -> None:
        """``stall`` in seconds; ``queue_limits`` hold for each peer. ``clock`` returns seconds. ``writing``, if the
        session is written down for other gateways. ``server``: the name of the Redis server that it belongs to."""
        self.conversation = conversation
        self.server = server
        self._stall = stall
        self._queue_limits = queue_limits
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        #: A side has ended, or the conversation's output was sent: the session ends.
        self._over = asyncio.Event()
        self._writing = writing
        self._journal_due = False
        #: Another gateway goes on with it, or may.
        self.handed_over = False
        self._sending = Sending(conversation, self._leg(client), publisher, clock, self.fail, self._journal_changed)
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

    async def client_settled(self) -> None:
        """Return when it is known whether the client may return, whose connection has ended."""
        await self._client_side.settled()

    @property
    def parked_since(self) -> float | None:
        """Since when there is no client; None while there is one."""
        return self._client_side.parked_since

    @property
    def ending(self) -> Ending:
        """How the client's connection is closed, when the session is over."""
        return self.conversation.ending or Ending(1000, "")

    @property
    def client(self) -> Leg:
        """The client's connection. When it is `Leg.over`, close it; `run` may go on without it."""
        return self._sending.client

    async def run(self, welcome: dict[str, Any] | None = None, missed: Sequence[dict[str, Any]] | None = None) -> None:
        """Serve the client, which gets ``welcome`` first, until it does not return or the conversation ends. Returns
        when both sockets are closed. ``missed``: the client has come from another gateway, and gets these next."""
        conversation = self.conversation
        welcome = welcome or events.welcome(conversation.session)
        if missed is None:
            conversation.tell(welcome)
        else:
            self._sending.client.queue.repeat([welcome, *missed])
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

    def watch(self) -> int:
        """Abort the connection of a peer that has read nothing for too long, or too little. Call it periodically.
        Returns the bytes that this session holds: received and not handled, requests, audio that waits, and what is
        queued."""
        return self._sending.watch(self._stall, self._queue_limits.bytes) + self.conversation.held_bytes

    @property
    def replying(self) -> bool:
        """Whether the agent is in the middle of a reply: generated, or played by the client."""
        context = self.conversation.context
        return context.replying or context.downlink.playout.ends_at(self._clock()) > self._clock()

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
        with about(self.name, self.conversation.trace):
            log_events.session_failed(exc_info=error)
        self.conversation.tell_error("INTERNAL_SERVER_ERROR", "The session failed; connect again.")
        self.conversation.end(1011, "INTERNAL_SERVER_ERROR")
        self._sending.hand_over_and_wake()

    # --- another gateway

    @property
    def name(self) -> str:
        """The session's id."""
        return self.conversation.session

    @property
    def is_written_down(self) -> bool:
        """Whether another gateway can go on with it, if not unnoticed."""
        return self._writing is not None and self.conversation.ending is None

    @property
    def may_move(self) -> bool:
        """Whether another gateway can go on with the session now, and nobody notices."""
        return self._writing is not None and not self.handed_over and self.conversation.may_move(self._clock())

    def journal_entry(self) -> JournalEntry | None:
        """What has changed since the last entry; None if nothing has (`Journaled`)."""
        if self.handed_over or self.conversation.journal is None:
            return None
        due, self._journal_due = self._journal_due, False
        changes = self.conversation.journal.changes(self._clock(), due=due)
        return None if changes is None else self._entry(changes)

    def journal_lost(self) -> None:
        """What was written is not there any more: the next entry is whole (`Journaled`)."""
        if self.conversation.journal is not None:
            self.conversation.journal.lost()

    def fenced(self) -> None:
        """Another gateway owns the session: say nothing more (`Journaled`)."""
        if not self.handed_over:
            with about(self.name, self.conversation.trace):
                log_events.session_fenced(epoch=self.conversation.epoch)
            assert self._writing is not None
            self._writing.fenced(self, self.hand_over(RESUMED_ELSEWHERE))

    def hand_over(self, ending: Ending, *, last: bool = False) -> JournalEntry:
        """Another gateway goes on with the session: nothing more is sent or accepted here. Returns what it needs for
        that; ``last``: it need not wait for this gateway. Call `leave` when that is written: the client's connection is
        closed as ``ending`` says."""
        assert self._writing is not None
        self.handed_over = True
        self._writing.journals.leave(self.name)
        queue = self._sending.client.queue
        unsent = (0, 0) if self._sending.parked else (queue.texts, queue.repeats)
        changes = self.conversation.hand_over(self._clock(), *unsent)
        self._sending.silence()
        self.conversation.end(ending.code, ending.reason)
        return self._entry(changes, last=last)

    def leave(self) -> None:
        """Close both connections of a session that was handed over."""
        self._over.set()

    def _entry(self, changes: Changes, *, last: bool = False) -> JournalEntry:
        assert self._writing is not None
        conversation = self.conversation
        return JournalEntry(
            conversation.session,
            conversation.gateway,
            conversation.epoch,
            changes.number,
            whole=changes.whole,
            keys=self._writing.keys(self.name),
            parts=changes.parts,
            gone=changes.gone,
            last=last,
        )

    def _journal_changed(self, out: Effects) -> None:
        if self._writing is not None:
            self._journal_due |= out.journal_due
            self._writing.journals.changed(self, urgent=out.journal_urgent)

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
        ending = self.ending
        # All at the same time, so that the client's close frame does not wait for the upstream's answer.
        closing = [leg.socket.close() for leg in (sending.upstream, sending.next) if leg is not None]
        if not sending.parked:
            closing.append(sending.client.socket.close(ending.code, fit_reason(ending.reason)))
        await asyncio.gather(*closing)
        # Connections that were given up in these last moments.
        await self._stop_tasks()
