"""The engine on `picows`, which needs less than half of the CPU for each frame.

Its API is nearly that of `websockets`. What it gets wrong is set right here, each with a test that both engines pass.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import picows
import picows.websockets.asyncio.client
import picows.websockets.asyncio.server
from multidict import CIMultiDict
from picows import WSCloseCode, WSFrame, WSMsgType, WSTransport
from picows.websockets import ClientConnection, InvalidStatus, Response, ServerConnection
from picows.websockets import Request as Upgrade

from gateway.sockets.interface import (
    CLIENT_QUEUE,
    CLOSE_TIMEOUT,
    FAST_PATH_MAX_BYTES,
    NAME,
    OPEN_TIMEOUT,
    Listening,
    Refused,
    Request,
    Server,
    Socket,
    Wire,
    bound,
    name,
)

#: The last frame of a message in several is a continuation.
_MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)
# `_Wire` goes before either kind of connection.
_Connection: Any = object
#: In bytes; it grows when it has to.
_READ_BUFFER = 4096


class _Wire(_Connection):  # type: ignore[misc]
    """A connection that can be reached below its queue; see `gateway.sockets.interface.Wire`. picows keeps its
    transport, and whether that takes more, to itself."""

    #: Of the frames that may be carried.
    data: WSMsgType
    carry: Callable[[bytes], bool] | None = None
    queued = 0
    blocked = False

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport_below = transport
        super().on_ws_connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.fin:
            kind = frame.msg_type
            small = kind == self.data and frame.payload_size <= FAST_PATH_MAX_BYTES
            if small and self.carry is not None and self.carry(frame.get_payload_as_bytes()):
                return
            if kind in _MESSAGES:
                self.queued += 1
        super().on_ws_frame(transport, frame)

    def pause_writing(self) -> None:
        self.blocked = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self.blocked = False
        super().resume_writing()

    def post(self, message: bytes, *, text: bool) -> None:
        self.transport_below.send(WSMsgType.TEXT if text else WSMsgType.BINARY, message)


class _Client(_Wire, ServerConnection):
    """One that closes without a code, as browsers do, is answered with 1000: picows would answer with 0, which is no
    code, and the browser takes the connection for broken."""

    data = WSMsgType.BINARY

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE and not frame.payload_size:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        else:
            super().on_ws_frame(transport, frame)


class _Upstream(_Wire, ClientConnection):
    data = WSMsgType.TEXT


# There is no other way to say of which class its connections shall be.
picows.websockets.asyncio.server.ServerConnection = _Client  # type: ignore[misc]
picows.websockets.asyncio.client.ClientConnection = _Upstream  # type: ignore[misc]


class Picows:
    """See `gateway.sockets.interface.Engine`."""

    async def listen(self, listener: socket.socket, how: Listening) -> Server:
        def process_request(_: object, request: Upgrade) -> Response | None:
            headers = request.headers
            # Firefox sends `keep-alive, Upgrade`, of which picows understands nothing.
            if "upgrade" in [token.strip().lower() for token in ",".join(headers.getall("Connection", [])).split(",")]:
                headers["Connection"] = "Upgrade"
            answer = how.answer(Request(request.path, lambda name: headers.getall(name, [])))
            if answer is None:
                return None
            fields = CIMultiDict({"Content-Type": answer.content_type, **answer.headers})
            return Response(answer.status.value, answer.status.phrase, fields, answer.body)

        async def converse(peer: ServerConnection) -> None:
            await how.serve(cast(Socket, peer), peer.request.path, peer.response.headers[NAME])

        bound(listener, how.unread)
        server: Server = await picows.websockets.serve(
            converse,
            sock=listener,
            process_request=process_request,
            process_response=name,
            select_subprotocol=lambda _, names: how.subprotocol(list(names)),
            compression=None,
            max_size=how.largest,
            max_queue=CLIENT_QUEUE,
            ping_interval=how.ping,
            ping_timeout=how.ping,
            close_timeout=CLOSE_TIMEOUT,
            server_header="turngate",
            read_buffer_init_size=_READ_BUFFER,
            # Not uvloop's transport: a server's message of more than 8 KB lends it a buffer which is used again before
            # it has been sent, when the client takes no more.
            use_aiofastnet=True,
        )
        return server

    async def connect(
        self, url: str, headers: Mapping[str, str], *, largest: int, ping_timeout: float, unread: int
    ) -> Socket:
        # Cancelled in the middle of a handshake, picows would leave a connection that nobody knows of. So it goes on to
        # its end, which its own timeouts bound, and is then closed.
        connecting = asyncio.ensure_future(_connect(url, headers, largest, ping_timeout))
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                peer = await asyncio.shield(connecting)
        except (asyncio.CancelledError, TimeoutError):
            connecting.add_done_callback(_let_go)
            raise
        except InvalidStatus as refused:
            raise Refused(refused.response.status_code) from None
        except OSError:
            raise
        except Exception as error:
            # Also what is no error of a handshake by its type: for a server that hangs up it is an AssertionError.
            raise ConnectionError(str(error) or type(error).__name__) from error
        bound(peer.transport_below.underlying_transport.get_extra_info("socket"), unread)
        return cast(Socket, peer)

    def wire(self, peer: Socket) -> Wire | None:
        return cast(Wire, peer)

    async def cut(self, peer: Socket) -> None:
        # Breaks off what is being sent, and with it the connection.
        await peer.close(1011)


async def _connect(url: str, headers: Mapping[str, str], largest: int, ping_timeout: float) -> _Upstream:
    parts = urlsplit(url)
    peer = await picows.websockets.connect(
        url,
        additional_headers=headers,
        compression=None,
        max_size=largest,
        open_timeout=OPEN_TIMEOUT,
        ping_timeout=ping_timeout,
        close_timeout=CLOSE_TIMEOUT,
        # It looks for proxies, but not for hosts that are to be reached without.
        proxy=None if proxy_bypass(parts.netloc.rpartition("@")[2]) else True,
        # The key is for this host, and for no other that it may name.
        max_redirects=0,
        read_buffer_init_size=_READ_BUFFER,
        # A client's messages are always copied; aiofastnet has a TLS of its own, and needs more memory.
        use_aiofastnet=False,
    )
    return cast(_Upstream, peer)


def _let_go(connecting: asyncio.Future[_Upstream]) -> None:
    """Nobody waits any more for this connection."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().transport_below.disconnect(False)
