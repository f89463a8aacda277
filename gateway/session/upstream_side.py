"""The upstream's connections of one session: opens one after the other, and the next one beside it where the
conversation asks for that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway import log_events
from gateway.conversation.effects import SESSION_OVER, Effects, Ending, UpstreamProblem
from gateway.session.client_side import Start
from gateway.session.dialler import UpstreamUnavailable, closed, lasts, may_redial, stalled, unreachable
from gateway.session.leg import Leg
from gateway.session.sending import Sending
from gateway.session.share import LoopShare
from gateway.sockets.interface import ConnectionClosed, Socket

#: Seconds before the next attempt after an upstream closed before the conversation was there: doubled each time.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Upstream:
    """How a session reaches its upstream."""

    #: Opens a connection, until the given moment of the event loop's clock. Raises `UpstreamUnavailable`.
    dial: Callable[[float], Awaitable[Socket]]
    url: str
    #: Seconds for the first connection and its first event, and for all attempts to replace one that was lost.
    connect_timeout: float
    reconnect_timeout: float


class UpstreamSide:
    """Every connection is read in a task of its own, from its first event to its end: one that does not close holds up
    nobody, and one that takes another's place is read without a gap."""

    def __init__(
        self,
        sending: Sending,
        upstream: Upstream,
        leg: Callable[[Socket], Leg],
        clock: Callable[[], float],
        start: Start,
    ) -> None:
        """``leg`` makes the leg of a connection."""
        self._sending = sending
        self._conversation = sending.conversation
        self._upstream = upstream
        self._leg = leg
        self._clock = clock
        self._start = start
        #: Opens the next connection.
        self._dialling: asyncio.Task[Socket] | None = None

    async def run(self) -> None:
        """Serve one connection after the other, until the conversation needs none any more."""
        conversation = self._conversation
        until, pause = asyncio.get_running_loop().time() + self._upstream.connect_timeout, _FIRST_PAUSE
        lost_at = conversation.lost_at
        while True:
            problem = await self._serve(until)
            if problem is not None and conversation.ending is None:
                conversation.upstream_closed(problem, self._clock())
                _log_end(problem, conversation.ending)
            await self._sending.flush()
            if not conversation.reconnecting:
                return
            if conversation.lost_at != lost_at:
                # A connection that was where the conversation is may be replaced at once.
                log_events.upstream_lost(code=stalled().code if problem is None else problem.code)
                lost_at, pause = conversation.lost_at, _FIRST_PAUSE
                until = asyncio.get_running_loop().time() + self._upstream.reconnect_timeout
            else:
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _serve(self, until: float) -> UpstreamProblem | None:
        """Open a connection by ``until``, and wait until it ends, or that which takes its place. Returns why; None if
        the conversation has given it up."""
        conversation, loop = self._conversation, asyncio.get_running_loop()
        try:
            while True:
                async with asyncio.timeout_at(until):
                    leg = self._connect(await self._upstream.dial(until))
                # The first event must arrive soon: another connection may be better.
                async with asyncio.timeout_at(min(until, loop.time() + self._upstream.connect_timeout)):
                    await leg.begun.wait()
                ended = await self._until_lost()
                if ended is None:
                    return None
                self._disconnect()
                if conversation.connected or conversation.reconnecting or not may_redial(ended, conversation.refusal):
                    return closed(ended, conversation.refusal)
                await asyncio.sleep(_FIRST_PAUSE)
        except UpstreamUnavailable as unavailable:
            return unavailable.problem
        except TimeoutError:
            self._disconnect()
            return unreachable(self._upstream.url)

    async def _until_lost(self) -> ConnectionClosed | None:
        """Wait until the upstream's connection has ended, whichever it is then. Returns how; None if the conversation
        has given it up."""
        while (leg := self._sending.upstream) is not None:
            await leg.over.wait()
            if leg is self._sending.upstream:
                return leg.ended
        return None

    def _connect(self, socket: Socket) -> Leg:
        self._sending.upstream = leg = self._leg(socket)
        self._sending.connect_directly()
        self._start(self._read(leg))
        return leg

    def _disconnect(self) -> None:
        """Abort the upstream's connection: nothing more is sent to it, and nothing more taken from it."""
        leg, self._sending.upstream = self._sending.upstream, None
        if leg is not None:
            leg.leave()
            leg.cut()
            self._sending.connect_directly()

    async def _read(self, leg: Leg) -> None:
        """Handle the events of this connection, be it the upstream's or the next one, until it closes."""
        sending, conversation, receive, clock = self._sending, self._conversation, leg.socket.recv, self._clock
        share = LoopShare()
        while True:
            try:
                frame = await receive(decode=False)
            except ConnectionClosed as ended:
                self._ended(leg, ended)
                return
            if leg is sending.upstream:
                conversation.upstream_frame(frame, clock())
                if conversation.connected:
                    leg.begun.set()
            elif leg is sending.next:
                conversation.next_upstream_frame(frame, clock())
            else:
                continue
            await sending.flush()
            if share.spent(len(frame)):
                await asyncio.sleep(0)

    def _ended(self, leg: Leg, ended: ConnectionClosed) -> None:
        leg.leave(ended)
        if leg is self._sending.next:
            self._sending.next = None
            self._next_is_lost()

    # --- the next connection

    def carry_out(self, out: Effects) -> None:
        """Do what this says of the upstream's connections (`Upstreams`)."""
        if out.drop_next:
            self.drop_next()
        if out.renew_upstream:
            self._disconnect()
        if out.exchange_upstream:
            self._exchange()
        if out.prepare_upstream:
            self._start(self._prepare())

    def drop_next(self) -> None:
        """Abort the next connection, or the attempt to open it."""
        leg, self._sending.next = self._sending.next, None
        if leg is not None:
            leg.leave()
            leg.cut()
        elif self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None

    async def _prepare(self) -> None:
        """Open the next connection to the upstream, and read it."""
        until = asyncio.get_running_loop().time() + self._upstream.connect_timeout
        self._dialling = dialling = asyncio.ensure_future(self._upstream.dial(until))
        try:
            async with asyncio.timeout_at(until):
                socket = await dialling
        except asyncio.CancelledError:
            # Not needed any more, or the session is over.
            return
        except (UpstreamUnavailable, TimeoutError):
            self._next_is_lost()
            return
        if self._dialling is not dialling:
            # Not needed any more, just now.
            await socket.cut()
            return
        self._dialling, self._sending.next = None, self._leg(socket)
        await self._read(self._sending.next)

    def _next_is_lost(self) -> None:
        self._conversation.next_upstream_lost(self._clock())
        self._sending.hand_over_and_wake()

    def _exchange(self) -> None:
        """The next connection takes the place of this one, which is closed."""
        sending = self._sending
        before, sending.upstream, sending.next = sending.upstream, sending.next, None
        assert before is not None
        sending.connect_directly()
        before.leave()
        self._start(self._close(before))

    async def _close(self, leg: Leg) -> None:
        """Close a connection in whose place there is another one."""
        try:
            await leg.socket.close()
        finally:
            leg.cut()


def _log_end(problem: UpstreamProblem, ending: Ending | None) -> None:
    """Log why the session ends, if it does, for want of a connection."""
    if ending is None or ending.reason == SESSION_OVER.code:
        return
    event = log_events.upstream_refuses if lasts(problem) else log_events.upstream_given_up
    event(code=ending.reason)
