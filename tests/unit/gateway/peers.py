"""Sockets that are stuck, for the tests."""

from __future__ import annotations

import asyncio

from websockets.exceptions import ConnectionClosedError


class Stuck:
    """A peer that says what it is given to say, and takes nothing until `go_on` is set; `cut` breaks it off."""

    def __init__(self, *says: str | bytes) -> None:
        self.taken: list[bytes] = []
        #: Set once something is being sent to it.
        self.sending = asyncio.Event()
        self.go_on = asyncio.Event()
        self.was_cut = 0
        self.closed_with: int | None = None
        self._says = list(says)
        self._cut = asyncio.Event()

    async def recv(self, decode: bool | None = None) -> str | bytes:
        if self._says:
            return self._says.pop(0)
        await self._cut.wait()
        raise ConnectionClosedError(None, None)

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        self.sending.set()
        await self.go_on.wait()
        if self.was_cut:
            raise ConnectionClosedError(None, None)
        self.taken.append(message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed_with = code

    def cut(self) -> None:
        self.was_cut += 1
        self._cut.set()
        self.go_on.set()


class Queues:
    """An engine whose connections have nothing below their queues."""

    def wire(self, peer: object) -> None:
        return None

    async def cut(self, peer: Stuck) -> None:
        peer.cut()
