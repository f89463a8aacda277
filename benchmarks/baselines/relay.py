"""Baseline A: a relay that only forwards frames, on the same library and event loop as the gateway.

Without JSON, base64, resampling and turns, this is the minimum cost of any server on this library. One process.
``python -m benchmarks.baselines.relay PORT UPSTREAM_URL``; the path is forwarded.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def relay(port: int, upstream_url: str) -> None:
    """Serve until the process is stopped."""

    async def converse(client: ServerConnection) -> None:
        assert client.request is not None
        async with connect(upstream_url + client.request.path, compression=None) as upstream:
            await asyncio.wait(
                [asyncio.create_task(_move(client, upstream)), asyncio.create_task(_move(upstream, client))],
                return_when=asyncio.FIRST_COMPLETED,
            )

    async with serve(converse, "127.0.0.1", port, compression=None, max_queue=(64, 16)) as server:
        await server.serve_forever()


async def _move(source: Connection, sink: Connection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await sink.send(await source.recv())


if __name__ == "__main__":
    uvloop.run(relay(int(sys.argv[1]), sys.argv[2]))
