"""Carries out what a conversation has decided: queues it for the connections of the session, in order, and sends it.

Effects are added to one queue per connection at once, and every task that flushes a queue sends from its front. So the
order of decisions is the order on the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from gateway import log_events
from gateway.conversation.conversation import NEVER, Conversation
from gateway.conversation.counters import Cut
from gateway.conversation.effects import Effects
from gateway.session.dialler import stalled
from gateway.session.fast_path import FastPath
from gateway.session.leg import Leg
from gateway.session.publisher import Publisher
from gateway.sockets.interface import ConnectionClosed
from turngate.process.log_context import about
from turngate.protocol.openai.client_events import append_audio

_MAY_RETRY = 1011
#: Minimum number of seconds between two ticks.
_LEAST_PAUSE = 0.05


class Upstreams(Protocol):
    """Opens and exchanges the upstream's connections."""

    def carry_out(self, out: Effects) -> None:
        """Do what this says of the upstream's connections, before anything of it is sent."""

    def drop_next(self) -> None:
        """Abort the next connection."""


class Sending:
    """The connections of one session, its timer, and what is sent."""

    def __init__(
        self,
        conversation: Conversation,
        client: Leg,
        publisher: Publisher,
        clock: Callable[[], float],
        fail: Callable[[Exception], None],
        journal: Callable[[Effects], None],
    ) -> None:
        """``clock`` returns seconds. ``fail`` ends the session after an unexpected exception; ``journal`` is called
        when something has changed that is written down. Assign `upstreams` before anything is sent."""
        self.conversation = conversation
        #: The client's connection, or the last one it had.
        self.client = client
        #: There is no client, and it may return.
        self.parked = False
        self.upstream: Leg | None = None
        #: The connection that will take the upstream's place.
        self.next: Leg | None = None
        self.upstreams: Upstreams
        self._publisher = publisher
        self._clock = clock
        self._fail = fail
        self._journal = journal
        #: Another gateway goes on with the session: nothing more is sent.
        self._silent = False
        self._fast_path = FastPath(conversation, clock, self.hand_over_and_wake, fail)
        self._woken = asyncio.Event()
        #: Calls `_tick` at the conversation's deadline as it was when the timer was set.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def legs(self) -> list[Leg]:
        """The connections that there are."""
        legs = [] if self.parked else [self.client]
        return legs if self.upstream is None else [*legs, self.upstream]

    def connect_directly(self) -> None:
        """Forward audio directly between the connections that there are."""
        client = self.client.direct if not self.parked else None
        upstream = self.upstream.direct if self.upstream is not None else None
        self._fast_path.connect(client, upstream, self.client.queue.waiting)

    def hand_over_and_wake(self) -> None:
        """Queue the conversation's effects. For callers that cannot wait until they are sent: what can be sent at once
        is, since a task that is woken runs after the audio of all sessions that has come meanwhile."""
        self.hand_over()
        if not self._post():
            self._woken.set()

    def _post(self) -> bool:
        """Send what the peers take at once. Returns whether that was all there is to do."""
        if self._silent:
            return False
        for leg in (self.upstream, self.next):
            if leg is not None:
                leg.post()
        if not self.parked:
            self.client.post()
            self.ask_what_arrived()
        waiting = any(leg.queue.waiting for leg in (*self.legs, self.next) if leg is not None)
        return not waiting and self.conversation.ending is None

    async def flush_when_woken(self) -> None:
        """Flush when woken. Returns when the conversation has ended and its output was sent."""
        while self.conversation.ending is None:
            await self._woken.wait()
            self._woken.clear()
            await self.flush()

    def hand_over(self) -> None:
        """Queue the conversation's effects, without waiting."""
        conversation = self.conversation
        out = conversation.drain()
        if self._silent:
            return
        self.upstreams.carry_out(out)
        if self.next is not None and not self.next.add(out.to_next):
            self.upstreams.drop_next()
        if not self.client.add(out.to_client):
            self.give_up(self.client, Cut.OVERFLOWED)
        if self.upstream is not None and not self.upstream.add(out.to_upstream):
            self.give_up(self.upstream, Cut.OVERFLOWED)
        for seq in out.to_publish:
            self._publisher.client_event(conversation, seq)
        if out.turn_changed:
            self._publisher.turn(conversation, urgent=out.turn_urgent)
        if out.journal_changed or out.journal_due:
            self._journal(out)
        self._fast_path.open = conversation.live and conversation.ending is None
        self._set_timer()

    async def flush(self) -> None:
        """Queue the conversation's effects, and send everything that is queued. If a connection is closed, its reader
        gets the same exception and reports it."""
        self.hand_over()
        if self._silent:
            return
        for leg in (self.upstream, self.next):
            if leg is not None:
                with contextlib.suppress(ConnectionClosed):
                    await leg.flush()
        if not self.parked:
            with contextlib.suppress(ConnectionClosed):
                await self.client.flush()
                self.ask_what_arrived()
        if self.conversation.ending is not None:
            self._woken.set()

    def silence(self) -> None:
        """Send nothing more, also of what is queued: another gateway goes on with the session."""
        self._silent = True
        for leg in (self.client, self.upstream, self.next):
            if leg is not None:
                leg.queue.clear()
        self._fast_path.connect(None, None)

    async def append(self, audio: bytes) -> None:
        """Send a piece of the user's audio. Runs for every frame that is not forwarded directly."""
        leg = self.upstream
        if leg is None or self._silent:
            return
        try:  # noqa: SIM105 - runs for every frame
            await leg.queue.send(leg.socket, append_audio(audio), text=True)
        except ConnectionClosed:
            pass

    def ask_what_arrived(self) -> None:
        """Send the client a ping, if there is something to learn from its pong, and nothing queued before it."""
        if not self.parked and not self.client.queue.waiting:
            mark = self.conversation.client_legs.mark()
            if mark is not None:
                self.client.socket.mark(mark)

    # --- peers that do not read

    def watch(self, stall: float, most_bytes: int) -> int:
        """Abort the connection of a peer that has read nothing for ``stall`` seconds, or for which more is unsent.
        Returns the bytes that are received and not handled, or queued."""
        held = self.client.queue.bytes if self.parked else 0
        for leg in self.legs:
            unsent = leg.socket.unsent
            held += unsent + leg.socket.unread + leg.queue.bytes
            if leg.queue.stalled(stall):
                self.give_up(leg, Cut.STALLED)
            elif unsent > most_bytes:
                self.give_up(leg, Cut.OVERFLOWED)
        return held

    def give_up(self, leg: Leg, why: Cut) -> None:
        """Abort the connection of a peer that does not read."""
        if leg is self.client and self.parked:
            # Too much has come for a client that is gone.
            self.conversation.end(_MAY_RETRY, "the client is gone")
            return
        if leg.was_cut:
            return
        self.conversation.counters.cut[leg.peer, why] += 1
        cut = log_events.upstream_cut if leg is self.upstream else log_events.client_cut
        with about(self.conversation.session, self.conversation.trace):
            cut(why=why.value)
        leg.cut()
        if leg is self.upstream:
            # The client can still be served, or told.
            self.conversation.upstream_closed(stalled(), self._clock())
            self.hand_over_and_wake()

    # --- time

    def stop_timer(self) -> None:
        """Call when the session is over."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        """Set the timer for the conversation's deadline. If the deadline has moved to later, the timer is kept, and set
        again when it fires."""
        deadline = self.conversation.deadline()
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline != NEVER:
            self._timer_at = deadline
            pause = max(deadline - self._clock(), _LEAST_PAUSE)
            self._timer = asyncio.get_running_loop().call_later(pause, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        if self.conversation.deadline() > now:
            self._set_timer()
            return
        try:
            self.conversation.tick(now)
        except Exception as error:
            self._fail(error)
        else:
            self.hand_over_and_wake()
