"""How a gateway meets its upstream, whichever library it does so with."""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from gateway.sockets.interface import ConnectionClosed, Engine, HandshakeRefused, Socket
from tests.certificates import self_signed

PATIENCE_SECONDS = 30


@asynccontextmanager
async def upstream(handler: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> AsyncIterator[int]:
    """A server of the reference implementation; its port."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def connected(engine: Engine, url: str, **headers: str) -> Socket:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await engine.connect(url, headers, message_max=100_000, ping_timeout=20, receive_buffer=131_072)


async def test_what_is_sent_as_text_arrives_as_text_and_can_be_read_as_bytes(engine: Engine) -> None:
    async with upstream(echo) as port:
        peer = await connected(engine, f"ws://127.0.0.1:{port}/")
        await peer.send('{"ä": 1}'.encode(), text=True)
        assert await peer.recv() == '{"ä": 1}'
        await peer.send(b"{}", text=True)
        assert await peer.recv(decode=False) == b"{}"
        await peer.close()


async def test_the_upstream_gets_the_headers_and_the_query(engine: Engine) -> None:
    seen: list[Request] = []

    async def once(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)

    async with upstream(once) as port:
        peer = await connected(engine, f"ws://127.0.0.1:{port}/v1/realtime?model=m", Authorization="Bearer k3y")
        with pytest.raises(ConnectionClosed):
            await peer.recv()
        assert seen[0].path == "/v1/realtime?model=m"
        assert seen[0].headers.get_all("Authorization") == ["Bearer k3y"]
        assert "Sec-WebSocket-Extensions" not in seen[0].headers


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4004])
async def test_the_upstreams_code_and_reason_are_known(engine: Engine, code: int) -> None:
    async def end(connection: ServerConnection) -> None:
        await connection.send("last words")
        await connection.close(code, "invalid_request_error.no_such_model")

    async with upstream(end) as port:
        peer = await connected(engine, f"ws://127.0.0.1:{port}/")
        assert await peer.recv() == "last words"
        with pytest.raises(ConnectionClosed) as end_of_it:
            await peer.recv()
        assert (end_of_it.value.code, end_of_it.value.reason) == (code, "invalid_request_error.no_such_model")
        with pytest.raises(ConnectionClosed):
            await peer.send(b"too late", text=True)


async def test_an_upstream_that_is_lost_gives_no_code(engine: Engine) -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with upstream(vanish) as port:
        peer = await connected(engine, f"ws://127.0.0.1:{port}/")
        with pytest.raises(ConnectionClosed) as end:
            await peer.recv()
        assert (end.value.code, end.value.reason) == (None, "")


async def test_a_dial_that_is_cancelled_leaves_no_connection(engine: Engine) -> None:
    """Somebody hangs up in the middle of the handshake, which then succeeds: nobody would close what it came to."""
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slowly(_: ServerConnection, __: Request) -> None:
        begun.set()
        await go_on.wait()

    async def until_closed(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Between the two, to see the connection end whatever became of the handshake."""
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        ended.set()

    async with (
        upstream(until_closed, process_request=slowly) as port,
        await asyncio.start_server(serve_one, "127.0.0.1", 0) as between,
    ):
        dialling = asyncio.create_task(connected(engine, f"ws://127.0.0.1:{between.sockets[0].getsockname()[1]}/"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await begun.wait()
            dialling.cancel()
            await asyncio.wait([dialling])
            assert dialling.cancelled()
            go_on.set()
            await ended.wait()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1_000):
            writer.write(data)
    writer.close()


@pytest.mark.parametrize("status", [401, 404, 429, 503])
async def test_another_status_than_101_is_told(engine: Engine, status: int) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(http.HTTPStatus(status), "no")
        response.headers["Retry-After"] = "7"
        return response

    async with upstream(echo, process_request=refuse) as port:
        with pytest.raises(HandshakeRefused) as refused:
            await connected(engine, f"ws://127.0.0.1:{port}/")
        assert (refused.value.status, refused.value.retry_after) == (status, "7")
        assert refused.value.body in (b"no", b""), "not every library reads the body"


@pytest.mark.parametrize("answer", [b"", b"\x00\xff\r\n\r\n", b"HTTP/1.1 101 Yes\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_a_server_that_is_none_is_not_connected_to(engine: Engine, answer: bytes) -> None:
    async def answer_so(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(answer_so, "127.0.0.1", 0) as server:
        with pytest.raises((OSError, HandshakeRefused)):
            await connected(engine, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


async def test_where_nobody_listens_is_not_connected_to(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(OSError):  # noqa: PT011 - any
        await connected(engine, f"ws://127.0.0.1:{port}/")


async def test_a_proxy_is_not_used_for_a_host_that_needs_none(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with upstream(echo) as port:
        peer = await connected(engine, f"ws://127.0.0.1:{port}/")
        await peer.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """One that nobody trusts yet, for localhost, and its key."""
    return self_signed(tmp_path, "localhost")


async def test_a_certificate_is_checked(
    engine: Engine, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with upstream(echo, ssl=context, max_size=None) as port:
        with pytest.raises(ssl.SSLError):
            await connected(engine, f"wss://localhost:{port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        peer = await connected(engine, f"wss://localhost:{port}/")
        for size in (0, 1, 10_000, 99_999):
            await peer.send(bytes(size))
            assert await peer.recv() == bytes(size)
        await peer.close()
        with pytest.raises(ssl.SSLError):
            await connected(engine, f"wss://127.0.0.1:{port}/")
