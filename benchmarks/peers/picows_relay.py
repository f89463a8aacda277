"""A relay that only forwards frames, like baseline A, on picows and aiofastnet, on which the gateway's sockets are.

``python -m benchmarks.peers.picows_relay PORT UPSTREAM_URL``; the path is forwarded.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server


class _End(WSListener):
    """One of the two connections of a session."""

    def __init__(self, upstream_url: str | None = None) -> None:
        """``upstream_url``: what to connect the client's end to."""
        self._upstream_url = upstream_url
        self._connecting: asyncio.Task[None] | None = None
        self._early: list[tuple[WSMsgType, bytes]] = []
        self.peer: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self._upstream_url is not None:
            self._connecting = asyncio.create_task(self._connect(self._upstream_url, transport))

    async def _connect(self, url: str, client: WSTransport) -> None:
        other = _End()
        other.peer = client
        context = _TLS if url.startswith("wss:") else None
        self.peer, _ = await ws_connect(lambda: other, url, ssl_context=context, use_aiofastnet=True)
        for kind, payload in self._early:
            self.peer.send(kind, payload)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.peer is None:
            self._early.append((frame.msg_type, frame.get_payload_as_bytes()))
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        else:
            self.peer.send(frame.msg_type, frame.get_payload_as_memoryview())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.peer is not None:
            self.peer.disconnect()


async def relay(port: int, upstream_url: str) -> None:
    """Serve until the process is stopped."""

    def accept(request: WSUpgradeRequest) -> WSListener:
        return _End(upstream_url + request.path.decode())

    server = await ws_create_server(accept, "127.0.0.1", port, backlog=2_048, use_aiofastnet=True)
    await server.serve_forever()


if __name__ == "__main__":
    _TLS = ssl.create_default_context()
    uvloop.run(relay(int(sys.argv[1]), sys.argv[2]))
