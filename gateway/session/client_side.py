"""The client's connections of one session, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway import log_events
from gateway.session.leg import Leg
from gateway.session.sending import Sending
from gateway.session.share import LoopShare
from gateway.sockets.interface import ConnectionClosed

#: Close codes (RFC 6455, 7.4.1).
_CLOSED_BY_CLIENT = 1000
_POLICY_VIOLATION = 1008

#: Runs something in a task of the session.
Start: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True)
class Parking:
    """Whether a client may return whose connection is lost: within ``window`` seconds, if ``allowed`` says so when it
    is lost."""

    window: float = 0.0
    allowed: Callable[[], bool] = lambda: True


class ClientSide:
    """Reads what the client sends, on one connection after the other, each in a task of its own: one that does not
    close holds up nobody. `gone` is set when the client has gone for good."""

    def __init__(self, sending: Sending, parking: Parking, clock: Callable[[], float], start: Start) -> None:
        self._sending = sending
        self._conversation = sending.conversation
        self._parking = parking
        self._clock = clock
        self._start = start
        #: Since when there is no client; None while there is one.
        self.parked_since: float | None = None
        self._returned = asyncio.Event()
        #: The client has closed its connection, or did not return.
        self.gone = asyncio.Event()

    @property
    def attachable(self) -> bool:
        """Whether a client may return to this session."""
        resumable = self._conversation.client_legs.sent is not None
        return resumable and not self.gone.is_set() and self._conversation.ending is None

    async def settled(self) -> None:
        """Return when it is known whether the client may return, whose connection has ended."""
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._sending.client.over, self.gone)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    def begin(self) -> None:
        """Serve the client's connection."""
        leg = self._sending.client
        if self._conversation.client_legs.sent is not None:
            # What has arrived matters to a client that may return.
            leg.socket.on_mark = lambda mark: self._arrived(leg, mark)
        self._start(self._serve(leg))

    def attach(self, leg: Leg, welcome: dict[str, Any], received: int | None) -> None:
        """The client is back on this connection, gets this first, and says that it has ``received`` so many messages,
        if it says so. A connection that it had before is closed."""
        sending = self._sending
        before = sending.client
        sending.hand_over()
        missed = self._conversation.client_returned(received, before.queue.texts, self._clock())
        leg.queue.repeat([welcome, *missed])
        leg.queue.take_over(before.queue)
        sending.client = leg
        if self.parked_since is None:
            # The newest connection wins.
            log_events.client_replaced()
            before.given_up = True
            self._start(self._replace(before))
        self.parked_since, sending.parked = None, False
        sending.connect_directly()
        self._returned.set()
        self.begin()

    async def _replace(self, leg: Leg) -> None:
        """Close a connection in whose place there is another one."""
        try:
            await leg.socket.close(_POLICY_VIOLATION, "SESSION_RESUMED_ELSEWHERE")
        finally:
            leg.leave()
            leg.cut()

    async def _serve(self, leg: Leg) -> None:
        """Serve this connection until it ends, the conversation has ended, or another one has taken its place."""
        try:
            await self._read(leg)
        except ConnectionClosed as ended:
            if leg is self._sending.client and not await self._wait_for_return(leg, ended):
                self.gone.set()

    async def _wait_for_return(self, leg: Leg, ended: ConnectionClosed) -> bool:
        """The client's connection has ended. Returns whether another one has taken its place."""
        conversation, sending = self._conversation, self._sending
        if not self.attachable or ended.code == _CLOSED_BY_CLIENT or not self._parking.allowed():
            return False
        log_events.client_lost(code=ended.code)
        self._returned.clear()
        conversation.counters.parked += 1
        self.parked_since, sending.parked = self._clock(), True
        sending.connect_directly()
        conversation.client_lost(self._clock(), leg.queue.texts, leg.queue.repeats)
        sending.hand_over_and_wake()
        leg.leave(ended)
        try:
            async with asyncio.timeout(self._parking.window):
                await self._returned.wait()
        except TimeoutError:
            if self.parked_since is not None:
                conversation.counters.not_returned += 1
                log_events.client_did_not_return()
        return self.parked_since is None

    def _arrived(self, leg: Leg, mark: bytes) -> None:
        if leg is self._sending.client:
            self._conversation.client_legs.proven(mark)
            self._sending.ask_what_arrived()

    async def _read(self, leg: Leg) -> None:
        """Handle what the client sends. Returns when the conversation has ended; raises `ConnectionClosed`."""
        sending = self._sending
        await sending.flush()
        conversation, receive, clock = self._conversation, leg.socket.recv, self._clock
        share = LoopShare()
        while True:
            frame = await receive()
            if leg.given_up:
                raise ConnectionClosed
            if isinstance(frame, str):
                conversation.client_text(frame.encode(), clock())
                await sending.flush()
            elif (
                not conversation.admits_audio(len(frame), clock())
                or (audio := conversation.client_audio(frame, clock())) is None
            ):
                await sending.flush()
            elif audio:
                await sending.append(audio)
            if conversation.ending is not None:
                # What the client has sent after that has no effect.
                return
            if share.spent(len(frame)):
                await asyncio.sleep(0)
