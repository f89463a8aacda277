"""A connection without its queue, where the library gives access to that."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed as ClientConnectionClosed

from gateway.sockets.engines import ENGINES
from gateway.sockets.interface import DIRECT_MAX_BYTES, ConnectionClosed, DirectSocket, Engine, Socket
from tests.integration.sockets.conftest import Serving

PATIENCE_SECONDS = 30


@pytest.fixture
def engine() -> Engine:
    return ENGINES["picows"]


def direct(peer: Socket) -> DirectSocket:
    found = peer.direct
    assert found is not None
    return found


async def test_websockets_has_none(engine: Engine, serving: Serving) -> None:
    async with serving() as port:
        url = f"ws://127.0.0.1:{port}/"
        peer = await ENGINES["websockets"].connect(url, {}, message_max=10_000, ping_timeout=20, receive_buffer=131_072)
        assert peer.direct is None
        await peer.close()


async def test_a_message_is_handled_as_it_comes_or_queued(serving: Serving) -> None:
    offered: list[bytes] = []
    received: list[str | bytes] = []
    #: Whether it was idle when a message came, and while a queued one was being handled.
    idle: list[bool] = []

    async def serve(peer: Socket, path: str, name: str) -> None:
        connection = direct(peer)

        def on_message(frame: bytes) -> bool:
            offered.append(frame)
            return not frame.startswith(b"queue")

        connection.on_message = on_message
        assert connection.idle, "nothing has come yet"
        await peer.send(b"go", text=True)
        with contextlib.suppress(ConnectionClosed):
            while True:
                received.append(await peer.recv())
                idle.append(connection.idle)
        idle.append(connection.idle)

    large = bytes(DIRECT_MAX_BYTES + 1)
    async with serving(serve, largest=1_000_000) as port, connect(f"ws://127.0.0.1:{port}/") as client:
        await client.recv()
        for message in (b"direct", "text", b"queue 1", [b"fragments ", b"of one"], large, b"direct too", b"queue 2"):
            await client.send(message)
        await client.close()
    assert offered == [b"direct", b"queue 1", b"direct too", b"queue 2"]
    assert received == ["text", b"queue 1", b"fragments of one", large, b"queue 2"]
    assert idle == [False] * len(received) + [True], "a message that was read is not yet handled"


async def test_a_message_that_is_too_large_is_not_offered_but_closes_with_1009(serving: Serving) -> None:
    async def serve(peer: Socket, path: str, name: str) -> None:
        direct(peer).on_message = lambda frame: True
        await peer.send(b"go", text=True)
        await peer.recv()

    async with serving(serve, largest=10_000) as port, connect(f"ws://127.0.0.1:{port}/") as client:
        await client.recv()
        await client.send(bytes(10_000))
        with contextlib.suppress(ClientConnectionClosed):
            await client.send(bytes(10_001))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await client.wait_closed()
        assert client.close_code == 1009


async def test_what_is_posted_arrives_in_order_and_a_peer_that_takes_no_more_is_known(serving: Serving) -> None:
    blocked = asyncio.Event()
    sent = 0

    async def serve(peer: Socket, path: str, name: str) -> None:
        nonlocal sent
        connection = direct(peer)
        while not connection.blocked:
            connection.post(b"%d" % sent + bytes(9_000), text=False)
            sent += 1
            await asyncio.sleep(0)
        blocked.set()
        await peer.send(b"after", text=True)
        assert not connection.blocked
        await peer.recv()

    async with serving(serve) as port, connect(f"ws://127.0.0.1:{port}/", max_queue=1) as client:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await blocked.wait()
            for number in range(sent):
                assert (await client.recv()) == b"%d" % number + bytes(9_000)
            assert await client.recv() == "after"
        await client.send("")


async def test_an_upstreams_text_is_offered(engine: Engine, serving: Serving) -> None:
    said = asyncio.Event()
    offered: list[bytes] = []

    async def serve(peer: Socket, path: str, name: str) -> None:
        await peer.recv()
        for message in (b"one", b"two"):
            await peer.send(message, text=True)
        await peer.recv()

    def on_message(frame: bytes) -> bool:
        offered.append(frame)
        said.set()
        return frame == b"one"

    async with serving(serve) as port:
        peer = await engine.connect(
            f"ws://127.0.0.1:{port}/", {}, message_max=1_000_000, ping_timeout=20, receive_buffer=131_072
        )
        direct(peer).on_message = on_message
        await peer.send(b"go", text=True)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await peer.recv(decode=False) == b"two"
        assert offered == [b"one", b"two"]
        await peer.close()
