"""Sockets that are stuck, for the tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.sockets.interface import ConnectionClosed


class Stuck:
    """A peer that sends what it is given, and takes nothing until `go_on` is set; `cut` breaks it off."""

    direct = None
    open = True
    unread = 0
    unsent = 0
    on_mark: Callable[[bytes], None] | None = None

    def __init__(self, *sends: str | bytes) -> None:
        self.taken: list[bytes] = []
        #: Set once something is being sent to it.
        self.sending = asyncio.Event()
        self.go_on = asyncio.Event()
        self.was_cut = 0
        self.closed_with: int | None = None
        self._sends = list(sends)
        self._cut = asyncio.Event()

    def mark(self, mark: bytes) -> None:
        """It answers no ping."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        if self._sends:
            return self._sends.pop(0)
        await self._cut.wait()
        raise ConnectionClosed

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        self.sending.set()
        await self.go_on.wait()
        if self.was_cut:
            raise ConnectionClosed
        self.taken.append(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed_with = code

    async def cut(self) -> None:
        self.was_cut += 1
        self._cut.set()
        self.go_on.set()
