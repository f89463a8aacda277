"""The listening socket: accepts clients, answers health and metrics over HTTP on the same port, lists the sessions."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway import metrics
from gateway.admission.credentials import Keys, Unauthorized, chosen
from gateway.config import GatewaySettings
from gateway.conversation.conversation import Conversation
from gateway.dialect import DIALECTS
from gateway.session.dialler import Dialler
from gateway.session.publisher import Publisher
from gateway.session.session import Session
from gateway.sockets.interface import Engine, HttpRequest, HttpResponse, ListenOptions, Server, Socket
from turngate.protocol.messages import Command

log = structlog.get_logger(__name__)

#: How many looks at a socket fit into the time after which it counts as stalled, and the most seconds between two.
_STALL_LOOKS = 8
_LONGEST_LOOK = 1.0


class GatewayServer:
    """Every session of one gateway process."""

    def __init__(
        self,
        settings: GatewaySettings,
        engine: Engine,
        dialler: Dialler,
        publisher: Publisher,
        alive: Callable[[], bool],
        ready: Callable[[], bool],
        keys: Keys | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``alive`` says whether the process and its consumers work, ``ready`` whether Redis does too. Without ``keys``
        anybody may connect. ``clock`` gives seconds."""
        self._clock = clock
        self._settings = settings
        self._engine = engine
        self._keys = keys
        self._limits = settings.limits
        self._dialler = dialler
        self._publisher = publisher
        self._alive = alive
        self._ready = ready
        self._counters = metrics.counters()
        self._metrics = metrics.SessionMetrics(
            self._counters, lambda: [session.conversation for session in self._sessions.values()]
        )
        self._sessions: dict[str, Session] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._server: Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept clients from now on. Run `watch` meanwhile."""
        settings = self._settings
        options = ListenOptions(
            serve=self._serve,
            respond=self._respond,
            subprotocol=chosen,
            message_max=settings.client_frame_max_bytes,
            ping_interval=settings.client_ping_interval_ms / 1000,
            receive_buffer=settings.socket_unread_max_bytes,
        )
        self._server = await self._engine.listen(listener, options)
        self._metrics.register()

    async def stop(self, timeout: float) -> None:
        """Accept no more, tell every client, and wait for their sessions; after ``timeout`` seconds the rest is cut."""
        if self._server is None:
            return
        self._server.close(close_connections=False)
        for session in self._sessions.values():
            session.go_away()
        if self._serving:
            _, late = await asyncio.wait(self._serving, timeout=timeout)
            if late:
                log.warning("sessions_cut", sessions=len(late))
        for session in self._sessions.values():
            session.cut()
        await self._server.wait_closed()
        self._metrics.unregister()

    def command(self, command: Command) -> None:
        """A translator's command. One for a session that is over is dropped: nothing of it matters any more."""
        session = self._sessions.get(command.session)
        if session is not None:
            session.command(command)

    async def watch(self) -> None:
        """Cut peers that do not read, until cancelled."""
        pause = min(self._settings.client_stall_ms / 1000 / _STALL_LOOKS, _LONGEST_LOOK)
        while True:
            await asyncio.sleep(pause)
            for session in self._sessions.values():
                session.watch()

    async def _serve(self, client: Socket, path: str, name: str) -> None:
        dialect = DIALECTS[urlsplit(path).path]
        settings = self._settings
        conversation = Conversation(name, settings.gateway_id, dialect, self._limits, self._clock(), self._counters)
        session = Session(
            conversation,
            client,
            self._dialler.dial,
            self._publisher,
            upstream_url=settings.upstream,
            connect_timeout=settings.upstream_connect_timeout_ms / 1000,
            stall=settings.client_stall_ms / 1000,
            messages_max=settings.session_messages_max,
            clock=self._clock,
        )
        serving = asyncio.current_task()
        assert serving is not None
        self._sessions[name] = session
        self._serving.add(serving)
        log.info("session_started", session=name, dialect=dialect.name, sessions=len(self._sessions))
        try:
            await session.run()
        finally:
            del self._sessions[name]
            self._serving.discard(serving)
            log.info("session_ended", session=name, sessions=len(self._sessions))

    def _respond(self, request: HttpRequest) -> HttpResponse | None:
        path = urlsplit(request.path).path
        if path == "/health":
            return _json(
                HTTPStatus.OK if self._alive() else HTTPStatus.SERVICE_UNAVAILABLE, {"consumers": self._alive()}
            )
        if path == "/ready":
            ready = self._ready()
            return _json(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, {"ready": ready})
        if path == "/metrics":
            return HttpResponse(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest())
        if path not in DIALECTS:
            return _json(HTTPStatus.NOT_FOUND, {"error": f"no such path; agents converse on {' or '.join(DIALECTS)}"})
        if self._keys is not None:
            try:
                self._keys.admit(request.values("Authorization"), request.values("Sec-WebSocket-Protocol"))
            except Unauthorized as reason:
                log.info("client_refused", reason=str(reason))
                return _json(HTTPStatus.UNAUTHORIZED, {"error": str(reason)}, {"WWW-Authenticate": "Token, Bearer"})
        if len(self._sessions) >= self._settings.sessions_max:
            return _json(HTTPStatus.TOO_MANY_REQUESTS, {"error": "this gateway has all the sessions it may have"})
        return None


def _json(status: HTTPStatus, body: object, headers: Mapping[str, str] | None = None) -> HttpResponse:
    return HttpResponse(status, "application/json", orjson.dumps(body), headers or {})
