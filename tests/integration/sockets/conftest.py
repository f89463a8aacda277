"""A gateway's sockets on each of the two libraries, on the event loop that the gateway uses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Any

import pytest
import uvloop

from gateway.admission.credentials import chosen
from gateway.sockets.engines import ENGINES
from gateway.sockets.interface import Engine, HttpRequest, HttpResponse, ListenOptions, Socket

#: What a test does with one connection, its path and its name.
Serve = Callable[[Socket, str, str], Awaitable[None]]
#: Starts a server, and gives its port.
Serving = Callable[..., AbstractAsyncContextManager[int]]


def pytest_asyncio_loop_factories() -> dict[str, Any]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]


async def echo(peer: Socket, path: str, name: str) -> None:
    """Each message comes back as what it was."""
    while True:
        message = await peer.recv()
        text = isinstance(message, str)
        await peer.send(message.encode() if isinstance(message, str) else message, text=text)


def respond(request: HttpRequest) -> HttpResponse | None:
    """A page, one who may not connect, and everybody else."""
    if request.path == "/page":
        values = ",".join(request.values("x-told"))
        return HttpResponse(HTTPStatus.OK, "text/plain", f"told {values}".encode(), {"X-More": "more"})
    if request.path == "/echo":
        told = f"{request.method} {request.peer} ".encode()
        return HttpResponse(HTTPStatus.OK, "text/plain", told + request.body)
    if request.path == "/refused":
        return HttpResponse(HTTPStatus.UNAUTHORIZED, "text/plain", b"no")
    return None


@pytest.fixture
def serving(engine: Engine) -> Serving:
    """Serve clients as the test says."""

    @asynccontextmanager
    async def start(serve: Serve = echo, *, largest: int = 10_000, ping: float = 30.0) -> AsyncIterator[int]:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        server = await engine.listen(
            listener,
            ListenOptions(
                lambda peer, path, name, _: serve(peer, path, name),
                respond,
                chosen,
                largest,
                ping,
                receive_buffer=131_072,
            ),
        )
        try:
            yield port
        finally:
            server.close()
            async with asyncio.timeout(30):
                await server.wait_closed()

    return start
