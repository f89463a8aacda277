"""The interface of the WebSocket engines.

`gateway.sockets.engines` lists the engines. An engine hides the peculiarities of its library: exceptions, counting,
defects. The tests run on both. This module imports no library, so tests can use an engine in memory, which implements
`Engine`, `Server` and `Socket`; `DirectSocket` is optional.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from uuid import uuid4

#: The response header with a session's id.
NAME_HEADER = "dg-request-id"
#: What the pings of `Socket.mark` begin with: other pings are the library's.
MARK = b"turngate "
#: Maximum number of seconds until a peer answers a close frame.
CLOSE_TIMEOUT = 2
#: Maximum number of seconds for one attempt to connect, including the handshake.
OPEN_TIMEOUT = 10
#: Pings and pongs of a client per second, and parts of messages; twice as many at once. More is a violation of policy
#: (close code 1008).
CONTROL_FRAMES_PER_SECOND = 50.0
FRAGMENTS_PER_SECOND = 500.0
#: Maximum size in bytes of a message that is handled directly.
DIRECT_MAX_BYTES = 65_536
#: Maximum size in bytes of the reason in a close frame (RFC 6455, 5.5).
_REASON_MAX_BYTES = 123


class ConnectionClosed(Exception):  # noqa: N818 - an outcome, not a fault
    """The connection is closed. ``code`` and ``reason`` are those of the peer's close frame; ``code`` is None if it
    sent none, or if the connection was lost."""

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
    """Access to a connection without its queue of received messages, if the library allows it."""

    #: Called in the receive callback with each complete message of at most `DIRECT_MAX_BYTES` bytes (binary from a
    #: client, text from an upstream). Returns True if it has handled the message; otherwise the message is queued for
    #: `Socket.recv`.
    on_message: Callable[[bytes], bool] | None

    @property
    def idle(self) -> bool:
        """True if every message before has been handled: the queue is empty, and the reader waits for the next one."""

    @property
    def blocked(self) -> bool:
        """True while the write buffer is full because the peer does not read."""

    @property
    def post_audio(self) -> Callable[[bytes], None]:
        """Sends a message with audio, binary to a client and text to an upstream, as `post` does."""

    def post(self, message: bytes, *, text: bool) -> None:
        """Send a message without waiting. The write buffer has no limit, so check `blocked` first."""


class Socket(Protocol):
    """One connection. Every method raises `ConnectionClosed` after its end, except `close` and `cut`."""

    @property
    def direct(self) -> DirectSocket | None:
        """Access without the queue; None if the library does not allow it."""

    @property
    def open(self) -> bool:
        """Whether the connection is open, as far as is known here."""

    @property
    def unread(self) -> int:
        """Bytes of messages that were received and wait for `recv`; 0 if the library does not tell."""

    @property
    def unsent(self) -> int:
        """Bytes in the write buffer. It has no limit for what the library sends by itself, such as pongs."""

    #: Called with what `mark` was given when the peer has received everything that was sent before it.
    on_mark: Callable[[bytes], None] | None

    def mark(self, mark: bytes) -> None:
        """Send a ping with this in it (at most 100 bytes), which the peer answers when it has received everything
        before (RFC 6455, 5.5.3). Nothing happens on a connection that is closed."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        """The next message; ``decode=False`` returns text as bytes. Cancelling it loses no message."""

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        """Send a message. Returns when the write buffer has room again."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, and wait up to `CLOSE_TIMEOUT` for the peer's answer. Shorten the reason with
        `fit_reason`. Call it only when nothing is being sent (picows would abort that), and not in a task that may be
        cancelled (Python 3.11 may lose the cancellation)."""

    async def cut(self) -> None:
        """Abort the connection at once."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request on the listening socket: plain HTTP, or an upgrade."""

    #: With the query. It may contain a credential: never log it.
    path: str
    #: The name that the connection gets if it is upgraded.
    name: str
    #: Returns the values of a header; the name is case-insensitive.
    values: Callable[[str], list[str]]
    #: The address of the peer; None if the library does not tell it before the upgrade.
    peer: str | None = None
    method: str = "GET"
    #: Of plain HTTP only, and small: a larger one is refused before.
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The response to a request that is not upgraded."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """How to serve clients."""

    #: Serves one connection, given its path, name and peer's address. The connection is closed when it returns.
    serve: Callable[[Socket, str, str, str], Awaitable[None]]
    #: Returns the response to a request, or None to upgrade it.
    respond: Callable[[HttpRequest], HttpResponse | None]
    #: Selects one of the offered subprotocols, or None.
    subprotocol: Callable[[list[str]], str | None]
    #: Maximum size of a message in bytes; a larger one closes the connection with 1009.
    message_max: int
    #: Seconds between two pings, and until a ping must be answered.
    ping_interval: float
    #: Receive buffer of the operating system in bytes.
    receive_buffer: int


class Server(Protocol):
    """A listening socket. Closing it does not close the connections."""

    def close(self, close_connections: bool = True) -> None: ...

    async def wait_closed(self) -> None:
        """Wait until all connections are closed."""


class Engine(Protocol):
    """A WebSocket library."""

    async def listen(self, listener: socket.socket, options: ListenOptions) -> Server:
        """Accept clients on this socket."""

    async def connect(
        self, url: str, headers: Mapping[str, str], *, message_max: int, ping_timeout: float, receive_buffer: int
    ) -> Socket:
        """Connect once. The limits are as in `ListenOptions`. Raises `HandshakeRefused`, OSError or TimeoutError."""


def fit_reason(reason: str) -> str:
    """Shorten a reason to the size that a close frame can carry."""
    return reason.encode()[:_REASON_MAX_BYTES].decode(errors="ignore")


def limit_receive_buffer(connection: socket.socket | None, size: int) -> None:
    """Limit the receive buffer of the operating system. Connections that a listening socket accepts inherit the limit.

    The default is megabytes, and picows doubles its own buffer whenever one read has filled it and passes on every
    frame in it, regardless of the number of queued messages.
    """
    # The socket may have been closed meanwhile; some transports then have none.
    with contextlib.suppress(OSError, ValueError):
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def new_name(headers: Any) -> str:
    """A name for a connection, kept in the request's headers for `name_connection`."""
    name = str(uuid4())
    # A client cannot choose it.
    if NAME_HEADER in headers:
        del headers[NAME_HEADER]
    headers[NAME_HEADER] = name
    return name


def name_connection(_: object, request: Any, response: Any) -> Any:
    """Set the response header with the connection's name. Both libraries call it with their response to an upgrade."""
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        response.headers[NAME_HEADER] = request.headers[NAME_HEADER]
    return response
