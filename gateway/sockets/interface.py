"""WebSockets as a session knows them, whichever library they are of, and what the two engines share.

`gateway.sockets.engines` has them. An engine hides what its library does differently; the tests run on both.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from uuid import uuid4

import picows.websockets
from websockets.exceptions import ConnectionClosed

#: Raised by `Socket.recv` and `Socket.send`, of either library; see `received`.
Closed = (ConnectionClosed, picows.websockets.ConnectionClosed)

#: The response header that carries a connection's name.
NAME = "dg-request-id"
#: Frames of a client that may wait to be handled; then its socket is not read until there are fewer than the second.
CLIENT_QUEUE = (64, 16)
#: Seconds that a peer may take to answer a close frame.
CLOSE_TIMEOUT = 2
#: Seconds for one attempt to connect, handshake included.
OPEN_TIMEOUT = 10
#: Bytes of a message that may go past the queue.
FAST_PATH_MAX_BYTES = 65_536
#: What fits into a close frame beside its code.
_LONGEST_REASON = 123


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


class Wire(Protocol):
    """A connection below its queue, where the library lets one reach there."""

    #: Called with each whole data message of at most `FAST_PATH_MAX_BYTES` bytes (binary from a client, text from an
    #: upstream) in the call that brings it; True when it has been dealt with, and is not queued for
    #: `Socket.recv`.
    carry: Callable[[bytes], bool] | None
    #: Messages that were queued so far.
    queued: int
    #: The peer takes nothing more just now.
    blocked: bool

    def post(self, message: bytes, *, text: bool) -> None:
        """Send a message; what the peer does not take yet is kept, without a bound: see `blocked`."""


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
    #: Bytes that the operating system takes of what nobody has read yet; the rest stays with the peer.
    unread: int


class Server(Protocol):
    """A listening socket. Closing it leaves the connections alone."""

    def close(self, close_connections: bool = True) -> None: ...

    async def wait_closed(self) -> None:
        """Wait for the connections to end."""


class Engine(Protocol):
    """One of the libraries."""

    async def listen(self, listener: socket.socket, how: Listening) -> Server:
        """Accept clients on this socket from now on."""

    async def connect(
        self, url: str, headers: Mapping[str, str], *, largest: int, ping_timeout: float, unread: int
    ) -> Socket:
        """Connect once; for the numbers see `Listening`. Raises `Refused`, and OSError or TimeoutError for everything
        else."""

    def wire(self, peer: Socket) -> Wire | None:
        """What is below its queue; None where the library does not say."""

    async def cut(self, peer: Socket) -> None:
        """End a connection whose peer takes nothing, at once."""


def received(error: Exception) -> tuple[int | None, str]:
    """Code and reason with which the peer closed, from a `Closed`; None when it did not say."""
    frame = getattr(error, "rcvd", None)
    return (None, "") if frame is None else (int(frame.code), frame.reason or "")


def fitting(reason: str) -> str:
    """As much of a reason as a close frame has room for."""
    return reason.encode()[:_LONGEST_REASON].decode(errors="ignore")


def bound(connection: socket.socket, unread: int) -> None:
    """Bound what the operating system takes for us; connections that a listening socket accepts get its bound.

    Without one that is megabytes, and twice as much here: picows doubles its buffer whenever one read has filled it,
    and hands on every frame that is in it, however many may wait.
    """
    # One that has been closed already needs none.
    with contextlib.suppress(OSError, ValueError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, unread)


def name(_: object, __: object, response: Any) -> Any:
    """Give a connection its name; either library calls it with the answer to an upgrade."""
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers[NAME] = str(uuid4())
    return response
