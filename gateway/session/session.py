"""One session: its connections, its timer, and the order in which it sends.

`gateway.conversation` takes all decisions. Its effects are added to one queue per connection at once, and every task
that flushes a queue sends from its front. So the order of decisions is the order on the wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import structlog

from gateway.conversation.conversation import NEVER, Conversation, Ending, UpstreamProblem
from gateway.conversation.counters import Cut, Peer
from gateway.session.dialler import UpstreamUnavailable, closed, may_redial, stalled, unreachable
from gateway.session.fast_path import FastPath
from gateway.session.leg import Leg
from gateway.session.publisher import Publisher
from gateway.session.share import LoopShare
from gateway.sockets.interface import ConnectionClosed, Socket, fit_reason
from gateway.sockets.send_queue import QueueLimits
from turngate.protocol.deepgram import events
from turngate.protocol.messages import Command
from turngate.protocol.openai.client_events import append_audio

log = structlog.get_logger(__name__)

#: Seconds before the next attempt after an upstream closed before the conversation was there: doubled each time.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
#: Close codes (RFC 6455, 7.4.1).
_CLOSED_BY_CLIENT = 1000
_POLICY_VIOLATION = 1008
_MAY_RETRY = 1011
#: Minimum number of seconds between two ticks.
_LEAST_PAUSE = 0.05


class Session:
    """One client, one upstream, one conversation. Call `run`, and meanwhile `command` and `watch`; `attach` for a
    client that returns."""

    def __init__(
        self,
        conversation: Conversation,
        client: Socket,
        dial: Callable[[float], Awaitable[Socket]],
        publisher: Publisher,
        *,
        upstream_url: str,
        connect_timeout: float,
        reconnect_timeout: float,
        stall: float,
        queue_limits: QueueLimits,
        clock: Callable[[], float] = monotonic,
        resume_window: float = 0.0,
        may_park: Callable[[], bool] = lambda: True,
    ) -> None:
        """``dial`` connects to the upstream until the given moment of the event loop's clock. Times in seconds;
        ``queue_limits`` hold for each peer. A client whose connection is lost may return within ``resume_window``, if
        ``may_park`` allows it then."""
        self.conversation = conversation
        self._dial = dial
        self._publisher = publisher
        self._upstream_url = upstream_url
        self._connect_timeout = connect_timeout
        self._reconnect_timeout = reconnect_timeout
        self._stall = stall
        self._queue_limits = queue_limits
        self._clock = clock
        self._resume_window = resume_window
        self._may_park = may_park
        #: Since when there is no client; None while there is one.
        self.parked_since: float | None = None
        self._returned = asyncio.Event()
        #: The client has closed its connection, or did not return: the session ends.
        self._client_is_gone = False
        self._client = Leg("client", client, clock, queue_limits)
        self._watch_arrivals(self._client)
        self._upstream: Leg | None = None
        self._fast_path = FastPath(conversation, clock, self._hand_over_and_wake, self.fail)
        self._woken = asyncio.Event()
        #: Tasks that close connections which others have replaced.
        self._closing: set[asyncio.Task[None]] = set()
        #: The next connection to the upstream, and the task that serves it until it takes this one's place.
        self._next: Leg | None = None
        self._preparing: asyncio.Task[None] | None = None
        #: It has taken this one's place, and nobody reads it yet.
        self._exchanged = False
        #: Calls `_tick` at the conversation's deadline as it was when the timer was set.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    @property
    def attachable(self) -> bool:
        """Whether a client may return to this session."""
        resumable = self.conversation.client_legs.sent is not None
        return resumable and not self._client_is_gone and self.conversation.ending is None

    @property
    def client(self) -> Leg:
        """The client's connection. When it is `Leg.over`, close it; `run` may go on without it."""
        return self._client

    async def run(self, welcome: dict[str, Any] | None = None) -> None:
        """Serve the client, which gets ``welcome`` first, until it does not return or the conversation ends. Returns
        when both sockets are closed."""
        conversation = self.conversation
        conversation.tell(welcome or events.welcome(conversation.session))
        tasks = [
            asyncio.create_task(part()) for part in (self._serve_client, self._serve_upstream, self._flush_when_woken)
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, ConnectionClosed):
                    self.fail(result)
            conversation.closed(self._clock())
            await self._close()
            self._client.over.set()

    def attach(self, socket: Socket, welcome: dict[str, Any], received: int | None) -> Leg:
        """The client is back on this connection, gets this first, and says that it has ``received`` so many messages,
        if it says so. A connection that it had before is closed. Returns the new one; see `client`."""
        before, now = self._client, self._clock()
        leg = Leg("client", socket, self._clock, self._queue_limits)
        self._hand_over()
        missed = self.conversation.client_returned(received, before.queue.texts, now)
        leg.queue.add([welcome, *missed])
        leg.queue.take_over(before.queue)
        self._client = leg
        self._watch_arrivals(leg)
        self._connect_directly()
        if self.parked_since is None:
            # The newest connection wins.
            log.info("client_replaced", session=self.conversation.session)
            before.given_up = True
            reason = "SESSION_RESUMED_ELSEWHERE"
            self._closing.add(closing := asyncio.create_task(before.socket.close(_POLICY_VIOLATION, reason)))
            closing.add_done_callback(self._closing.discard)
            closing.add_done_callback(lambda _: before.over.set())
        self.parked_since = None
        self._returned.set()
        return leg

    def command(self, command: Command) -> None:
        """Execute a translator's command. Returns at once."""
        try:
            self.conversation.command(command, self._clock())
        except Exception as error:
            # An exception in one session must not affect the other sessions of this process.
            self.fail(error)
        else:
            self._hand_over_and_wake()

    def watch(self) -> None:
        """Abort the connection of a peer that has read nothing for too long, or too little. Call it periodically."""
        for leg in self._legs():
            if leg.queue.stalled(self._stall):
                self._give_up(leg, Cut.STALLED)
            elif leg.socket.unsent > self._queue_limits.bytes:
                self._give_up(leg, Cut.OVERFLOWED)

    @property
    def replying(self) -> bool:
        """Whether the agent is in the middle of a reply: generated, or played by the client."""
        context = self.conversation.context
        return context.replying or context.downlink.playout.ends_at(self._clock()) > self._clock()

    @property
    def held_bytes(self) -> int:
        """Bytes that this session holds: received and not handled, requests, audio that waits, and what is queued."""
        queued = self._client.queue.bytes if self.parked_since is not None else 0
        return (
            queued
            + self.conversation.held_bytes
            + sum(leg.socket.unread + leg.socket.unsent + leg.queue.bytes for leg in self._legs())
        )

    def cut(self) -> None:
        """Abort both connections, without sending what is queued."""
        for leg in self._legs():
            leg.cut()

    def go_away(self) -> None:
        """The server is stopping: tell the client, and end the session."""
        self.conversation.tell_error("SERVER_GOING_AWAY", "The server is shutting down; connect again.")
        self.conversation.end(1012, "SERVER_GOING_AWAY")
        self._hand_over_and_wake()

    def fail(self, error: Exception) -> None:
        """End this session after an unexpected exception; tell the client."""
        log.error("session_failed", session=self.conversation.session, exc_info=error)
        self.conversation.tell_error("INTERNAL_SERVER_ERROR", "The session failed; connect again.")
        self.conversation.end(1011, "INTERNAL_SERVER_ERROR")
        self._hand_over_and_wake()

    # --- the client's connection

    async def _serve_client(self) -> None:
        """Serve one connection of the client after the other. Returns when the conversation has ended, or the client is
        gone."""
        while True:
            leg = self._client
            try:
                await self._read_client(leg)
                return
            except ConnectionClosed as ended:
                if leg is self._client and not await self._wait_for_return(leg, ended):
                    self._client_is_gone = True
                    return

    async def _wait_for_return(self, leg: Leg, ended: ConnectionClosed) -> bool:
        """The client's connection has ended. Returns whether another one has taken its place."""
        conversation = self.conversation
        if not self.attachable or ended.code == _CLOSED_BY_CLIENT or not self._may_park():
            return False
        log.info("client_lost", session=conversation.session, code=ended.code)
        self._returned.clear()
        self.parked_since = self._clock()
        self._connect_directly()
        conversation.client_lost(self._clock())
        self._hand_over_and_wake()
        leg.over.set()
        try:
            async with asyncio.timeout(self._resume_window):
                await self._returned.wait()
        except TimeoutError:
            if self.parked_since is not None:
                log.info("client_did_not_return", session=conversation.session)
        return self.parked_since is None

    def _watch_arrivals(self, leg: Leg) -> None:
        """Learn what the client has received on this connection, if it may return on another one."""
        if self.conversation.client_legs.sent is not None:
            leg.socket.on_mark = lambda mark: self._arrived(leg, mark)

    def _arrived(self, leg: Leg, mark: bytes) -> None:
        if leg is self._client:
            self.conversation.client_legs.proven(mark)
            self._ask_what_arrived()

    def _ask_what_arrived(self) -> None:
        """Send a ping, if there is something to learn, and nothing queued before it."""
        if self.parked_since is None and not self._client.queue.waiting:
            mark = self.conversation.client_legs.mark()
            if mark is not None:
                self._client.socket.mark(mark)

    def _connect_directly(self) -> None:
        """Forward audio directly between the connections that there are."""
        client = self._client.direct if self.parked_since is None else None
        self._fast_path.connect(client, self._upstream.direct if self._upstream is not None else None)

    async def _read_client(self, leg: Leg) -> None:
        await self._flush()
        conversation, receive, clock = self.conversation, leg.socket.recv, self._clock
        share = LoopShare()
        while True:
            frame = await receive()
            if leg.given_up:
                raise ConnectionClosed
            if isinstance(frame, str):
                conversation.client_text(frame.encode(), clock())
                await self._flush()
            elif (
                not conversation.admits_audio(len(frame), clock())
                or (audio := conversation.client_audio(frame, clock())) is None
            ):
                await self._flush()
            elif audio:
                await self._append(audio)
            if conversation.ending is not None:
                # What the client has sent after that has no effect.
                return
            if share.spent(len(frame)):
                await asyncio.sleep(0)

    async def _append(self, audio: bytes) -> None:
        leg = self._upstream
        if leg is None:
            return
        # If the connection is closed, its reader gets the same exception and reports it.
        try:  # noqa: SIM105 - runs for every frame
            await leg.queue.send(leg.socket, append_audio(audio), text=True)
        except ConnectionClosed:
            pass

    # --- the upstream's connection

    async def _serve_upstream(self) -> None:
        """Serve one connection after the other, until the conversation needs none any more."""
        conversation, clock = self.conversation, self._clock
        until, pause = asyncio.get_running_loop().time() + self._connect_timeout, _FIRST_PAUSE
        lost_at = conversation.lost_at
        while True:
            problem = await self._serve_connection(until)
            if problem is not None and conversation.ending is None:
                conversation.upstream_closed(problem, clock())
            await self._flush()
            if not conversation.reconnecting:
                return
            if conversation.lost_at != lost_at:
                # A connection that was where the conversation is may be replaced at once.
                lost_at, pause = conversation.lost_at, _FIRST_PAUSE
                until = asyncio.get_running_loop().time() + self._reconnect_timeout
            else:
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _serve_connection(self, until: float) -> UpstreamProblem | None:
        """Open a connection by ``until``, and serve it until it ends. Returns why; None if the conversation has given
        it up."""
        conversation, loop = self.conversation, asyncio.get_running_loop()
        try:
            while True:
                async with asyncio.timeout_at(until) as patience:
                    if self._exchanged and self._upstream is not None:
                        leg, self._exchanged = self._upstream, False
                        patience.reschedule(None)
                        await self._stop_preparing()
                    else:
                        socket = await self._dial(until)
                        # The first event must arrive soon: another connection may be better.
                        patience.reschedule(min(until, loop.time() + self._connect_timeout))
                        leg = self._connect(socket)
                    ended = await self._read_upstream(leg, patience)
                if leg.given_up and self._exchanged:
                    # The next one has taken its place.
                    continue
                if leg.given_up:
                    return None
                self._disconnect()
                if conversation.connected or conversation.reconnecting or not may_redial(ended, conversation.refusal):
                    return closed(ended, conversation.refusal)
                await asyncio.sleep(_FIRST_PAUSE)
        except UpstreamUnavailable as unavailable:
            return unavailable.problem
        except TimeoutError:
            self._disconnect()
            return unreachable(self._upstream_url)

    # --- the next connection

    async def _prepare_upstream(self) -> None:
        """Open the next connection to the upstream, and pass on its events until it takes the place of this one."""
        conversation, loop = self.conversation, asyncio.get_running_loop()
        until = loop.time() + self._connect_timeout
        try:
            async with asyncio.timeout_at(until):
                socket = await self._dial(until)
        except (UpstreamUnavailable, TimeoutError):
            conversation.next_upstream_lost(self._clock())
            self._hand_over_and_wake()
            return
        self._next = leg = Leg("upstream", socket, self._clock, self._queue_limits)
        while leg is self._next:
            try:
                frame = await socket.recv(decode=False)
            except ConnectionClosed:
                break
            conversation.next_upstream_frame(frame, self._clock())
            # Not `_flush`: this task may be cancelled, but not in the middle of sending.
            self._hand_over_and_wake()
        if leg is self._next:
            self._next = None
            conversation.next_upstream_lost(self._clock())
            self._hand_over_and_wake()

    def _exchange_upstream(self) -> None:
        """The next connection takes the place of this one, which is closed."""
        before, self._upstream, self._next = self._upstream, self._next, None
        assert before is not None
        self._exchanged = True
        before.given_up = True
        self._connect_directly()
        self._closing.add(closing := asyncio.create_task(before.socket.close()))
        closing.add_done_callback(self._closing.discard)

    def _drop_next(self) -> None:
        """Abort the next connection."""
        leg, self._next = self._next, None
        if leg is not None:
            leg.cut()
        elif self._preparing is not None:
            self._preparing.cancel()

    async def _stop_preparing(self) -> None:
        """Wait until nobody else reads the connection that has taken the place of another."""
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.wait([self._preparing])
            self._preparing = None

    def _connect(self, socket: Socket) -> Leg:
        self._upstream = leg = Leg("upstream", socket, self._clock, self._queue_limits)
        self._connect_directly()
        return leg

    def _disconnect(self) -> None:
        """Abort the upstream's connection: nothing more is sent to it, and nothing more taken from it."""
        if self._upstream is not None:
            self._upstream.give_up()
            self._upstream = None
            self._connect_directly()

    async def _read_upstream(self, leg: Leg, patience: asyncio.Timeout) -> ConnectionClosed:
        """Handle the upstream's events until it closes; returns how it closed. ``patience`` is switched off by
        ``session.created``."""
        conversation, receive, clock = self.conversation, leg.socket.recv, self._clock
        share = LoopShare()
        while True:
            try:
                frame = await receive(decode=False)
            except ConnectionClosed as ended:
                return ended
            if leg.given_up:
                continue
            conversation.upstream_frame(frame, clock())
            if conversation.connected and patience.when() is not None:
                patience.reschedule(None)
            await self._flush()
            if share.spent(len(frame)):
                await asyncio.sleep(0)

    # --- sending

    def _hand_over_and_wake(self, audio: bytes = b"") -> None:
        """Queue the conversation's effects, and then this piece of the agent's audio. For callers that cannot wait
        until it is sent."""
        self._hand_over()
        if audio and not self._client.add([audio]):
            self._give_up(self._client, Cut.OVERFLOWED)
        self._woken.set()

    async def _flush_when_woken(self) -> None:
        """Flush when woken. Returns when the conversation has ended and its output was sent."""
        while self.conversation.ending is None:
            await self._woken.wait()
            self._woken.clear()
            await self._flush()

    def _hand_over(self) -> None:
        """Queue the conversation's effects, without waiting."""
        conversation = self.conversation
        out = conversation.drain()
        if out.drop_next:
            self._drop_next()
        if out.renew_upstream:
            self._disconnect()
        if out.exchange_upstream:
            self._exchange_upstream()
        if out.prepare_upstream:
            self._preparing = asyncio.create_task(self._prepare_upstream())
        if self._next is not None and not self._next.add(out.to_next):
            self._drop_next()
        if not self._client.add(out.to_client):
            self._give_up(self._client, Cut.OVERFLOWED)
        if self._upstream is not None and not self._upstream.add(out.to_upstream):
            self._give_up(self._upstream, Cut.OVERFLOWED)
        for seq in out.to_publish:
            self._publisher.client_event(conversation, seq)
        if out.turn_changed:
            self._publisher.turn(conversation, urgent=out.turn_urgent)
        self._fast_path.open = conversation.live and conversation.ending is None
        self._set_timer()

    async def _flush(self) -> None:
        self._hand_over()
        if self._upstream is not None:
            # If the connection is closed, its reader gets the same exception and reports it.
            with contextlib.suppress(ConnectionClosed):
                await self._upstream.flush()
        if self._next is not None:
            with contextlib.suppress(ConnectionClosed):
                await self._next.flush()
        if self.parked_since is None:
            # The same for the client's.
            with contextlib.suppress(ConnectionClosed):
                await self._client.flush()
                self._ask_what_arrived()
        if self.conversation.ending is not None:
            self._woken.set()

    async def _close(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._flush()
        if self._timer is not None:
            self._timer.cancel()
        ending = self.conversation.ending or Ending(1000, "")
        # Both at the same time, so that the client's close frame does not wait for the upstream's answer.
        closing = []
        if self.parked_since is None:
            closing.append(self._client.socket.close(ending.code, fit_reason(ending.reason)))
        await self._stop_preparing()
        closing += [leg.socket.close() for leg in (self._upstream, self._next) if leg is not None]
        await asyncio.gather(*closing)

    def _legs(self) -> list[Leg]:
        """The connections that there are."""
        legs = [] if self.parked_since is not None else [self._client]
        return legs if self._upstream is None else [*legs, self._upstream]

    def _give_up(self, leg: Leg, why: Cut) -> None:
        """Abort the connection of a peer that does not read, which ends the session."""
        if leg is self._client and self.parked_since is not None:
            # Too much has come for a client that is gone.
            self.conversation.end(_MAY_RETRY, "the client is gone")
            return
        if leg.was_cut:
            return
        peer: Peer = leg.peer
        self.conversation.counters.cut[peer, why] += 1
        log.warning(why, session=self.conversation.session, peer=peer)
        leg.cut()
        if leg is self._upstream:
            # The client can still be served, or told.
            self.conversation.upstream_closed(stalled(), self._clock())
            self._hand_over_and_wake()

    # --- time

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
            self.fail(error)
        else:
            self._hand_over_and_wake()
