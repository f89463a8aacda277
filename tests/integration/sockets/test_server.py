"""What clients meet at a gateway's socket, whichever library it is of."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed as ClientConnectionClosed
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from gateway.sockets.interface import ConnectionClosed, Engine, Socket, fit_reason
from tests.integration.sockets.conftest import Serving

PATIENCE_SECONDS = 30
_HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: {}\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def url(port: int, path: str = "/") -> str:
    return f"ws://127.0.0.1:{port}{path}"


async def close_code(client: ClientConnection) -> int | None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        with contextlib.suppress(ClientConnectionClosed):
            while True:
                await client.recv()
    return client.close_code


async def test_a_client_learns_the_name_of_its_session_and_the_subprotocol_that_was_chosen(serving: Serving) -> None:
    served: list[tuple[str, str]] = []

    async def serve(peer: Socket, path: str, name: str) -> None:
        served.append((path, name))
        await peer.recv()

    async with serving(serve) as port:
        offer = [Subprotocol("token"), Subprotocol("k3y")]
        async with connect(url(port, "/openai?x=1"), subprotocols=offer) as client:
            assert client.response is not None
            assert client.subprotocol == "token"
            assert client.response.headers["Server"] == "turngate"
            await client.send("")
            assert await close_code(client) == 1000
            assert served == [("/openai?x=1", client.response.headers["dg-request-id"])]
        async with connect(url(port)) as other:
            assert other.response is not None
            assert other.subprotocol is None
            assert other.response.headers["dg-request-id"] != served[0][1]


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "keep-alive,upgrade"])
async def test_every_way_to_ask_for_the_upgrade_is_understood(serving: Serving, connection: str) -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_HANDSHAKE.format(connection).encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        writer.close()


async def test_pages_are_answered_on_the_same_port(serving: Serving) -> None:
    async with serving() as port, httpx.AsyncClient(trust_env=False) as http:
        told = [("X-Told", "one"), ("X-Told", "two")]
        page = await http.get(f"http://127.0.0.1:{port}/page", headers=told)
        assert (page.status_code, page.text, page.headers["X-More"]) == (200, "told one,two", "more")
        assert page.headers["Content-Type"] == "text/plain"
        assert page.headers["Content-Length"] == str(len(page.content))
        with pytest.raises(InvalidStatus) as refused:
            await connect(url(port, "/refused"))
        assert refused.value.response.status_code == 401


async def test_text_stays_text_and_bytes_stay_bytes(serving: Serving) -> None:
    async with serving() as port, connect(url(port)) as client:
        for message in ("täxt", b"\x00\xff", "", b""):
            await client.send(message)
            assert await client.recv() == message


async def test_large_and_small_messages_arrive_whole_however_slowly_they_are_read(serving: Serving) -> None:
    """A library that lends out a buffer which it uses again mixes them up once the operating system takes no more."""
    messages = [bytes([number % 251]) * size for number, size in enumerate((9_600, 9_700, 2) * 400)]
    full = asyncio.Event()

    async def serve(peer: Socket, path: str, name: str) -> None:
        for message in messages:
            sending = asyncio.ensure_future(peer.send(message, text=False))
            if not (await asyncio.wait([sending], timeout=0.1))[0]:
                full.set()
                await sending
        await peer.recv()

    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    async with serving(serve) as port:
        sock.connect(("127.0.0.1", port))
        async with connect(url(port), sock=sock, max_queue=1) as client, asyncio.timeout(PATIENCE_SECONDS):
            await full.wait()
            for number, message in enumerate(messages):
                same = await client.recv() == message
                assert same, f"message {number} is not what was sent"
            await client.send("")


async def test_text_that_is_no_utf_8_closes_with_1007(serving: Serving) -> None:
    async with serving() as port, connect(url(port)) as client:
        await client.send(b"\xff\xfe", text=True)
        assert await close_code(client) == 1007


@pytest.mark.parametrize("message", [bytes(10_001), [bytes(6_000), bytes(6_000)]], ids=["at once", "in fragments"])
async def test_a_message_that_is_too_large_closes_with_1009(serving: Serving, message: bytes | list[bytes]) -> None:
    async with serving(largest=10_000) as port, connect(url(port)) as client:
        await client.send(bytes(10_000))
        assert await client.recv() == bytes(10_000)
        with contextlib.suppress(ClientConnectionClosed):
            await client.send(message)
        assert await close_code(client) == 1009


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1012, "SERVER_GOING_AWAY"), (4004, "ü" * 100)])
async def test_the_client_gets_code_and_reason(serving: Serving, code: int, reason: str) -> None:
    async def serve(peer: Socket, path: str, name: str) -> None:
        await peer.close(code, fit_reason(reason))

    async with serving(serve) as port, connect(url(port)) as client:
        assert await close_code(client) == code
        assert client.close_reason == reason[:61]


async def test_a_client_that_closes_without_a_code_is_answered_in_order(serving: Serving) -> None:
    """So do browsers, unless they are told otherwise. Row "agent: client close"."""
    async with serving() as port, connect(url(port)) as client:
        client.protocol.send_close()
        client.transport.write(b"".join(client.protocol.data_to_send()))
        # The answer may be without a code too; 1006 would be an answer that cannot be read.
        assert await close_code(client) in (1000, 1005)


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4004, None])
async def test_the_server_gets_code_and_reason(serving: Serving, code: int | None) -> None:
    ends: asyncio.Queue[ConnectionClosed] = asyncio.Queue()

    async def serve(peer: Socket, path: str, name: str) -> None:
        try:
            await peer.recv()
        except ConnectionClosed as end:
            ends.put_nowait(end)

    async with serving(serve) as port:
        client = await connect(url(port))
        if code is None:
            client.transport.abort()
        else:
            await client.close(code, "why")
        async with asyncio.timeout(PATIENCE_SECONDS):
            end = await ends.get()
        assert (end.code, end.reason) == ((None, "") if code is None else (code, "why"))


async def test_a_connection_that_the_client_has_left_is_not_open(serving: Serving) -> None:
    """Nobody reads from it meanwhile."""
    left = asyncio.Event()

    async def serve(peer: Socket, path: str, name: str) -> None:
        assert peer.open
        await peer.send(b"come", text=True)
        while peer.open:
            await asyncio.sleep(0)
        left.set()

    async with serving(serve) as port:
        client = await connect(url(port))
        await client.recv()
        client.transport.abort()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await left.wait()


async def test_sending_waits_for_a_client_that_does_not_read_until_it_is_cut(engine: Engine, serving: Serving) -> None:
    """Nothing piles up beyond what the operating system and the library take."""
    sent, ended = 0, asyncio.Event()
    peers: list[Socket] = []

    async def serve(peer: Socket, path: str, name: str) -> None:
        nonlocal sent
        peers.append(peer)
        try:
            while True:
                await peer.send(bytes(100_000))
                sent += 1
        except ConnectionClosed:
            ended.set()

    async with serving(serve) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(_HANDSHAKE.format("Upgrade").encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            before = -1
            while sent == 0 or sent != before:
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 500
            assert not ended.is_set()
            await peers[0].cut()
            await ended.wait()
            while await reader.read(1_000_000):
                pass
        writer.close()


async def test_a_client_waits_for_a_server_that_does_not_read(serving: Serving) -> None:
    go_on = asyncio.Event()

    async def serve(peer: Socket, path: str, name: str) -> None:
        await go_on.wait()
        total = 0
        while total < 2_000:
            total += len(await peer.recv()) // 10_000
        await peer.close(4000)

    async with serving(serve) as port, connect(url(port)) as client:
        sending = asyncio.create_task(_send_many(client, bytes(10_000), 2_000))
        done, _ = await asyncio.wait([sending], timeout=1)
        assert not done
        go_on.set()
        assert await close_code(client) == 4000
        await sending


async def test_a_client_that_answers_no_ping_is_closed(serving: Serving) -> None:
    ended = asyncio.Event()

    async def serve(peer: Socket, path: str, name: str) -> None:
        with contextlib.suppress(ConnectionClosed):
            await peer.recv()
        ended.set()

    async with serving(serve, ping=0.1) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_HANDSHAKE.format("Upgrade").encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ended.wait()
        writer.close()


async def test_a_client_that_answers_pings_is_not(serving: Serving) -> None:
    async with serving(ping=0.05) as port, connect(url(port)) as client:
        await asyncio.sleep(0.5)
        await client.send("still there")
        assert await client.recv() == "still there"


async def _send_many(client: ClientConnection, message: bytes, count: int) -> None:
    for _ in range(count):
        await client.send(message)
