"""The listening socket for clients. `gateway.pages` answers plain HTTP."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from gateway import log_events, metrics
from gateway.admission.admission import Admission
from gateway.admission.authentication import Authentication
from gateway.admission.credentials import chosen
from gateway.admission.origins import Origins
from gateway.admission.resume_keys import ResumeKeys, Returning
from gateway.admission.tallies import Tallies
from gateway.config import GatewaySettings
from gateway.conversation.conversation import Conversation
from gateway.conversation.traces import Tracing
from gateway.descriptors import sessions_that_fit
from gateway.dialect import DIALECTS, Dialect
from gateway.moves import Moves
from gateway.pages import Pages
from gateway.redis_servers import RedisServer, RedisServers
from gateway.session.claims import TakenUp
from gateway.session.client_side import Parking
from gateway.session.dialler import Dialler
from gateway.session.session import Session
from gateway.session.upstream_side import Upstream
from gateway.sockets.accepting import until_none_waits
from gateway.sockets.interface import Engine, ListenOptions, Server, Socket, fit_reason
from gateway.sockets.send_queue import QueueLimits
from gateway.think_models import think_models
from session_state.owners import JournalEntry
from turngate.process.log_context import about
from turngate.protocol.deepgram import events
from turngate.protocol.messages import Command, JournalComplete, SessionClaimed
from turngate.tracing.spans import Tracer

#: How many looks at a socket fit into the time after which it counts as stalled, and the most seconds between two.
_STALL_LOOKS = 8
_LONGEST_LOOK = 1.0
#: Sessions that are looked at before others are served: a third of a millisecond.
_LOOKS_AT_ONCE = 32
#: The sessions that are handed over at a time are this part of all of them, at least.
_HAND_OVERS = 100
#: Close code of a client that is refused after the upgrade.
_TRY_AGAIN_LATER = 1013


class GatewayServer:
    """Every session of one gateway process."""

    def __init__(
        self,
        settings: GatewaySettings,
        engine: Engine,
        dialler: Dialler,
        redis: RedisServers,
        alive: Callable[[], bool],
        authentication: Authentication,
        origins: Origins,
        clock: Callable[[], float] = time.monotonic,
        tracer: Tracer | None = None,
        tallies: Tallies | None = None,
    ) -> None:
        """``alive`` says whether the process and its consumers work. ``clock`` gives seconds. ``tracer``, if sessions
        are traced. ``tallies``, if they are those of several processes. Raises `SettingsError` for a table of names
        that cannot be read."""
        self._tracer = tracer
        self._clock = clock
        self._settings = settings
        self._engine = engine
        fit = sessions_that_fit(settings.sessions_max, settings.workers)
        limits = replace(settings.admission, own_sessions=fit)
        self._resume_keys = ResumeKeys()
        self._admission = Admission(
            limits,
            authentication,
            origins,
            metrics.client_refused,
            lambda client: self._resume_keys.find(client) is not None,
            tallies,
        )
        models = think_models(settings.upstream_model, settings.names_file)
        self._pages = Pages(self._admission, models, alive, clock)
        self._limits = settings.limits
        self._dialler = dialler
        self._redis = redis
        self._counters = metrics.counters()
        self._metrics = metrics.SessionMetrics(
            self._counters,
            lambda: [session.conversation for session in self._sessions.values()],
            lambda: self._admission.held_bytes,
            lambda: self.parked,
        )
        self._sessions: dict[str, Session] = {}
        self._serving: set[asyncio.Task[None]] = set()
        #: Those that keep the journals of sessions that were handed over.
        self._keeping: set[asyncio.Task[None]] = set()
        self._server: Server | None = None
        self._listener: socket.socket | None = None
        self._closed = False

    async def start(self, listener: socket.socket) -> None:
        """Accept clients from now on. Run `watch` meanwhile."""
        settings = self._settings
        options = ListenOptions(
            serve=self._serve,
            respond=self._pages.respond,
            subprotocol=chosen,
            message_max=settings.client_frame_max_bytes,
            ping_interval=settings.client_ping_interval_ms / 1000,
            receive_buffer=settings.socket_unread_max_bytes,
        )
        self._listener = listener
        self._server = await self._engine.listen(listener, options)
        self._metrics.register()

    @property
    def sessions(self) -> Collection[Session]:
        return self._sessions.values()

    async def stop_listening(self) -> None:
        """Accept those clients that wait at the port, and no more."""
        if self._listener is not None and not self._closed:
            await until_none_waits(self._listener)
        self.close_listener()

    def close_listener(self) -> None:
        """Accept no more clients. Sessions that wait for theirs end, unless they can be handed over."""
        if self._server is not None and not self._closed:
            self._closed = True
            self._server.close(close_connections=False)
            for session in self._sessions.values():
                if session.parked_since is not None and not session.may_move:
                    session.go_away()

    def hand_over(self) -> bool:
        """Let go of some sessions with which another gateway can go on now, and nobody notices. Call it again and again
        while the gateway empties, so that not all clients come back at once. While Redis takes no journals, none go.
        Returns whether the next gateway of some session does not have it yet."""
        sessions = self._sessions.values()
        movable = [session for session in sessions if session.may_move and self._moves(session).work]
        for session in movable[: 1 + len(self._sessions) // _HAND_OVERS]:
            self._in_background(self._let_go(session), self._serving)
        return bool(self._keeping)

    def _fenced(self, session: Session, entry: JournalEntry) -> None:
        self._in_background(self._moves(session).fenced(session, entry), self._serving)

    def _moves(self, session: Session) -> Moves:
        return self._redis[session.server].moves

    async def _let_go(self, session: Session) -> None:
        entry = await self._moves(session).let_go(session)
        if entry is not None:
            self._in_background(self._moves(session).keep(entry), self._keeping)

    async def stop(self, timeout: float) -> None:
        """Accept no more, tell every client, and wait for their sessions; after ``timeout`` seconds the rest is cut."""
        if self._server is None:
            return
        self.close_listener()
        for task in self._keeping:
            task.cancel()
        for session in self._sessions.values():
            if session.is_written_down:
                self._in_background(self._let_go(session), self._serving)
            else:
                session.go_away()
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=timeout)
            if late:
                log_events.sessions_cut(sessions=len(late))
        for session in self._sessions.values():
            session.cut()
        await self._server.wait_closed()
        self._metrics.unregister()

    def command(self, command: Command, server: str) -> None:
        """A command for one session, from this Redis server. One for a session that is over is dropped: nothing of it
        matters any more."""
        session, moves = self._sessions.get(command.session), self._redis[server].moves
        match command:
            case JournalComplete():
                moves.completed(command)
            case SessionClaimed():
                self._in_background(moves.give(command, session), self._serving)
            case _ if session is not None:
                session.command(command)

    async def watch(self) -> None:
        """Cut peers that do not read, and measure what the sessions hold, until cancelled. Audio need not wait until
        all sessions have been looked at."""
        pause = min(self._settings.client_stall_ms / 1000 / _STALL_LOOKS, _LONGEST_LOOK)
        while True:
            await asyncio.sleep(pause)
            held = 0
            for looked, session in enumerate(list(self._sessions.values()), 1):
                if self._sessions.get(session.name) is session:
                    held += session.watch()
                if looked % _LOOKS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            self._admission.held_bytes = held

    async def _serve(self, client: Socket, path: str, name: str, address: str) -> None:
        try:
            refusal = self._admission.begin(name, address, self._clock())
            if refusal is not None:
                log_events.client_refused(reason=refusal.reason)
                await client.close(_TRY_AGAIN_LATER, fit_reason(refusal.text))
                return
            await self._converse(client, DIALECTS[urlsplit(path).path], name)
        finally:
            # The session may outlive its client's connection.
            if name not in self._sessions:
                self._admission.end(name)

    async def _converse(self, client: Socket, dialect: Dialect, name: str) -> None:
        """Serve this connection, in its own session or in that to which its client returns."""
        credential, returning = self._admission.returning(name)
        session = await self._of_this_gateway(returning)
        if session is not None and session.attachable:
            parked = session.parked_since is not None
            metrics.client_returned(parked=parked)
            handle = self._resume_keys.enter(session.name, credential, returning)
            welcome = events.welcome(session.name, resumed=True, resume=handle)
            with about(session.name, session.conversation.trace):
                log_events.client_returned(parked=parked)
                leg = session.attach(client, welcome, returning.received)
        else:
            self._admission.new_session(name)
            # One that has ended here has ended, whatever Redis still knows of it.
            over = session is not None and not session.handed_over
            taken = None if over else await self._redis.claim(returning, lambda: client.open)
            session = None if taken is None else self._take_up(*taken, client, dialect, name)
            session = session or self._new(client, dialect, name)
            leg = session.client
        await leg.over.wait()

    async def _of_this_gateway(self, returning: Returning) -> Session | None:
        """The session of this gateway to which the client returns; it may be over (`Session.attachable`). One that has
        rested without a client may have become another gateway's meanwhile."""
        session = self._sessions.get(self._resume_keys.find(returning) or "")
        if session is None or not session.attachable:
            return session
        if session.parked_since is None and not session.client.socket.open:
            # Its connection has ended a moment ago, and the session is about to hear how.
            await session.client_settled()
        if session.parked_since is not None and not await self._moves(session).owns(session):
            session.fenced()
        return session

    def _new(self, client: Socket, dialect: Dialect, name: str) -> Session:
        """A new session."""
        credential, returning = self._admission.returning(name)
        resumable = returning.resumable and self._settings.resume_window_ms > 0
        handle = self._resume_keys.enter(name, credential, returning) if resumable else None
        tracing = self._tracing(returning.trace)
        conversation = self._conversation(dialect, name, resumable=resumable, tracing=tracing)
        session = self._session(conversation, client, self._redis.place(name))
        self._begin(session, events.welcome(name, resumed=False if returning.asks else None, resume=handle))
        return session

    def _take_up(
        self, server: RedisServer, taken: TakenUp, client: Socket, dialect: Dialect, name: str
    ) -> Session | None:
        """Go on with a session of another gateway, which belongs to this Redis server. None if what is known of it
        cannot be used."""
        credential, returning = self._admission.returning(name)
        try:
            origin = taken.parts["about"]
            age = max(time.time() - origin["began_at"], 0.0)
            conversation = self._conversation(
                dialect,
                taken.session,
                resumable=True,
                epoch=taken.epoch,
                age=age,
                tracing=self._tracing(returning.trace, taken.traceparent),
            )
            conversation.take_up(taken.parts, self._clock())
            recovered = {"messages": taken.parts["client"]["messages"], "audio_ms": origin["audio_ms"]}
        except Exception as error:
            # Whatever is wrong with it, the client is there, and gets a new session.
            with about(taken.session):
                log_events.session_not_taken_up(exc_info=error)
            return None
        self._admission.rename(name, taken.session)
        handle = self._resume_keys.enter(taken.session, credential, returning)
        welcome = events.welcome(
            taken.session, resumed=True, resume=handle, recovered=None if taken.complete else recovered
        )
        session = self._session(conversation, client, server)
        self._begin(session, welcome, conversation.client_returned(returning.received, 0, self._clock()))
        return session

    def _conversation(
        self,
        dialect: Dialect,
        name: str,
        *,
        resumable: bool,
        epoch: int = 0,
        age: float = 0.0,
        tracing: Tracing | None = None,
    ) -> Conversation:
        limits = self._limits
        if not self._admission.key_options(name).latency_reports:
            limits = replace(limits, latency_reports=False)
        return Conversation(
            name,
            self._settings.gateway_id,
            dialect,
            limits,
            self._clock(),
            self._counters,
            resumable=resumable,
            unix_offset=time.time() - self._clock(),
            epoch=epoch,
            age=age,
            moves=self._redis.sessions_move,
            tracing=tracing,
        )

    def _tracing(self, client: str, claim: str = "") -> Tracing | None:
        """How a conversation is traced whose client has this trace of its own, and which was claimed in this span."""
        if self._tracer is None:
            return None
        upstream = urlsplit(self._settings.upstream)
        port = upstream.port or (443 if upstream.scheme == "wss" else 80)
        return Tracing(self._tracer, upstream.hostname or "", port, time.time() - self._clock(), client, claim)

    def _session(self, conversation: Conversation, client: Socket, server: RedisServer) -> Session:
        settings = self._settings
        return Session(
            conversation,
            client,
            Upstream(
                self._dialler.dial,
                settings.upstream,
                settings.upstream_connect_timeout_ms / 1000,
                settings.upstream_reconnect_ms / 1000,
            ),
            server.publisher,
            stall=settings.client_stall_ms / 1000,
            queue_limits=QueueLimits(settings.session_messages_max, settings.session_queue_max_bytes),
            clock=self._clock,
            parking=Parking(
                settings.resume_window_ms / 1000, lambda: not self._closed and self.parked < settings.parked_max
            ),
            writing=server.moves.writing(self._resume_keys.of, self._fenced)
            if conversation.journal is not None
            else None,
            server=server.name,
        )

    @property
    def parked(self) -> int:
        """The number of sessions without a client."""
        return sum(session.parked_since is not None for session in self._sessions.values())

    def _begin(self, session: Session, welcome: dict[str, Any], missed: Sequence[dict[str, Any]] | None = None) -> None:
        """Run a session in a task of its own, since it may outlive its client's connection."""
        self._sessions[session.name] = session
        self._in_background(self._run(session, welcome, missed), self._serving)

    def _in_background(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _run(self, session: Session, welcome: dict[str, Any], missed: Sequence[dict[str, Any]] | None) -> None:
        name, began = session.name, self._clock()
        with about(name, session.conversation.trace), self._redis.logging(self._redis[session.server]):
            dialect = session.conversation.context.dialect.name
            log_events.session_started(dialect=dialect, sessions=len(self._sessions))
            try:
                await session.run(welcome, missed)
            finally:
                self._moves(session).ended(session, self._resume_keys.of(name))
                # It may have come back meanwhile, from another gateway.
                if self._sessions.get(name) is session:
                    del self._sessions[name]
                    self._resume_keys.forget(name)
                    self._admission.end(name)
                session.client.leave()
                ending, seconds = session.ending, round(self._clock() - began, 3)
                log_events.session_ended(
                    code=ending.code, reason=ending.reason, seconds=seconds, sessions=len(self._sessions)
                )
