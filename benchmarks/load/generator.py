"""The load generator: all clients and the upstream in this process, on native callbacks for a low overhead."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from picows import WSCloseCode, WSListener, WSUpgradeRequest, ws_connect, ws_create_server

from benchmarks.load.flow import Flow
from benchmarks.load.frames import UPSTREAM_RATE, frame_bytes
from benchmarks.load.session import ClientEnd, LoadSession, RealtimeClientEnd, UpstreamEnd
from turngate.local.ports import free_port

#: Maximum number of concurrent connection attempts, and the timeout for all of them in seconds.
_AT_ONCE = 25
_PATIENCE = 60.0


class Generator:
    """Creates sessions with `open`. As a context manager it runs the upstream, which listens at `url`, and with a
    certificate also at `tls_url`."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        """``certificate`` and its key are for localhost."""
        self._certificate = certificate
        self._sessions: dict[str, LoadSession] = {}
        self._next = 1
        self._servers: list[asyncio.Server] = []
        self.url = ""
        self.tls_url = ""

    async def __aenter__(self) -> Generator:
        def accept(request: WSUpgradeRequest) -> WSListener:
            return UpstreamEnd(self._sessions, request)

        async def listen(context: ssl.SSLContext | None) -> int:
            port = free_port()
            self._servers.append(await ws_create_server(accept, "127.0.0.1", port, ssl=context, backlog=2_048))
            return port

        self.url = f"ws://127.0.0.1:{await listen(None)}"
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            self.tls_url = f"wss://localhost:{await listen(context)}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()

    @asynccontextmanager
    async def open(
        self, count: int, url: str, settings: dict[str, object] | None
    ) -> AsyncIterator[Sequence[LoadSession]]:
        """Open ``count`` sessions with the server at ``url``; yields them when ready, and closes them at the end.

        settings: what each client sends first, see `Subject.settings`; the session's mark is added to the prompt. None:
        the mark is in the path, and both ends use binary frames only. Raises TimeoutError if they do not all become
        ready.
        """
        gate = asyncio.Semaphore(_AT_ONCE)

        async def connect_in_turn(session: LoadSession) -> None:
            async with gate:
                await connect(session, url, settings)

        async with self.sessions(count, plain=settings is None) as sessions:
            async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
                for session in sessions:
                    group.create_task(connect_in_turn(session))
            yield sessions

    @asynccontextmanager
    async def sessions(self, count: int, *, plain: bool = False) -> AsyncIterator[Sequence[LoadSession]]:
        """Create ``count`` sessions to `connect`. At the end both ends of each must be closed; raises TimeoutError
        otherwise. ``plain``: they use binary frames only."""
        sessions = [self._session(plain) for _ in range(count)]
        try:
            yield sessions
        finally:
            await self._close(sessions)

    def _session(self, plain: bool) -> LoadSession:
        size = frame_bytes(UPSTREAM_RATE)
        session = LoadSession(self._next, Flow(frame_bytes(16_000) if plain else size), Flow(size))
        self._next += 1
        self._sessions[session.mark] = session
        return session

    async def _close(self, sessions: Sequence[LoadSession]) -> None:
        for session in sessions:
            if session.client is not None:
                session.client.send_close(WSCloseCode.OK)
        async with asyncio.timeout(_PATIENCE):
            while any(session.client is not None or session.upstream is not None for session in sessions):
                await asyncio.sleep(0.02)
        for session in sessions:
            del self._sessions[session.mark]


async def connect(session: LoadSession, url: str, settings: dict[str, object] | None) -> None:
    """Connect and configure a session of `Generator.sessions`; returns when it is ready."""
    realtime = settings is not None and settings["type"] == "session.update"
    path = f"/{session.mark}" if settings is None else "" if realtime else "/openai"
    end, headers = (RealtimeClientEnd, {"Authorization": "Bearer sk-benchmark"}) if realtime else (ClientEnd, {})
    await ws_connect(lambda: end(session), url + path, extra_headers=headers)
    if settings is not None:
        session.say(marked(settings, session))
    await session.ready.wait()


def marked(settings: dict[str, object], session: LoadSession) -> dict[str, object]:
    """These ``Settings``, or this ``session.update``, with the session's mark in the prompt."""
    if settings["type"] == "session.update":
        told = settings["session"]
        assert isinstance(told, dict)
        return {**settings, "session": {**told, "instructions": f"{told['instructions']} {session.mark}"}}
    agent = settings["agent"]
    assert isinstance(agent, dict)
    think = {**agent["think"], "prompt": f"{agent['think']['prompt']} {session.mark}"}
    return {**settings, "agent": {**agent, "think": think}}


@asynccontextmanager
async def without_collections() -> AsyncIterator[None]:
    """Disable the garbage collector during a measurement."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
