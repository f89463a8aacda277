"""Plain HTTP on the port of the WebSockets, the same with both libraries.

The libraries accept only ``GET`` with HTTP/1.1 and no body. `PlainHttp` reads the first request of each connection. It
answers a request that asks for no upgrade itself, and passes an upgrade on to the library, whose protocol replaces it
on the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gateway.sockets.interface import OPEN_TIMEOUT, HttpRequest, HttpResponse

#: Maximum size of a request's head in bytes; a larger one is left to the library, which refuses it.
_HEAD_MAX = 16_384
#: Maximum size of a request's body in bytes.
BODY_MAX = 4_096
_END = b"\r\n\r\n"
_VERSIONS = (b"HTTP/1.0", b"HTTP/1.1")

#: Bytes that are read from a client at a time. The frames in them are handled before other connections are read, and
#: picows would read as much as its buffer holds, which grows.
_READ_MAX = 4_096


class LimitedReads(asyncio.BufferedProtocol):
    """Passes everything on to another protocol, and has no more than `_READ_MAX` bytes read at a time."""

    def __init__(self, protocol: Any) -> None:
        self._get_buffer: Callable[[int], memoryview] = protocol.get_buffer
        for name in ("buffer_updated", "eof_received", "connection_lost", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(protocol, name))

    def get_buffer(self, sizehint: int) -> memoryview:
        buffer = self._get_buffer(sizehint)
        return buffer if len(buffer) <= _READ_MAX else buffer[:_READ_MAX]


@dataclass(frozen=True, slots=True)
class _Head:
    """The head of a request; the names of its fields are in lower case."""

    method: str
    target: str
    version: bytes
    fields: dict[str, list[str]]

    @property
    def body_size(self) -> int | HTTPStatus:
        """The number of bytes that follow the head, or with what a request is refused that does not say it."""
        lengths = set(self.fields.get("content-length", []))
        if "transfer-encoding" in self.fields:
            return HTTPStatus.LENGTH_REQUIRED
        length = lengths.pop() if lengths else "0"
        if lengths or not (length.isascii() and length.isdecimal()):
            return HTTPStatus.BAD_REQUEST
        # A number of more digits would take long to read.
        return int(length) if len(length) < 10 and int(length) <= BODY_MAX else HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _read_head(head: bytes) -> _Head | None:
    """None if this is not the head of a request."""
    line, *lines = head.split(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or words[2] not in _VERSIONS or not words[0].isalpha():
        return None
    fields: dict[str, list[str]] = {}
    for one in lines:
        name, _, value = one.decode("latin-1").partition(":")
        fields.setdefault(name.strip().lower(), []).append(value.strip())
    return _Head(words[0].decode(), words[1].decode("latin-1"), words[2], fields)


class PlainHttp(asyncio.Protocol):
    """The protocol of one new connection, until its first request is read."""

    def __init__(self, protocol: Any, respond: Callable[[HttpRequest], HttpResponse | None]) -> None:
        """``protocol`` is the library's, an `asyncio.BufferedProtocol` or `asyncio.Protocol`."""
        self._protocol = protocol
        self._respond = respond
        self._data = bytearray()
        #: The head, once it is read, the size of head and body together, and that of the body.
        self._head: _Head | None = None
        self._size = self._body = 0
        self._transport: Any = None
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._timeout = asyncio.get_running_loop().call_later(OPEN_TIMEOUT, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._data += data
        if self._head is None and not self._begin():
            return
        assert self._head is not None
        if len(self._data) >= self._size:
            self._stop_waiting()
            self._answer(self._head, bytes(self._data[self._size - self._body : self._size]))

    def _begin(self) -> bool:
        """Read the head. Returns whether its body is to be read here."""
        end = self._data.find(_END)
        if end < 0 and len(self._data) <= _HEAD_MAX:
            return False
        head = _read_head(bytes(self._data[:end])) if 0 <= end <= _HEAD_MAX else None
        if head is None or _is_for_the_library(head):
            self._stop_waiting()
            self._hand_over()
            return False
        size = head.body_size
        if isinstance(size, HTTPStatus):
            self._stop_waiting()
            self._send(head, _refusal(size))
            return False
        self._head, self._body, self._size = head, size, end + len(_END) + size
        return True

    def _answer(self, head: _Head, body: bytes) -> None:
        peer = self._transport.get_extra_info("peername")
        request = HttpRequest(
            head.target,
            "",
            lambda name: head.fields.get(name.lower(), []),
            str(peer[0]) if peer else None,
            head.method,
            body,
        )
        answer = self._respond(request)
        if answer is None:
            answer = HttpResponse(HTTPStatus.UPGRADE_REQUIRED, "text/plain", b"an upgrade needs GET and HTTP/1.1\n")
        self._send(head, answer)

    def _send(self, head: _Head, answer: HttpResponse) -> None:
        lines = [
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
            *([f"Content-Type: {answer.content_type}"] if answer.body else []),
            *([f"Content-Length: {len(answer.body)}"] if answer.status != HTTPStatus.NO_CONTENT else []),
            "Server: turngate",
            "Connection: close",
            *(f"{name}: {value}" for name, value in answer.headers.items() if name.lower() != "connection"),
        ]
        body = b"" if head.method == "HEAD" else answer.body
        self._transport.write("\r\n".join(lines).encode("latin-1") + _END + body)
        self._transport.close()

    def _hand_over(self) -> None:
        protocol, data = self._protocol, memoryview(bytes(self._data))
        if not hasattr(protocol, "get_buffer"):
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
            protocol.data_received(bytes(data))
            return
        self._transport.set_protocol(LimitedReads(protocol))
        protocol.connection_made(self._transport)
        while data and not self._transport.is_closing():
            buffer = memoryview(protocol.get_buffer(len(data)))
            taken = min(len(buffer), len(data))
            buffer[:taken] = data[:taken]
            protocol.buffer_updated(taken)
            data = data[taken:]

    def _stop_waiting(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()


def _is_for_the_library(head: _Head) -> bool:
    return head.method == "GET" and head.version == b"HTTP/1.1" and "upgrade" in head.fields


def _refusal(status: HTTPStatus) -> HttpResponse:
    texts = {
        HTTPStatus.LENGTH_REQUIRED: "send the body with a Content-Length",
        HTTPStatus.BAD_REQUEST: "the Content-Length cannot be read",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"the body has more than {BODY_MAX} bytes",
    }
    return HttpResponse(status, "application/json", f'{{"error":"{texts[status]}"}}'.encode())
