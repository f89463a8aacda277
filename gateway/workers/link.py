"""HTTP between a supervisor and its workers, over a Unix socket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return self.status == HTTPStatus.OK


async def ask(path: str, target: str, timeout: float | None) -> Answer:
    """GET this target of the process at this socket. Raises OSError if it does not answer within ``timeout`` seconds
    (None: for as long as it takes)."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n".encode("ascii"))
            answer = await reader.read()
        finally:
            writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        return Answer(int(head.split(b" ", 2)[1]), body)
    except (IndexError, ValueError):
        raise ConnectionError(f"{path} did not answer with HTTP") from None
