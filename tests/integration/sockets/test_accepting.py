"""A port is closed, and whoever came before is served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

from gateway.admission.credentials import chosen
from gateway.sockets.accepting import until_none_waits
from gateway.sockets.interface import Engine, ListenOptions
from tests.integration.sockets.conftest import echo, respond

CLIENTS = 40


async def closed_after(engine: Engine, wait: Callable[[socket.socket], Awaitable[None]]) -> int:
    """How many clients get an answer whose connections are completed before the server runs again, which closes its
    port after this wait."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = await engine.listen(
        listener, ListenOptions(lambda peer, path, name, _: echo(peer, path, name), respond, chosen, 1_000, 30.0, 8_192)
    )
    # The kernel completes them without the event loop.
    clients = [socket.create_connection(listener.getsockname()) for _ in range(CLIENTS)]
    for client in clients:
        client.setblocking(False)
    await wait(listener)
    server.close(close_connections=False)
    answers = [await answer(client) for client in clients]
    await asyncio.wait_for(server.wait_closed(), 30)
    return sum(head.startswith(b"HTTP/1.1 200") for head in answers)


async def answer(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError), client:
        await loop.sock_sendall(client, b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n")
        return await asyncio.wait_for(loop.sock_recv(client, 1_000), 30)
    return b""


async def test_clients_that_wait_are_accepted_before_a_port_is_closed(engine: Engine) -> None:
    assert await closed_after(engine, until_none_waits) == CLIENTS


async def test_without_that_they_would_be_reset(engine: Engine) -> None:
    async def no_wait(_: socket.socket) -> None:
        """Return at once."""

    assert await closed_after(engine, no_wait) < CLIENTS
