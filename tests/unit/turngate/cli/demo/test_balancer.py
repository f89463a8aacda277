"""The demo's load balancer, in front of gateways on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from turngate.cli.demo.balancer import balanced


class Gateway:
    """Says its name, and repeats what it receives until it is killed."""

    def __init__(self, name: bytes) -> None:
        self.url = ""
        self.server: asyncio.Server
        self._name = name
        self._connections: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(writer)
        writer.write(self._name)
        while piece := await reader.read(100):
            writer.write(piece)
        writer.close()

    def kill(self) -> None:
        self.server.close()
        for writer in self._connections:
            writer.transport.abort()


@asynccontextmanager
async def gateway(name: bytes) -> AsyncIterator[Gateway]:
    one = Gateway(name)
    one.server = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.url = f"ws://127.0.0.1:{one.server.sockets[0].getsockname()[1]}"
    yield one
    one.kill()


async def connected(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


async def test_connections_go_to_the_first_gateway_until_it_is_killed() -> None:
    async with (
        gateway(b"A") as first,
        gateway(b"B") as second,
        balanced([first.url, second.url]) as url,
        asyncio.timeout(10),
    ):
        reader, writer = await connected(url)
        writer.write(b"hello")
        assert await reader.readexactly(6) == b"Ahello"
        first.kill()
        assert await reader.read() == b""
        writer.close()
        reader, writer = await connected(url)
        writer.write(b"hello")
        assert await reader.readexactly(6) == b"Bhello"
        writer.close()
        second.kill()
        reader, writer = await connected(url)
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.readexactly(1)
        writer.close()
