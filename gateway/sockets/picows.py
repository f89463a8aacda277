"""The engine on `picows`, which needs less than half of the CPU for each frame.

Its API is nearly that of `websockets`. This module corrects its defects; each has a test that both engines pass.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import aiofastnet
import picows
import picows.api
import picows.websockets.asyncio.client
import picows.websockets.asyncio.server
from multidict import CIMultiDict
from picows import WSCloseCode, WSFrame, WSMsgType, WSTransport
from picows.websockets import ClientConnection, InvalidStatus, Response, ServerConnection, State
from picows.websockets import ConnectionClosed as PicowsConnectionClosed
from picows.websockets import Request as Upgrade

from gateway.allowance import Allowance
from gateway.sockets.interface import (
    CLOSE_TIMEOUT,
    CONTROL_FRAMES_PER_SECOND,
    DIRECT_MAX_BYTES,
    FRAGMENTS_PER_SECOND,
    MARK,
    NAME_HEADER,
    OPEN_TIMEOUT,
    ConnectionClosed,
    HandshakeRefused,
    HttpRequest,
    HttpResponse,
    ListenOptions,
    Server,
    Socket,
    limit_receive_buffer,
    name_connection,
    new_name,
)
from gateway.sockets.plain_http import PlainHttp
from gateway.sockets.tls import upstream_tls

_CONTROL = (WSMsgType.PING, WSMsgType.PONG)
#: The last frame of a fragmented message is a continuation.
_MESSAGES = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)
# `_Socket` is the first base class of both kinds of connection.
_Connection: Any = object
#: When the first number of messages is queued, the socket is not read until no more than the second are.
_QUEUE = (64, 16)
#: Bytes of messages that may wait before the socket is not read any more. picows counts messages only.
_UNREAD_MAX_BYTES = 524_288
#: Initial size in bytes; it grows.
_READ_BUFFER = 4096
#: Two TLS records of 16 KiB in, and one out. A burst fills the buffer, which keeps its pages: with aiofastnet's 256 KiB
#: a session that has talked needs 400 KB more, and no frame is read faster.
_TLS_BUFFERS: dict[str, Any] = {"ssl_incoming_bio_size": 2 * (16_384 + 64), "ssl_outgoing_bio_size": 16_384 + 64}


class _Direct:
    """Implements `gateway.sockets.interface.DirectSocket`. Apart from the connection, since the attributes of a class
    with slots are found faster."""

    __slots__ = ("blocked", "fragmented", "idle", "kind", "on_message", "post_audio", "send")

    def __init__(self, transport: WSTransport, kind: WSMsgType) -> None:
        """``kind`` is that of messages with audio, in both directions."""
        self.kind = kind
        self.on_message: Callable[[bytes], bool] | None = None
        self.idle = True
        self.blocked = False
        #: Between the first and the last frame of a fragmented message.
        self.fragmented = False
        self.send = transport.send
        self.post_audio = partial(transport.send, kind)

    def post(self, message: bytes, *, text: bool) -> None:
        self.send(WSMsgType.TEXT if text else WSMsgType.BINARY, message)


class _Socket(_Connection):  # type: ignore[misc]
    """Implements `gateway.sockets.interface.Socket`. picows does not expose its transport, nor whether writing is
    paused."""

    #: The opcode of messages with audio, in both directions.
    audio_type: WSMsgType
    on_mark: Callable[[bytes], None] | None = None
    _queued = 0
    #: Bytes of the messages that wait for `recv`, and whether reading is paused for them.
    unread = 0
    _full = False
    #: Number of messages that the reader was given. It has handled them when it asks for the next one.
    _read = 0

    @property
    def open(self) -> bool:
        is_open: bool = self.state is State.OPEN
        return is_open

    @property
    def unsent(self) -> int:
        size: int = self.ws_transport.underlying_transport.get_write_buffer_size()
        return size

    async def recv(self, decode: bool | None = None) -> str | bytes:
        self.direct.idle = self._read == self._queued
        try:
            message: str | bytes = await super().recv(decode)
        except PicowsConnectionClosed as closed:
            raise _closed(closed) from None
        self._read += 1
        self.unread -= len(message.encode()) if isinstance(message, str) else len(message)
        # picows may have paused reading too, for the number of messages.
        if self._full and self.unread < _UNREAD_MAX_BYTES and self._queued - self._read <= _QUEUE[1]:
            self._full = False
            self.ws_transport.underlying_transport.resume_reading()
        return message

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        try:
            await super().send(message, text=text)
        except PicowsConnectionClosed as closed:
            raise _closed(closed) from None

    def mark(self, mark: bytes) -> None:
        self.ws_transport.send_ping(MARK + mark)

    async def cut(self) -> None:
        # Aborts a send in progress, and the connection.
        await self.close(1011)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.ws_transport = transport
        self.direct = _Direct(transport, self.audio_type)
        super().on_ws_connected(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # Runs for every frame of audio.
        direct = self.direct
        if (
            (on_message := direct.on_message) is None
            or frame.msg_type != direct.kind
            or not frame.fin
            or direct.fragmented
            or frame.payload_size > DIRECT_MAX_BYTES
            or frame.rsv1
            or frame.rsv2
            or frame.rsv3
            or not on_message(frame.get_payload_as_bytes())
        ):
            self.queue_frame(transport, frame)

    def queue_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Have picows handle a frame, which queues messages for `recv`."""
        if frame.rsv2 or frame.rsv3:
            # No extension that uses these bits is negotiated (RFC 6455, 5.2).
            transport.send_close(WSCloseCode.PROTOCOL_ERROR, b"reserved bits must be 0")
            transport.disconnect()
            return
        direct = self.direct
        if not frame.fin:
            direct.fragmented = True
        elif frame.msg_type in _MESSAGES:
            self._queued += 1
            direct.idle = direct.fragmented = False
        super().on_ws_frame(transport, frame)
        if frame.msg_type in _MESSAGES:
            self.unread += frame.payload_size
            # Between two frames of a message its reader waits for the rest.
            if self.unread >= _UNREAD_MAX_BYTES and not self._full and not direct.fragmented:
                self._full = True
                self.ws_transport.underlying_transport.pause_reading()

    def pause_writing(self) -> None:
        self.direct.blocked = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self.direct.blocked = False
        super().resume_writing()


def _closed(closed: PicowsConnectionClosed) -> ConnectionClosed:
    frame = closed.rcvd
    return ConnectionClosed() if frame is None else ConnectionClosed(int(frame.code), frame.reason or "")


class _Client(_Socket, ServerConnection):  # type: ignore[misc]
    """A client's connection. A close frame without a code, as browsers send, is answered with 1000: picows would answer
    with 0, which is not a valid code, and browsers report an error."""

    audio_type = WSMsgType.BINARY

    def on_ws_connected(self, transport: WSTransport) -> None:
        now = time.monotonic()
        self._control_frames = Allowance(CONTROL_FRAMES_PER_SECOND, now)
        self._fragments = Allowance(FRAGMENTS_PER_SECOND, now)
        super().on_ws_connected(transport)

    def queue_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        control = kind in _CONTROL
        if control or not frame.fin:
            allowance = self._control_frames if control else self._fragments
            if not allowance.spend(1, time.monotonic()):
                transport.send_close(WSCloseCode.POLICY_VIOLATION, b"too many control frames or fragments")
                transport.disconnect()
                return
        if kind == WSMsgType.PONG and self.on_mark is not None:
            payload = frame.get_payload_as_bytes()
            if payload.startswith(MARK):
                self.on_mark(payload[len(MARK) :])
                return
        if kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind != WSMsgType.CLOSE:
            super().queue_frame(transport, frame)
        elif not frame.payload_size:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif not _is_close_code(int.from_bytes(frame.get_payload_as_bytes()[:2], "big")):
            transport.send_close(WSCloseCode.PROTOCOL_ERROR, b"invalid close code")
            transport.disconnect()
        else:
            super().queue_frame(transport, frame)


def _is_close_code(code: int) -> bool:
    """Whether a peer may send this code (RFC 6455, 7.4, and IANA's registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


class _Upstream(_Socket, ClientConnection):  # type: ignore[misc]
    audio_type = WSMsgType.TEXT


# picows has no other way to choose the class of its connections, or to see a request before it does.
picows.websockets.asyncio.server.ServerConnection = _Client  # type: ignore[misc]
_respond: ContextVar[Callable[[HttpRequest], HttpResponse | None]] = ContextVar("respond")


async def _create_server(loop: asyncio.AbstractEventLoop, factory: Callable[[], Any], **options: Any) -> Any:
    """Each connection of the gateway's server is a `PlainHttp` first."""
    if (respond := _respond.get(None)) is None:
        # Another server in this process, such as the upstream of the benchmarks.
        return await aiofastnet.create_server(loop, factory, **options)
    return await aiofastnet.create_server(loop, lambda: PlainHttp(factory(), respond), **options)


async def _ws_create_server(*given: Any, **options: Any) -> Any:
    """The gateway answers pings itself, since it counts them."""
    if _respond.get(None) is not None:
        options["enable_auto_pong"] = False
    return await picows.api.ws_create_server(*given, **options)


picows.ws_create_server = _ws_create_server
# Of the module that picows makes connections with, one function is replaced.
_transports = SimpleNamespace(**{**vars(aiofastnet), "create_server": _create_server})
picows.api.aiofastnet = _transports  # type: ignore[attr-defined,assignment]
picows.websockets.asyncio.client.ClientConnection = _Upstream  # type: ignore[misc]


class Picows:
    """Implements `gateway.sockets.interface.Engine`."""

    async def listen(self, listener: socket.socket, options: ListenOptions) -> Server:
        def process_request(_: object, request: Upgrade) -> Response | None:
            headers = request.headers
            # Firefox sends `keep-alive, Upgrade`, which picows does not understand.
            if "upgrade" in [token.strip().lower() for token in ",".join(headers.getall("Connection", [])).split(",")]:
                headers["Connection"] = "Upgrade"
            answer = options.respond(
                HttpRequest(request.path, new_name(headers), lambda name: headers.getall(name, []))
            )
            if answer is None:
                return None
            fields = CIMultiDict({"Content-Type": answer.content_type, **answer.headers})
            return Response(answer.status.value, answer.status.phrase, fields, answer.body)

        async def converse(peer: ServerConnection) -> None:
            name = peer.response.headers[NAME_HEADER]
            await options.serve(cast(Socket, peer), peer.request.path, name, str(peer.remote_address[0]))

        limit_receive_buffer(listener, options.receive_buffer)
        _respond.set(options.respond)
        server: Server = await picows.websockets.serve(
            converse,
            sock=listener,
            process_request=process_request,
            process_response=name_connection,
            select_subprotocol=lambda _, names: options.subprotocol(list(names)),
            compression=None,
            max_size=options.message_max,
            max_queue=_QUEUE,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_interval,
            close_timeout=CLOSE_TIMEOUT,
            server_header="turngate",
            read_buffer_init_size=_READ_BUFFER,
            # Not uvloop's transport: for a message of more than 8 KB picows passes a buffer that it reuses before it
            # was sent if the client does not read.
            use_aiofastnet=True,
        )
        return server

    async def connect(
        self, url: str, headers: Mapping[str, str], *, message_max: int, ping_timeout: float, receive_buffer: int
    ) -> Socket:
        # If it is cancelled during the handshake, picows leaks the connection. So the handshake runs to its end, which
        # has timeouts, and the connection is closed then.
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
            # Includes exceptions of unexpected types: an AssertionError if the server closes the connection.
            raise ConnectionError(str(error) or type(error).__name__) from error
        limit_receive_buffer(peer.ws_transport.underlying_transport.get_extra_info("socket"), receive_buffer)
        return cast(Socket, peer)


async def _connect(url: str, headers: Mapping[str, str], message_max: int, ping_timeout: float) -> _Upstream:
    parts = urlsplit(url)
    tls = upstream_tls(url)
    peer = await picows.websockets.connect(
        url,
        additional_headers=headers,
        compression=None,
        max_size=message_max,
        open_timeout=OPEN_TIMEOUT,
        ping_timeout=ping_timeout,
        close_timeout=CLOSE_TIMEOUT,
        # picows uses proxies from the environment, but ignores `no_proxy`.
        proxy=None if proxy_bypass(parts.netloc.rpartition("@")[2]) else True,
        # The API key must not be sent to another host.
        max_redirects=0,
        read_buffer_init_size=_READ_BUFFER,
        ssl=tls,
        # Its TLS needs less CPU and memory than that of uvloop.
        use_aiofastnet=True,
        **(_TLS_BUFFERS if tls is not None else {}),
    )
    return cast(_Upstream, peer)


def _close_unwanted(connecting: asyncio.Future[_Upstream]) -> None:
    """Close a connection that was opened after its caller had given up."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().ws_transport.disconnect(False)
