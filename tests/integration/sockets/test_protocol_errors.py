"""What RFC 6455 forbids ends a connection with 1002, on either library; and plain HTTP as load balancers send it."""

from __future__ import annotations

import asyncio
import os
import struct

import pytest

from gateway.sockets.interface import Socket
from tests.integration.sockets.conftest import Serving

PATIENCE_SECONDS = 30
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY, CONTINUATION, CLOSE = 1, 2, 0, 8
#: What `echo_directly` says first, as a frame.
_DIRECT = b"\x81\x06direct"


def frame(opcode: int, data: bytes, *, fin: int = 1, reserved: int = 0) -> bytes:
    """A masked frame of at most 125 bytes."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
    return bytes([fin << 7 | reserved << 4 | opcode, 0x80 | len(data)]) + mask + masked


async def exchange(port: int, sent: bytes, *, upgrade: bool = True, after: bytes = b"") -> bytes:
    """What the server answers until it closes the connection; without its answer to an ``upgrade``, and what is sent
    ``after`` that, which is waited for."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(PATIENCE_SECONDS):
        if upgrade:
            writer.write(_UPGRADE)
            await reader.readuntil(b"\r\n\r\n" + after)
        writer.write(sent)
        answer = await reader.read(-1)
    writer.close()
    return answer


async def echo_directly(peer: Socket, path: str, name: str) -> None:
    """As a session does: binary frames are handled in the receive callback, from when it says so."""
    if peer.direct is not None:
        peer.direct.on_message = lambda frame: True
    await peer.send(b"direct", text=True)
    while True:
        await peer.recv()


@pytest.mark.parametrize(
    "frames",
    [
        [frame(TEXT, b"a", reserved=4)],
        [frame(TEXT, b"a", reserved=2)],
        [frame(BINARY, b"a", reserved=4)],
        [frame(BINARY, b"a", reserved=2)],
        [frame(BINARY, b"a", reserved=1)],
        [frame(TEXT, b"a", fin=0), frame(BINARY, b"b")],
        [frame(BINARY, b"a", fin=0), frame(BINARY, b"b")],
        [frame(CONTINUATION, b"a")],
        *([frame(CLOSE, struct.pack("!H", code))] for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535)),
        [frame(CLOSE, b"x")],
    ],
    ids=lambda frames: b"".join(frames).hex()[:4],
)
async def test_what_the_protocol_forbids_is_a_protocol_error(serving: Serving, frames: list[bytes]) -> None:
    async with serving(echo_directly) as port:
        answer = await exchange(port, b"".join(frames), after=_DIRECT)
        assert answer[0] == 0x88, "a close frame, and nothing before it"
        assert struct.unpack("!H", answer[2:4]) == (1002,)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
async def test_a_close_code_that_is_allowed_is_answered(serving: Serving, code: int) -> None:
    async with serving(echo_directly) as port:
        answer = await exchange(port, frame(CLOSE, struct.pack("!H", code)), after=_DIRECT)
        assert struct.unpack("!H", answer[2:4]) == (code,)


async def test_a_fragmented_message_is_whole_and_direct_frames_go_on_after_it(serving: Serving) -> None:
    received: list[str | bytes] = []
    done = asyncio.Event()

    async def collect(peer: Socket, path: str, name: str) -> None:
        received.append(await peer.recv())
        received.append(await peer.recv())
        done.set()

    async with serving(collect) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        parts = [frame(TEXT, b"a", fin=0), frame(CONTINUATION, b"b"), frame(BINARY, b"c")]
        writer.write(_UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"".join(parts))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await done.wait()
        writer.close()
        assert received == ["ab", b"c"]


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_load_balancers_check_is_answered(serving: Serving, method: bytes, version: bytes) -> None:
    async with serving() as port:
        host = b"" if version == b"HTTP/1.0" else b"Host: x\r\n"
        answer = await exchange(
            port, method + b" /page " + version + b"\r\n" + host + b"X-Told: yes\r\n\r\n", upgrade=False
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == (b"" if method == b"HEAD" else b"told yes")


async def answer_to(port: int, *pieces: bytes) -> tuple[int, bytes]:
    """The status and the body of the answer to a request that comes in these pieces."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


async def test_a_request_with_a_body_is_read_to_its_end(serving: Serving) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4096\r\n\r\n"
    body = bytes(range(32, 96)) * 64
    ways = ((head + body,), (head, body), (head[:30], head[30:] + body[:1], body[1:]), (head + body + b"more",))
    async with serving() as port:
        for pieces in ways:
            assert await answer_to(port, *pieces) == (200, b"POST 127.0.0.1 " + body)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"Content-Length: 4097", 413),
        (b"Content-Length: " + b"9" * 5_000, 413),
        (b"Content-Length: -1", 400),
        (b"Content-Length: 1\r\nContent-Length: 2", 400),
        (b"Content-Length: \xb2", 400),
        (b"Transfer-Encoding: chunked", 411),
    ],
)
async def test_a_body_too_large_or_of_unknown_size_is_refused(serving: Serving, line: bytes, status: int) -> None:
    async with serving() as port:
        assert (await answer_to(port, b"POST /echo HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"))[0] == status


async def test_bodies_that_never_come_do_not_keep_others_waiting(serving: Serving) -> None:
    async with serving() as port:
        waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(60)]
        for _, writer in waiting:
            writer.write(b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nsome")
        assert (await answer_to(port, b"OPTIONS /echo HTTP/1.1\r\n\r\n")) == (200, b"OPTIONS 127.0.0.1 ")
        for _, writer in waiting:
            writer.close()


async def test_an_upgrade_needs_a_newer_version(serving: Serving) -> None:
    async with serving() as port:
        answer = await exchange(port, b"GET / HTTP/1.0\r\nX: y\r\n\r\n", upgrade=False)
        assert answer.split(b" ")[1] in (b"426", b"400", b"505")


async def test_a_request_that_comes_in_pieces_is_read_to_its_end(serving: Serving) -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for piece in (b"GET /pa", b"ge HTTP/1.1\r\nHost: x\r\n", b"X-Told: yes\r\n\r", b"\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
