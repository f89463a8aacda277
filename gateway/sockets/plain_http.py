"""Plain HTTP requests that picows refuses: those with HTTP/1.0, as load balancers send them, and HEAD.

picows accepts only ``GET`` with HTTP/1.1. `PlainHttp` reads the head of each request first. It answers the others
itself, and passes every request that picows understands on to picows, whose protocol replaces it on the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from gateway.sockets.interface import OPEN_TIMEOUT, HttpRequest, HttpResponse

#: Maximum size of a request's head in bytes; a larger one is left to picows, which refuses it.
_HEAD_MAX = 16_384
_END = b"\r\n\r\n"

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


class PlainHttp(asyncio.Protocol):
    """The protocol of one new connection, until its first request is read."""

    def __init__(self, protocol: Any, respond: Callable[[HttpRequest], HttpResponse | None]) -> None:
        """``protocol`` is picows's, a `asyncio.BufferedProtocol`."""
        self._protocol = protocol
        self._respond = respond
        self._head = bytearray()
        self._transport: Any = None
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._timeout = asyncio.get_running_loop().call_later(OPEN_TIMEOUT, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        self._head += data
        if _END not in self._head and len(self._head) <= _HEAD_MAX:
            return
        self._stop_waiting()
        line, *headers = bytes(self._head).partition(_END)[0].split(b"\r\n")
        method, _, rest = line.partition(b" ")
        target, _, version = rest.partition(b" ")
        plain = version == b"HTTP/1.0" or (method == b"HEAD" and version == b"HTTP/1.1")
        if plain and method in (b"GET", b"HEAD"):
            self._answer(method == b"HEAD", target, headers)
        else:
            self._hand_over()

    def _answer(self, head_only: bool, target: bytes, headers: list[bytes]) -> None:
        fields: dict[str, list[str]] = {}
        for header in headers:
            name, _, value = header.decode("latin-1").partition(":")
            fields.setdefault(name.strip().lower(), []).append(value.strip())
        request = HttpRequest(target.decode("latin-1"), "", lambda name: fields.get(name.lower(), []))
        answer = self._respond(request)
        if answer is None:
            answer = HttpResponse(HTTPStatus.UPGRADE_REQUIRED, "text/plain", b"an upgrade needs GET and HTTP/1.1\n")
        lines = [
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in answer.headers.items() if name.lower() != "connection"),
        ]
        body = b"" if head_only else answer.body
        self._transport.write("\r\n".join(lines).encode("latin-1") + _END + body)
        self._transport.close()

    def _hand_over(self) -> None:
        protocol, data = self._protocol, memoryview(bytes(self._head))
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
