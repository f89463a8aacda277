"""Clients that send as much as they can, in a process of their own: ``python -m benchmarks.load.flood KIND URL``.

A client that is disconnected connects again. Ends when the standard input is closed, and prints what the clients met.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import uvloop
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

#: Bytes that a client has in its write buffer.
_AHEAD = 262_144
#: Messages that it sends before it looks at what it got.
_AT_ONCE = 64
#: Seconds between two connections of a client.
_PAUSE = 1.0
_TEXT, _BINARY, _PING = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.PING


@dataclass(frozen=True)
class Flood:
    """What one client sends, again and again, and how the server ends its session."""

    message: bytes
    kind: WSMsgType = _TEXT
    #: The code of the ``Error``, if there is one, and that of the close frame.
    code: str | None = None
    closed: int = 1008


def _padded(size: int) -> bytes:
    return orjson.dumps({"type": "InjectUserMessage", "content": "x" * size})


FLOODS: Mapping[str, Flood] = {
    "KeepAlive": Flood(b'{"type":"KeepAlive"}', code="TOO_MANY_MESSAGES", closed=1008),
    "texts of 1 MB": Flood(_padded(1_000_000), code="CLIENT_MESSAGE_TOO_LARGE", closed=1009),
    "texts of 200 KB": Flood(_padded(200_000), code="TOO_MANY_MESSAGES", closed=1008),
    "no JSON": Flood(b"[" * 50_000, code="TOO_MANY_MESSAGES", closed=1008),
    "frames of one sample": Flood(bytes(2), _BINARY, code="TOO_MANY_MESSAGES", closed=1008),
    "frames of 64 KB": Flood(bytes(64_000), _BINARY, code="TOO_MANY_MESSAGES", closed=1008),
    "frames of 2 MB": Flood(bytes(2_000_000), _BINARY, closed=1009),
    "pings": Flood(bytes(100), _PING, closed=1008),
    "pongs": Flood(bytes(100), WSMsgType.PONG, closed=1008),
}


@dataclass
class Met:
    """What the clients of a flood met whose sessions have ended."""

    connections: int = 0
    sent: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    closed: Counter[int] = field(default_factory=Counter)


class _Client(WSListener):
    def __init__(self) -> None:
        self.sent = 0
        self.codes: list[str] = []
        self.closed: list[int] = []
        self.over = asyncio.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == _TEXT:
            message = orjson.loads(frame.get_payload_as_bytes())
            if message["type"] == "Error":
                self.codes.append(message["code"])
        elif frame.msg_type == WSMsgType.CLOSE:
            self.closed.append(int.from_bytes(frame.get_payload_as_bytes()[:2], "big"))
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.over.set()


async def _flood(flood: Flood, url: str, settings: dict[str, Any]) -> None:
    while True:
        with contextlib.suppress(OSError, WSError, TimeoutError):
            transport, listener = await ws_connect(_Client, f"{url}/openai")
            client = cast(_Client, listener)
            buffered = transport.underlying_transport.get_write_buffer_size
            # picows logs a warning at its own limit, each time.
            transport.underlying_transport.set_write_buffer_limits(high=16 * _AHEAD)
            transport.send(_TEXT, orjson.dumps(settings))
            while not client.over.is_set():
                for _ in range(_AT_ONCE):
                    if buffered() < _AHEAD:
                        transport.send(flood.kind, flood.message)
                        client.sent += 1
                await asyncio.sleep(0 if buffered() < _AHEAD else 0.001)
            told = {"sent": client.sent, "codes": client.codes, "closed": client.closed}
            print(orjson.dumps(told).decode(), flush=True)
        await asyncio.sleep(_PAUSE)


async def _main(kind: str, url: str) -> None:
    from benchmarks.environment import settings

    flooding = asyncio.create_task(_flood(FLOODS[kind], url, settings()))
    reading = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    done, _ = await asyncio.wait((flooding, reading), return_when=asyncio.FIRST_COMPLETED)
    if flooding in done:
        flooding.result()
    flooding.cancel()


@asynccontextmanager
async def flooded(kind: str, url: str, met: Met) -> AsyncIterator[None]:
    """One client floods the server at ``url`` meanwhile, in a process that gives way to all others. ``met`` tells what
    it met so far."""
    command = (sys.executable, "-m", "benchmarks.load.flood", kind, url)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, preexec_fn=lambda: os.nice(10))
    assert process.stdin is not None
    assert process.stdout is not None
    hearing = asyncio.create_task(_hear(process.stdout, met))
    try:
        yield
    finally:
        process.stdin.close()
        await hearing
        await process.wait()


async def _hear(output: asyncio.StreamReader, met: Met) -> None:
    async for line in output:
        found = orjson.loads(line)
        met.connections += 1
        met.sent += found["sent"]
        met.codes.update(found["codes"])
        met.closed.update(found["closed"])


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
