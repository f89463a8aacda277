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
from picows.websockets import ConnectionClosed as PicowsConnectionClosed
from picows.websockets import Request as Upgrade

from gateway.sockets.interface import (
    CLIENT_QUEUE,
    CLOSE_TIMEOUT,
    DIRECT_MAX_BYTES,
    NAME_HEADER,
    OPEN_TIMEOUT,
    ConnectionClosed,
    DirectSocket,
    HandshakeRefused,
    HttpRequest,
    ListenOptions,
    Server,
    Socket,
    limit_receive_buffer,
    name_connection,
)

#: The last frame of a message in several is a continuation.
_MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)
# `_Socket` goes before either kind of connection.
_Connection: Any = object
#: In bytes; it grows when it has to.
_READ_BUFFER = 4096


class _Socket(_Connection):  # type: ignore[misc]
    """See `gateway.sockets.interface.Socket` and `DirectSocket`. picows keeps its transport to itself, and whether that
    takes more."""

    #: Of the messages that may be handled directly.
    direct_type: WSMsgType
    on_message: Callable[[bytes], bool] | None = None
    blocked = False
    _queued = 0
    #: Messages that were read, and those of them that have been handled since: the reader is back for the next.
    _read = 0
    _handled = 0

    @property
    def direct(self) -> DirectSocket:
        return cast(DirectSocket, self)

    @property
    def idle(self) -> bool:
        return self._handled == self._queued

    async def recv(self, decode: bool | None = None) -> str | bytes:
        self._handled = self._read
        try:
            message: str | bytes = await super().recv(decode)
        except PicowsConnectionClosed as closed:
            raise _closed(closed) from None
        self._read += 1
        return message

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        try:
            await super().send(message, text=text)
        except PicowsConnectionClosed as closed:
            raise _closed(closed) from None

    async def cut(self) -> None:
        # Breaks off what is being sent, and with it the connection.
        await self.close(1011)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.ws_transport = transport
        super().on_ws_connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.fin:
            kind = frame.msg_type
            small = kind == self.direct_type and frame.payload_size <= DIRECT_MAX_BYTES
            if small and self.on_message is not None and self.on_message(frame.get_payload_as_bytes()):
                return
            if kind in _MESSAGES:
                self._queued += 1
        super().on_ws_frame(transport, frame)

    def pause_writing(self) -> None:
        self.blocked = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self.blocked = False
        super().resume_writing()

    def post(self, message: bytes, *, text: bool) -> None:
        self.ws_transport.send(WSMsgType.TEXT if text else WSMsgType.BINARY, message)


def _closed(closed: PicowsConnectionClosed) -> ConnectionClosed:
    frame = closed.rcvd
    return ConnectionClosed() if frame is None else ConnectionClosed(int(frame.code), frame.reason or "")


class _Client(_Socket, ServerConnection):  # type: ignore[misc]
    """One that closes without a code, as browsers do, is answered with 1000: picows would answer with 0, which is no
    code, and the browser takes the connection for broken."""

    direct_type = WSMsgType.BINARY

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE and not frame.payload_size:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        else:
            super().on_ws_frame(transport, frame)


class _Upstream(_Socket, ClientConnection):  # type: ignore[misc]
    direct_type = WSMsgType.TEXT


# There is no other way to say of which class its connections shall be.
picows.websockets.asyncio.server.ServerConnection = _Client  # type: ignore[misc]
picows.websockets.asyncio.client.ClientConnection = _Upstream  # type: ignore[misc]


class Picows:
    """See `gateway.sockets.interface.Engine`."""

    async def listen(self, listener: socket.socket, options: ListenOptions) -> Server:
        def process_request(_: object, request: Upgrade) -> Response | None:
            headers = request.headers
            # Firefox sends `keep-alive, Upgrade`, of which picows understands nothing.
            if "upgrade" in [token.strip().lower() for token in ",".join(headers.getall("Connection", [])).split(",")]:
                headers["Connection"] = "Upgrade"
            answer = options.respond(HttpRequest(request.path, lambda name: headers.getall(name, [])))
            if answer is None:
                return None
            fields = CIMultiDict({"Content-Type": answer.content_type, **answer.headers})
            return Response(answer.status.value, answer.status.phrase, fields, answer.body)

        async def converse(peer: ServerConnection) -> None:
            await options.serve(cast(Socket, peer), peer.request.path, peer.response.headers[NAME_HEADER])

        limit_receive_buffer(listener, options.receive_buffer)
        server: Server = await picows.websockets.serve(
            converse,
            sock=listener,
            process_request=process_request,
            process_response=name_connection,
            select_subprotocol=lambda _, names: options.subprotocol(list(names)),
            compression=None,
            max_size=options.message_max,
            max_queue=CLIENT_QUEUE,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_interval,
            close_timeout=CLOSE_TIMEOUT,
            server_header="turngate",
            read_buffer_init_size=_READ_BUFFER,
            # Not uvloop's transport: a server's message of more than 8 KB lends it a buffer which is used again before
            # it has been sent, when the client takes no more.
            use_aiofastnet=True,
        )
        return server

    async def connect(
        self, url: str, headers: Mapping[str, str], *, message_max: int, ping_timeout: float, receive_buffer: int
    ) -> Socket:
        # Cancelled in the middle of a handshake, picows would leave a connection that nobody knows of. So it goes on to
        # its end, which its own timeouts bound, and is then closed.
        connecting = asyncio.ensure_future(_connect(url, headers, message_max, ping_timeout))
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                peer = await asyncio.shield(connecting)
        except (asyncio.CancelledError, TimeoutError):
            connecting.add_done_callback(_close_unwanted)
            raise
        except InvalidStatus as refused:
            answer = refused.response
            raise HandshakeRefused(
                answer.status_code, retry_after=answer.headers.get("Retry-After"), body=bytes(answer.body or b"")
            ) from None
        except OSError:
            raise
        except Exception as error:
            # Also what is no error of a handshake by its type: for a server that hangs up it is an AssertionError.
            raise ConnectionError(str(error) or type(error).__name__) from error
        limit_receive_buffer(peer.ws_transport.underlying_transport.get_extra_info("socket"), receive_buffer)
        return cast(Socket, peer)


async def _connect(url: str, headers: Mapping[str, str], message_max: int, ping_timeout: float) -> _Upstream:
    parts = urlsplit(url)
    peer = await picows.websockets.connect(
        url,
        additional_headers=headers,
        compression=None,
        max_size=message_max,
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


def _close_unwanted(connecting: asyncio.Future[_Upstream]) -> None:
    """Close a connection whose dial was given up before it came about."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().ws_transport.disconnect(False)
