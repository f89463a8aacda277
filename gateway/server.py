"""The listening socket: accepts clients, answers health and metrics over HTTP on the same port, lists the sessions."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from urllib.parse import urlsplit

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from contracts.broker import Command
from gateway import metrics
from gateway.auth import Keys, Unauthorized, chosen
from gateway.config import GatewaySettings
from gateway.conversation import Conversation
from gateway.dialect import DIALECTS
from gateway.publisher import Publisher
from gateway.session import Session
from gateway.upstream import Dialler

log = structlog.get_logger(__name__)

#: Seconds between two looks at the sessions' deadlines.
_TICK = 0.1
_SUBPROTOCOLS = "Sec-WebSocket-Protocol"


class GatewayServer:
    """Every session of one gateway process."""

    def __init__(
        self,
        settings: GatewaySettings,
        dialler: Dialler,
        publisher: Publisher,
        alive: Callable[[], bool],
        ready: Callable[[], Awaitable[bool]],
        keys: Keys | None,
    ) -> None:
        """``alive`` and ``ready`` speak for the broker's consumers. Without ``keys`` anybody may connect."""
        self._settings = settings
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
        self._ticker: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept clients from now on."""
        settings = self._settings
        ping = settings.client_ping_interval_ms / 1000
        self._server = await serve(
            self._serve,
            sock=listener,
            process_request=self._answer_http,
            process_response=_name_request,
            select_subprotocol=_choose_subprotocol,
            compression=None,
            max_size=settings.client_frame_max_bytes,
            max_queue=(64, 16),
            ping_interval=ping,
            ping_timeout=ping,
            close_timeout=2,
            server_header="turngate",
        )
        self._ticker = asyncio.create_task(self._tick())
        self._metrics.register()

    async def stop(self, timeout: float) -> None:
        """Accept no more, tell every client, and wait for their sessions; after ``timeout`` seconds the rest is cut."""
        if self._server is None or self._ticker is None:
            return
        self._server.close(close_connections=False)
        for session in self._sessions.values():
            session.go_away()
        if self._serving:
            _, cut = await asyncio.wait(self._serving, timeout=timeout)
            if cut:
                log.warning("sessions_cut", sessions=len(cut))
        self._ticker.cancel()
        self._metrics.unregister()
        self._server.close()
        await self._server.wait_closed()

    def command(self, command: Command) -> None:
        """A translator's command. One for a session that is over is dropped: nothing of it matters any more."""
        session = self._sessions.get(command.session)
        if session is not None:
            _guarded(session, partial(session.command, command))

    async def _serve(self, client: ServerConnection) -> None:
        assert client.request is not None
        dialect = DIALECTS[urlsplit(client.request.path).path]
        settings, name = self._settings, str(client.id)
        conversation = Conversation(name, settings.gateway_id, dialect, self._limits, time.monotonic(), self._counters)
        session = Session(
            conversation,
            client,
            self._dialler.dial,
            self._publisher,
            upstream_url=settings.upstream,
            connect_timeout=settings.upstream_connect_timeout_ms / 1000,
            stall=settings.client_stall_ms / 1000,
            early_audio_max=settings.early_audio_max_bytes,
            clock=time.monotonic,
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

    async def _answer_http(self, client: ServerConnection, request: Request) -> Response | None:
        path = urlsplit(request.path).path
        if path == "/health":
            return _json(
                HTTPStatus.OK if self._alive() else HTTPStatus.SERVICE_UNAVAILABLE, {"consumers": self._alive()}
            )
        if path == "/ready":
            ready = await self._ready()
            return _json(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, {"ready": ready})
        if path == "/metrics":
            return _respond(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest())
        if path not in DIALECTS:
            return _json(HTTPStatus.NOT_FOUND, {"error": f"no such path; agents converse on {' or '.join(DIALECTS)}"})
        if self._keys is not None:
            try:
                self._keys.admit(request.headers.get_all("Authorization"), request.headers.get_all(_SUBPROTOCOLS))
            except Unauthorized as reason:
                log.info("client_refused", reason=str(reason))
                return _json(HTTPStatus.UNAUTHORIZED, {"error": str(reason)}, {"WWW-Authenticate": "Token, Bearer"})
        if len(self._sessions) >= self._settings.sessions_max:
            return _json(HTTPStatus.TOO_MANY_REQUESTS, {"error": "this gateway has all the sessions it may have"})
        return None

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            for session in list(self._sessions.values()):
                _guarded(session, partial(session.tick, now))


def _guarded(session: Session, step: Callable[[], None]) -> None:
    """A defect that shows in one session must not reach those that share its reader or its clock."""
    try:
        step()
    except Exception as error:
        session.fail(error)


def _name_request(client: ServerConnection, request: Request, response: Response) -> None:
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers["dg-request-id"] = str(client.id)


def _choose_subprotocol(client: ServerConnection, names: Sequence[Subprotocol]) -> Subprotocol | None:
    name = chosen(names)
    return None if name is None else Subprotocol(name)


def _json(status: HTTPStatus, body: object, headers: Mapping[str, str] | None = None) -> Response:
    return _respond(status, "application/json", orjson.dumps(body), headers)


def _respond(status: HTTPStatus, content_type: str, body: bytes, more: Mapping[str, str] | None = None) -> Response:
    headers = Headers({"Content-Type": content_type, "Content-Length": str(len(body)), "Connection": "close"})
    headers.update(more or {})
    return Response(status.value, status.phrase, headers, body)
