"""Below the queue of a connection, where the library lets one reach there."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.sockets.engines import ENGINES
from gateway.sockets.interface import FAST_PATH_MAX_BYTES, Closed, Engine, Socket, Wire
from tests.integration.sockets.conftest import Serving

PATIENCE_SECONDS = 30


@pytest.fixture
def engine() -> Engine:
    return ENGINES["picows"]


def wire_of(engine: Engine, peer: Socket) -> Wire:
    wire = engine.wire(peer)
    assert wire is not None
    return wire


def test_websockets_has_none(serving: Serving) -> None:
    nobody: Socket = object()  # type: ignore[assignment]
    assert ENGINES["websockets"].wire(nobody) is None


async def test_a_message_is_dealt_with_as_it_comes_or_queued_and_counted(engine: Engine, serving: Serving) -> None:
    carried: list[bytes] = []
    received: list[str | bytes] = []
    counted = 0

    def carry(frame: bytes) -> bool:
        carried.append(frame)
        return not frame.startswith(b"queue")

    async def serve(peer: Socket, path: str, name: str) -> None:
        nonlocal counted
        wire = wire_of(engine, peer)
        wire.carry = carry
        await peer.send(b"go", text=True)
        with contextlib.suppress(*Closed):
            while True:
                received.append(await peer.recv())
        counted = wire.queued

    large = bytes(FAST_PATH_MAX_BYTES + 1)
    async with serving(serve, largest=1_000_000) as port, connect(f"ws://127.0.0.1:{port}/") as client:
        await client.recv()
        for message in (b"carry", "text", b"queue 1", [b"fragments ", b"of one"], large, b"carry too", b"queue 2"):
            await client.send(message)
        await client.close()
    assert carried == [b"carry", b"queue 1", b"carry too", b"queue 2"]
    assert received == ["text", b"queue 1", b"fragments of one", large, b"queue 2"]
    assert counted == len(received)


async def test_a_message_that_is_too_large_is_not_carried_but_closes_with_1009(
    engine: Engine, serving: Serving
) -> None:
    async def serve(peer: Socket, path: str, name: str) -> None:
        wire_of(engine, peer).carry = lambda frame: True
        await peer.send(b"go", text=True)
        await peer.recv()

    async with serving(serve, largest=10_000) as port, connect(f"ws://127.0.0.1:{port}/") as client:
        await client.recv()
        await client.send(bytes(10_000))
        with contextlib.suppress(ConnectionClosed):
            await client.send(bytes(10_001))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await client.wait_closed()
        assert client.close_code == 1009


async def test_what_is_posted_arrives_in_order_and_a_peer_that_takes_no_more_is_known(
    engine: Engine, serving: Serving
) -> None:
    blocked = asyncio.Event()
    sent = 0

    async def serve(peer: Socket, path: str, name: str) -> None:
        nonlocal sent
        wire = wire_of(engine, peer)
        while not wire.blocked:
            wire.post(b"%d" % sent + bytes(9_000), text=False)
            sent += 1
            await asyncio.sleep(0)
        blocked.set()
        await peer.send(b"after", text=True)
        assert not wire.blocked
        await peer.recv()

    async with serving(serve) as port, connect(f"ws://127.0.0.1:{port}/", max_queue=1) as client:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await blocked.wait()
            for number in range(sent):
                assert (await client.recv()) == b"%d" % number + bytes(9_000)
            assert await client.recv() == "after"
        await client.send("")


async def test_an_upstreams_text_is_carried(engine: Engine, serving: Serving) -> None:
    said = asyncio.Event()
    carried: list[bytes] = []

    async def serve(peer: Socket, path: str, name: str) -> None:
        await peer.recv()
        for message in (b"one", b"two"):
            await peer.send(message, text=True)
        await peer.recv()

    def carry(frame: bytes) -> bool:
        carried.append(frame)
        said.set()
        return frame == b"one"

    async with serving(serve) as port:
        peer = await engine.connect(f"ws://127.0.0.1:{port}/", {}, largest=1_000_000, ping_timeout=20, unread=131_072)
        wire_of(engine, peer).carry = carry
        await peer.send(b"go", text=True)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await peer.recv(decode=False) == b"two"
        assert carried == [b"one", b"two"]
        await peer.close()
