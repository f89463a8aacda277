"""How a gateway meets its upstream, whichever library it does so with."""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from gateway.sockets.interface import ConnectionClosed, Engine, HandshakeRefused, Socket
from tests.certificates import self_signed

PATIENCE_SECONDS = 30


#: Serves connections with a handler, and gives the URL.
Upstream = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture(params=["ws", "wss"])
def upstream(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """A server of the reference implementation, without TLS and with it."""
    scheme, context = request.param, None
    if scheme == "wss":
        certificate, key = self_signed(tmp_path, "localhost")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

    @asynccontextmanager
    async def start(
        handler: Callable[[ServerConnection], Awaitable[None]] = echo, **options: Any
    ) -> AsyncIterator[str]:
        async with serve(handler, "127.0.0.1", 0, ssl=context, **options) as server:
            yield f"{scheme}://localhost:{next(iter(server.sockets)).getsockname()[1]}/"

    return start


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def connected(engine: Engine, url: str, **headers: str) -> Socket:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await engine.connect(url, headers, message_max=100_000, ping_timeout=20, receive_buffer=131_072)


async def test_what_is_sent_as_text_arrives_as_text_and_can_be_read_as_bytes(
    engine: Engine, upstream: Upstream
) -> None:
    async with upstream() as url:
        peer = await connected(engine, url)
        await peer.send('{"ä": 1}'.encode(), text=True)
        assert await peer.recv() == '{"ä": 1}'
        await peer.send(b"{}", text=True)
        assert await peer.recv(decode=False) == b"{}"
        await peer.close()


async def test_the_upstream_gets_the_headers_and_the_query(engine: Engine, upstream: Upstream) -> None:
    seen: list[Request] = []

    async def once(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request)

    async with upstream(once) as url:
        peer = await connected(engine, f"{url}v1/realtime?model=m", Authorization="Bearer k3y")
        with pytest.raises(ConnectionClosed):
            await peer.recv()
        assert seen[0].path == "/v1/realtime?model=m"
        assert seen[0].headers.get_all("Authorization") == ["Bearer k3y"]
        assert "Sec-WebSocket-Extensions" not in seen[0].headers


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4004])
async def test_the_upstreams_code_and_reason_are_known(engine: Engine, upstream: Upstream, code: int) -> None:
    async def end(connection: ServerConnection) -> None:
        await connection.send("last words")
        await connection.close(code, "invalid_request_error.no_such_model")

    async with upstream(end) as url:
        peer = await connected(engine, url)
        assert await peer.recv() == "last words"
        with pytest.raises(ConnectionClosed) as end_of_it:
            await peer.recv()
        assert (end_of_it.value.code, end_of_it.value.reason) == (code, "invalid_request_error.no_such_model")
        with pytest.raises(ConnectionClosed):
            await peer.send(b"too late", text=True)


async def test_an_upstream_that_is_lost_gives_no_code(engine: Engine, upstream: Upstream) -> None:
    async def vanish(connection: ServerConnection) -> None:
        connection.transport.abort()

    async with upstream(vanish) as url:
        peer = await connected(engine, url)
        with pytest.raises(ConnectionClosed) as end:
            await peer.recv()
        assert (end.value.code, end.value.reason) == (None, "")


async def test_a_dial_that_is_cancelled_leaves_no_connection(engine: Engine, upstream: Upstream) -> None:
    """Somebody hangs up in the middle of the handshake, which then succeeds: nobody would close what it came to."""
    begun, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slowly(_: ServerConnection, __: Request) -> None:
        begun.set()
        await go_on.wait()

    async def until_closed(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Between the two, to see the connection end whatever became of the handshake."""
        there, back = await asyncio.open_connection("localhost", urlsplit(url).port)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        ended.set()

    async with (
        upstream(until_closed, process_request=slowly) as url,
        await asyncio.start_server(serve_one, "127.0.0.1", 0) as between,
    ):
        through = between.sockets[0].getsockname()[1]
        dialling = asyncio.create_task(connected(engine, url.replace(str(urlsplit(url).port), str(through))))
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
async def test_another_status_than_101_is_told(engine: Engine, upstream: Upstream, status: int) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(http.HTTPStatus(status), "no")
        response.headers["Retry-After"] = "7"
        return response

    async with upstream(process_request=refuse) as url:
        with pytest.raises(HandshakeRefused) as refused:
            await connected(engine, url)
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


async def test_a_proxy_is_not_used_for_a_host_that_needs_none(
    engine: Engine, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "localhost")
    async with upstream() as url:
        peer = await connected(engine, url)
        await peer.close()


async def test_large_and_small_messages_arrive_whole_however_slowly_they_are_read(
    engine: Engine, upstream: Upstream
) -> None:
    """As for clients: a library that lends out a buffer which it uses again mixes them up."""
    messages = [bytes([number % 251]) * size for number, size in enumerate((9_600, 9_700, 2) * 400)]
    full, received = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def read_late(connection: ServerConnection) -> None:
        await full.wait()
        received.set_result([await connection.recv() for _ in messages])

    async with upstream(read_late, max_queue=1) as url, asyncio.timeout(PATIENCE_SECONDS):
        peer = await connected(engine, url)
        for message in messages:
            sending = asyncio.ensure_future(peer.send(message, text=False))
            if not (await asyncio.wait([sending], timeout=0.1))[0]:
                full.set()
                await sending
        for number, message in enumerate(await received):
            same = message == messages[number]
            assert same, f"message {number} is not what was sent"
        assert full.is_set()


async def test_a_burst_of_large_messages_is_read_whole_and_in_order(engine: Engine, upstream: Upstream) -> None:
    """The upstream sends faster than the gateway reads: what waits is bounded, and nothing of it is lost."""
    messages = [f"{number:5}" * (number % 18_000) for number in range(0, 36_000, 700)]

    async def burst(connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)
        await connection.wait_closed()

    async with upstream(burst) as url, asyncio.timeout(PATIENCE_SECONDS):
        peer = await connected(engine, url)
        for message in messages:
            same = await peer.recv() == message
            assert same
            await asyncio.sleep(0)
        await peer.close()


async def test_a_certificate_is_checked(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with serve(echo, "127.0.0.1", 0, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(ssl.SSLError):
            await connected(engine, f"wss://localhost:{port}/")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        peer = await connected(engine, f"wss://localhost:{port}/")
        await peer.close()
        with pytest.raises(ssl.SSLError):
            await connected(engine, f"wss://127.0.0.1:{port}/")


async def test_connections_share_the_certificates_of_the_authorities(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read those of a system takes 20 ms of the event loop and 850 KB."""
    make = Mock(wraps=ssl.create_default_context)
    monkeypatch.setattr(ssl, "create_default_context", make)
    trusted = tmp_path / "trusted.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    for number in range(2):
        # The authority is replaced while the gateway runs, as private ones are.
        folder = tmp_path / str(number)
        folder.mkdir()
        certificate, key = self_signed(folder, "localhost")
        trusted.write_bytes(certificate.read_bytes())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        async with serve(echo, "127.0.0.1", 0, ssl=context) as server:
            url = f"wss://localhost:{next(iter(server.sockets)).getsockname()[1]}/"
            for peer in [await connected(engine, url) for _ in range(3)]:
                await peer.close()
        assert make.call_count == number + 1
