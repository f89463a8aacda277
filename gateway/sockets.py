"""WebSockets, on either of two libraries that have nearly the same API: what is not the same about them is here.

`picows` costs less than half of `websockets` for each frame; `websockets` is the reference implementation, and has been
in use for longer. ``TURNGATE_SOCKET_ENGINE`` chooses, the tests run on both, and ADR 8 has the figures.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Protocol, TypeAlias, cast
from urllib.parse import urlsplit
from urllib.request import proxy_bypass
from uuid import uuid4

import picows
import picows.websockets
import picows.websockets.asyncio.server
import websockets.asyncio.client
import websockets.asyncio.server
from multidict import CIMultiDict
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Request as Upgrade
from websockets.http11 import Response

EngineName: TypeAlias = Literal["picows", "websockets"]

#: Raised by `Socket.recv` and `Socket.send`, of either library; see `received`.
Closed = (ConnectionClosed, picows.websockets.ConnectionClosed)

#: The response header that carries a connection's name.
_NAME = "dg-request-id"
#: Frames of a client that may wait to be handled; then its socket is not read until there are fewer than the second.
_CLIENT_QUEUE = (64, 16)
#: Seconds that a peer may take to answer a close frame.
_CLOSE_TIMEOUT = 2
#: Seconds for one attempt to connect, handshake included.
_OPEN_TIMEOUT = 10
#: What fits into a close frame beside its code.
_LONGEST_REASON = 123
#: In bytes; it grows when it has to.
_READ_BUFFER = 4096


class Socket(Protocol):
    """One connection. `Closed` is raised by whatever meets its end."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """The next message; ``decode=False`` leaves text as bytes. Cancelling it loses nothing."""

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        """Send a message, as text if so said; returns when the peer takes what there is to send."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order, and wait for that for a while; ``reason`` is one of `fitting` length. Only when nothing is
        being sent (picows would break that off), and not in a task that may be cancelled (on Python 3.11 it may not
        notice)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request on the listening socket, for a page or for a connection."""

    path: str
    #: The values of a header, whatever its case.
    values: Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - an outcome that callers tell apart
    """The server answered the upgrade with another ``status`` than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Listening:
    """How to serve the clients that come."""

    #: Serves one connection, whose path and name it gets; the connection is closed when it returns.
    serve: Callable[[Socket, str, str], Awaitable[None]]
    #: The answer to a request that is to have no connection; None lets it have one.
    answer: Callable[[Request], Answer | None]
    #: Which of the offered subprotocols to take, if any; none may be offered.
    subprotocol: Callable[[list[str]], str | None]
    #: Bytes; a larger message closes the connection with 1009.
    largest: int
    #: Seconds between two pings, and for the answer to one.
    ping: float


class Server(Protocol):
    """A listening socket. Closing it leaves the connections alone."""

    def close(self, close_connections: bool = True) -> None: ...

    async def wait_closed(self) -> None:
        """Wait for the connections to end."""


class Engine(Protocol):
    """One of the libraries."""

    async def listen(self, listener: socket.socket, how: Listening) -> Server:
        """Accept clients on this socket from now on."""

    async def connect(self, url: str, headers: Mapping[str, str], *, largest: int, ping_timeout: float) -> Socket:
        """Connect once. Raises `Refused`, and OSError or TimeoutError for everything else."""

    async def cut(self, peer: Socket) -> None:
        """End a connection whose peer takes nothing, at once."""


class _PicowsClient(picows.websockets.ServerConnection):
    """A client that closes without a code, as browsers do, is answered with 1000: picows would answer with 0, which is
    no code, and the browser takes the connection for broken."""

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type == picows.WSMsgType.CLOSE and not frame.payload_size:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
        else:
            super().on_ws_frame(transport, frame)


# It has no other way to say of which class its connections shall be.
picows.websockets.asyncio.server.ServerConnection = _PicowsClient  # type: ignore[misc]


class Picows:
    """`picows.websockets`."""

    async def listen(self, listener: socket.socket, how: Listening) -> Server:
        def process_request(_: object, request: picows.websockets.Request) -> picows.websockets.Response | None:
            headers = request.headers
            # Firefox sends `keep-alive, Upgrade`, of which picows understands nothing.
            if "upgrade" in [token.strip().lower() for token in ",".join(headers.getall("Connection", [])).split(",")]:
                headers["Connection"] = "Upgrade"
            answer = how.answer(Request(request.path, lambda name: headers.getall(name, [])))
            if answer is None:
                return None
            fields = CIMultiDict({"Content-Type": answer.content_type, **answer.headers})
            return picows.websockets.Response(answer.status.value, answer.status.phrase, fields, answer.body)

        async def serve(peer: picows.websockets.ServerConnection) -> None:
            await how.serve(cast(Socket, peer), peer.request.path, peer.response.headers[_NAME])

        server: Server = await picows.websockets.serve(
            serve,
            sock=listener,
            process_request=process_request,
            process_response=_name,
            select_subprotocol=lambda _, names: how.subprotocol(list(names)),
            compression=None,
            max_size=how.largest,
            max_queue=_CLIENT_QUEUE,
            ping_interval=how.ping,
            ping_timeout=how.ping,
            close_timeout=_CLOSE_TIMEOUT,
            server_header="turngate",
            read_buffer_init_size=_READ_BUFFER,
            # Not uvloop's transport: a server's message of more than 8 KB lends it a buffer which is used again before
            # it has been sent, when the client takes no more.
            use_aiofastnet=True,
        )
        return server

    async def connect(self, url: str, headers: Mapping[str, str], *, largest: int, ping_timeout: float) -> Socket:
        parts = urlsplit(url)
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT):
                peer = await picows.websockets.connect(
                    url,
                    additional_headers=headers,
                    compression=None,
                    max_size=largest,
                    ping_timeout=ping_timeout,
                    close_timeout=_CLOSE_TIMEOUT,
                    # It looks for proxies, but not for hosts that are to be reached without.
                    proxy=None if proxy_bypass(parts.netloc.rpartition("@")[2]) else True,
                    # The key is for this host, and for no other that it may name.
                    max_redirects=0,
                    read_buffer_init_size=_READ_BUFFER,
                    # A client's messages are always copied; aiofastnet has a TLS of its own, and needs more memory.
                    use_aiofastnet=False,
                )
        except picows.websockets.InvalidStatus as refused:
            raise Refused(refused.response.status_code) from None
        except (OSError, TimeoutError):
            raise
        except Exception as error:
            # Also what is no error of a handshake by its type: for a server that hangs up it is an AssertionError.
            raise ConnectionError(str(error) or type(error).__name__) from error
        return cast(Socket, peer)

    async def cut(self, peer: Socket) -> None:
        # Breaks off what is being sent, and with it the connection.
        await peer.close(1011)


class Websockets:
    """`websockets`."""

    async def listen(self, listener: socket.socket, how: Listening) -> Server:
        def process_request(_: object, request: Upgrade) -> Response | None:
            answer = how.answer(Request(request.path, request.headers.get_all))
            if answer is None:
                return None
            fields = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
            headers = Headers({**fields, "Connection": "close", **answer.headers})
            return Response(answer.status.value, answer.status.phrase, headers, answer.body)

        async def serve(peer: websockets.asyncio.server.ServerConnection) -> None:
            assert peer.request is not None
            assert peer.response is not None
            await how.serve(peer, peer.request.path, peer.response.headers[_NAME])

        return await websockets.asyncio.server.serve(
            serve,
            sock=listener,
            process_request=process_request,
            process_response=_name,
            select_subprotocol=lambda _, names: cast(Any, how.subprotocol(list(names))),
            compression=None,
            max_size=how.largest,
            max_queue=_CLIENT_QUEUE,
            ping_interval=how.ping,
            ping_timeout=how.ping,
            close_timeout=_CLOSE_TIMEOUT,
            server_header="turngate",
        )

    async def connect(self, url: str, headers: Mapping[str, str], *, largest: int, ping_timeout: float) -> Socket:
        try:
            return await websockets.asyncio.client.connect(
                url,
                additional_headers=headers,
                compression=None,
                max_size=largest,
                open_timeout=_OPEN_TIMEOUT,
                ping_timeout=ping_timeout,
                close_timeout=_CLOSE_TIMEOUT,
            )
        except InvalidStatus as refused:
            raise Refused(refused.response.status_code) from None
        except InvalidHandshake as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    async def cut(self, peer: Socket) -> None:
        cast(websockets.asyncio.server.ServerConnection, peer).transport.abort()


ENGINES: Mapping[EngineName, Engine] = {"picows": Picows(), "websockets": Websockets()}


def received(error: Exception) -> tuple[int | None, str]:
    """Code and reason with which the peer closed, from a `Closed`; None when it did not say."""
    frame = getattr(error, "rcvd", None)
    return (None, "") if frame is None else (int(frame.code), frame.reason or "")


def fitting(reason: str) -> str:
    """As much of a reason as a close frame has room for."""
    return reason.encode()[:_LONGEST_REASON].decode(errors="ignore")


def _name(_: object, __: object, response: Any) -> Any:
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers[_NAME] = str(uuid4())
    return response
