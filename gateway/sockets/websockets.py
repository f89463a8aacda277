"""The engine on `websockets`, the reference implementation."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import websockets.exceptions
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request as Upgrade
from websockets.http11 import Response
from websockets.protocol import Event, State
from websockets.server import ServerProtocol

from gateway.allowance import Allowance
from gateway.sockets.interface import (
    CLOSE_TIMEOUT,
    CONTROL_FRAMES_PER_SECOND,
    FRAGMENTS_PER_SECOND,
    MARK,
    NAME_HEADER,
    OPEN_TIMEOUT,
    ConnectionClosed,
    HandshakeRefused,
    HttpRequest,
    ListenOptions,
    Server,
    Socket,
    limit_receive_buffer,
    name_connection,
    new_name,
)
from gateway.sockets.plain_http import PlainHttp
from gateway.sockets.tls import upstream_tls

#: When the first number of messages is queued, the socket is not read until no more than the second are. The library
#: does not count bytes.
_QUEUE = (16, 4)


_CONTROL = (Opcode.PING, Opcode.PONG)


class _Socket(Connection):
    """Implements `gateway.sockets.interface.Socket`; the first base class of both kinds of connection."""

    direct = None
    unread = 0
    on_mark: Callable[[bytes], None] | None = None

    @property
    def open(self) -> bool:
        return self.state is State.OPEN

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    async def recv(self, decode: bool | None = None) -> Any:
        try:
            return await super().recv(decode)
        except websockets.exceptions.ConnectionClosed as closed:
            raise _closed(closed) from None

    async def send(self, message: Any, *, text: bool | None = None) -> None:
        try:
            await super().send(message, text=text)
        except websockets.exceptions.ConnectionClosed as closed:
            raise _closed(closed) from None

    def mark(self, mark: bytes) -> None:
        if self.protocol.state is State.OPEN:
            self.protocol.send_ping(MARK + mark)
            self.send_data()

    async def cut(self) -> None:
        self.transport.abort()


class _Client(_Socket, ServerConnection):
    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        now = time.monotonic()
        self._control_frames = Allowance(CONTROL_FRAMES_PER_SECOND, now)
        self._fragments = Allowance(FRAGMENTS_PER_SECOND, now)

    def process_event(self, event: Event) -> None:
        control = isinstance(event, Frame) and event.opcode in _CONTROL
        if control or (isinstance(event, Frame) and not event.fin):
            allowance = self._control_frames if control else self._fragments
            if not allowance.spend(1, time.monotonic()):
                self.protocol.fail(CloseCode.POLICY_VIOLATION, "too many control frames or fragments")
                self.send_data()
                return
        if self.on_mark is not None and isinstance(event, Frame) and event.opcode is Opcode.PONG:
            payload = bytes(event.data)
            if payload.startswith(MARK):
                self.on_mark(payload[len(MARK) :])
                return
        super().process_event(event)


class _First(PlainHttp):
    """The library looks for its own protocol in the connection."""

    protocol: ServerProtocol


class _Upstream(_Socket, ClientConnection):
    pass


def _closed(closed: websockets.exceptions.ConnectionClosed) -> ConnectionClosed:
    frame = closed.rcvd
    return ConnectionClosed() if frame is None else ConnectionClosed(int(frame.code), frame.reason)


class Websockets:
    """Implements `gateway.sockets.interface.Engine`."""

    async def listen(self, listener: socket.socket, options: ListenOptions) -> Server:
        def process_request(peer: ServerConnection, request: Upgrade) -> Response | None:
            name, address = new_name(request.headers), str(peer.remote_address[0])
            answer = options.respond(HttpRequest(request.path, name, request.headers.get_all, address))
            if answer is None:
                return None
            fields = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
            headers = Headers({**fields, "Connection": "close", **answer.headers})
            return Response(answer.status.value, answer.status.phrase, headers, answer.body)

        async def converse(peer: ServerConnection) -> None:
            assert peer.request is not None
            assert peer.response is not None
            name = peer.response.headers[NAME_HEADER]
            await options.serve(cast(Socket, peer), peer.request.path, name, str(peer.remote_address[0]))

        def create(protocol: ServerProtocol, *given: Any, **more: Any) -> PlainHttp:
            first = _First(_Client(protocol, *given, **more), options.respond)
            first.protocol = protocol
            return first

        limit_receive_buffer(listener, options.receive_buffer)
        return await serve(
            converse,
            sock=listener,
            process_request=process_request,
            process_response=name_connection,
            select_subprotocol=lambda _, names: cast(Any, options.subprotocol(list(names))),
            compression=None,
            max_size=options.message_max,
            max_queue=_QUEUE,
            ping_interval=options.ping_interval,
            ping_timeout=options.ping_interval,
            close_timeout=CLOSE_TIMEOUT,
            server_header="turngate",
            create_connection=cast(Any, create),
        )

    async def connect(
        self, url: str, headers: Mapping[str, str], *, message_max: int, ping_timeout: float, receive_buffer: int
    ) -> Socket:
        try:
            peer = await connect(
                url,
                additional_headers=headers,
                compression=None,
                max_size=message_max,
                open_timeout=OPEN_TIMEOUT,
                ping_timeout=ping_timeout,
                close_timeout=CLOSE_TIMEOUT,
                create_connection=_Upstream,
                ssl=upstream_tls(url),
            )
        except InvalidStatus as refused:
            answer = refused.response
            raise HandshakeRefused(
                answer.status_code, retry_after=answer.headers.get("Retry-After"), body=bytes(answer.body or b"")
            ) from None
        except InvalidHandshake as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        limit_receive_buffer(peer.transport.get_extra_info("socket"), receive_buffer)
        return cast(Socket, peer)
