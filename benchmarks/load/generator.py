"""The load generator: all clients and the whole upstream in this process, on native callbacks, so that it is cheap."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from picows import WSCloseCode, WSListener, WSUpgradeRequest, ws_connect, ws_create_server

from benchmarks.load.flow import Flow
from benchmarks.load.frames import UPSTREAM_RATE, frame_bytes
from benchmarks.load.line import ClientEnd, Line, UpstreamEnd
from turngate.local.ports import free_port

#: Connections that are made at one time, and how long all of them may take, in seconds.
_AT_ONCE = 25
_PATIENCE = 60.0


class Generator:
    """Lines to hold conversations on. `open` some; its upstream listens at `url` inside its context."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._next = 1
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Generator:
        def accept(request: WSUpgradeRequest) -> WSListener:
            return UpstreamEnd(self._lines, request)

        self.port = free_port()
        self._server = await ws_create_server(accept, "127.0.0.1", self.port, backlog=2_048)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    @asynccontextmanager
    async def open(self, count: int, url: str, settings: dict[str, object] | None) -> AsyncIterator[Sequence[Line]]:
        """``count`` lines through what listens at ``url``, ready; all are closed at the end.

        settings: the configuration that each client sends; its prompt gets the line's mark. None: the mark is in the
        path, and both ends speak binary frames only. Raises TimeoutError when they do not all become ready.
        """
        gate = asyncio.Semaphore(_AT_ONCE)

        async def connect_in_turn(line: Line) -> None:
            async with gate:
                await connect(line, url, settings)

        async with self.lines(count, plain=settings is None) as lines:
            async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
                for line in lines:
                    group.create_task(connect_in_turn(line))
            yield lines

    @asynccontextmanager
    async def lines(self, count: int, *, plain: bool = False) -> AsyncIterator[Sequence[Line]]:
        """``count`` lines to `connect`; at the end both ends of each must come to be closed. Raises TimeoutError when
        one does not. ``plain``: they speak binary frames only."""
        lines = [self._line(plain) for _ in range(count)]
        try:
            yield lines
        finally:
            await self._close(lines)

    def _line(self, plain: bool) -> Line:
        size = frame_bytes(UPSTREAM_RATE)
        line = Line(self._next, Flow(frame_bytes(16_000) if plain else size), Flow(size))
        self._next += 1
        self._lines[line.mark] = line
        return line

    async def _close(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.client is not None:
                line.client.send_close(WSCloseCode.OK)
        async with asyncio.timeout(_PATIENCE):
            while any(line.client is not None or line.upstream is not None for line in lines):
                await asyncio.sleep(0.02)
        for line in lines:
            del self._lines[line.mark]


async def connect(line: Line, url: str, settings: dict[str, object] | None) -> None:
    """Connect a line of `Generator.lines`, and configure it; returns when it is ready."""
    path = f"/{line.mark}" if settings is None else "/openai"
    await ws_connect(lambda: ClientEnd(line), url + path)
    if settings is not None:
        line.say(marked(settings, line))
    await line.ready.wait()


def marked(settings: dict[str, object], line: Line) -> dict[str, object]:
    """These Settings, with the line's mark in the prompt."""
    agent = settings["agent"]
    assert isinstance(agent, dict)
    think = {**agent["think"], "prompt": f"{agent['think']['prompt']} {line.mark}"}
    return {**settings, "agent": {**agent, "think": think}}


@asynccontextmanager
async def without_collections() -> AsyncIterator[None]:
    """Python's garbage collector must not interrupt what measures."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
