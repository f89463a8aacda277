"""A load balancer for the demo: forwards each connection to the first of its gateways that accepts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_PIECE = 65_536


@asynccontextmanager
async def balanced(urls: Sequence[str]) -> AsyncIterator[str]:
    """The WebSocket address of the load balancer, until the block ends."""
    targets = [(address.hostname or "", address.port or 0) for address in map(urlsplit, urls)]

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for host, port in targets:
            with suppress(OSError):
                there, back = await asyncio.open_connection(host, port)
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
                return
        writer.close()

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one of them is closed, and then the other is."""
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.close()
