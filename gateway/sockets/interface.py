"""WebSockets as a session sees them, whichever library provides them.

`gateway.sockets.engines` lists the engines. An engine hides what its library does differently: its exceptions, what it
counts, what it gets wrong; the tests run on both. Nothing here imports a library, so an engine in memory can take their
place: it needs `Engine`, `Server` and `Socket`, and may leave out `DirectSocket`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from uuid import uuid4

#: The response header that carries a connection's name.
NAME_HEADER = "dg-request-id"
#: Messages of a client that may wait to be read; then its socket is not read until there are fewer than the second.
CLIENT_QUEUE = (64, 16)
#: Seconds that a peer may take to answer a close frame.
CLOSE_TIMEOUT = 2
#: Seconds for one attempt to connect, handshake included.
OPEN_TIMEOUT = 10
#: Bytes of a message that may be handled directly.
DIRECT_MAX_BYTES = 65_536
#: What fits into a close frame beside its code.
_REASON_MAX_BYTES = 123


class ConnectionClosed(Exception):  # noqa: N818 - an outcome, not a fault
    """The connection is over, or was when this was tried. ``code`` and ``reason`` are those of the close frame that the
    peer sent; the code is None when it sent none, or the connection was lost."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(f"{code or 'lost'} {reason}".rstrip())
        self.code = code
        self.reason = reason


class HandshakeRefused(Exception):  # noqa: N818 - an outcome that callers tell apart
    """The server answered the upgrade with another ``status`` than 101."""

    def __init__(self, status: int, *, retry_after: str | None = None, body: bytes = b"") -> None:
        """``retry_after`` is the header of this name; ``body`` the beginning of the answer's body."""
        super().__init__(f"HTTP {status}")
        self.status = status
        self.retry_after = retry_after
        self.body = body


class DirectSocket(Protocol):
    """A connection without its queue, where the library gives access to that."""

    #: Called with each whole data message of at most `DIRECT_MAX_BYTES` bytes (binary from a client, text from an
    #: upstream) while it is being received. Returns True when it has handled the message; otherwise the message is
    #: queued for `Socket.recv`.
    on_message: Callable[[bytes], bool] | None

    @property
    def idle(self) -> bool:
        """True when every queued message has been read, and the reader asks for the next: all before it is handled."""

    @property
    def blocked(self) -> bool:
        """True while the peer takes no more."""

    def post(self, message: bytes, *, text: bool) -> None:
        """Send a message without waiting. What the peer does not take yet is buffered without a limit, so ask `blocked`
        first."""


class Socket(Protocol):
    """One connection. `ConnectionClosed` is raised by whatever meets its end."""

    @property
    def direct(self) -> DirectSocket | None:
        """The connection without its queue; None where the library does not give access to that."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """The next message; ``decode=False`` leaves text as bytes. Cancelling it loses nothing."""

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        """Send a message, as text if so said; returns when the peer takes more."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order, and wait up to `CLOSE_TIMEOUT` for the peer's answer; `fit_reason` makes a reason that fits.
        Only when nothing is being sent (picows would break that off), and not in a task that may be cancelled (on
        Python 3.11 it may not notice)."""

    async def cut(self) -> None:
        """End the connection at once, whatever is being sent."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request on the listening socket, for a page or for a connection."""

    path: str
    #: The values of a header, whatever its case.
    values: Callable[[str], list[str]]


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The response to a request that gets no connection."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """How to serve the clients that connect."""

    #: Serves one connection, whose path and name it gets; the connection is closed when it returns.
    serve: Callable[[Socket, str, str], Awaitable[None]]
    #: The response to a request that is to have no connection; None lets it have one.
    respond: Callable[[HttpRequest], HttpResponse | None]
    #: Which of the offered subprotocols to take, if any; none may be offered.
    subprotocol: Callable[[list[str]], str | None]
    #: Bytes; a larger message closes the connection with 1009.
    message_max: int
    #: Seconds between two pings, and for the answer to one.
    ping_interval: float
    #: Bytes that the operating system buffers of what nobody has read yet; the rest stays with the peer.
    receive_buffer: int


class Server(Protocol):
    """A listening socket. Closing it leaves the connections alone."""

    def close(self, close_connections: bool = True) -> None: ...

    async def wait_closed(self) -> None:
        """Wait for the connections to end."""


class Engine(Protocol):
    """One of the libraries, or a substitute in memory."""

    async def listen(self, listener: socket.socket, options: ListenOptions) -> Server:
        """Accept clients on this socket from now on."""

    async def connect(
        self, url: str, headers: Mapping[str, str], *, message_max: int, ping_timeout: float, receive_buffer: int
    ) -> Socket:
        """Connect once; for the numbers see `ListenOptions`. Raises `HandshakeRefused`, and OSError or TimeoutError for
        everything else."""


def fit_reason(reason: str) -> str:
    """As much of a reason as a close frame has room for."""
    return reason.encode()[:_REASON_MAX_BYTES].decode(errors="ignore")


def limit_receive_buffer(connection: socket.socket, size: int) -> None:
    """Limit what the operating system buffers; connections that a listening socket accepts inherit its limit.

    The default is megabytes, and twice as much in the process: picows doubles its buffer whenever one read has filled
    it, and hands on every frame that is in it, however many may wait.
    """
    # One that has been closed already needs none.
    with contextlib.suppress(OSError, ValueError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def name_connection(_: object, __: object, response: Any) -> Any:
    """Give a connection its name; either library calls it with its response to an upgrade."""
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers[NAME_HEADER] = str(uuid4())
    return response
