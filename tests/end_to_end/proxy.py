"""A TCP proxy whose connections can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Proxy:
    """``url`` leads to the target. Created by `proxy`."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._target = (target.hostname, target.port)
        self.url = ""
        self._refuses = False
        #: An entry for each new connection that was aborted.
        self._refused: asyncio.Queue[None] = asyncio.Queue()
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Abort all connections, and every new one until `restore` is called."""
        self._refuses = True
        for writer in self._open:
            writer.transport.abort()

    async def refused(self, times: int) -> None:
        """Wait until so many new connections were aborted."""
        for _ in range(times):
            await self._refused.get()

    def restore(self) -> None:
        """Forward new connections again."""
        self._refuses = False

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            self._refused.put_nowait(None)
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._target)
        self._open |= {writer, back}
        await asyncio.gather(_copy(reader, back), _copy(there, writer))
        self._open -= {writer, back}


@asynccontextmanager
async def proxy(url: str) -> AsyncIterator[Proxy]:
    """A proxy for this WebSocket address, until the block ends."""
    between = Proxy(url)
    async with await asyncio.start_server(between.forward, "127.0.0.1", 0) as server:
        between.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield between
        between.cut()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one of them is closed, and then the other is."""
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    writer.close()
