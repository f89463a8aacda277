"""The end of a session: its client is not made to wait for its upstream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from gateway.session.session import Session
from gateway.session.upstream_side import Upstream
from gateway.sockets.interface import ConnectionClosed
from gateway.sockets.send_queue import QueueLimits


class Peer:
    """A socket that takes everything, and hears nothing until it is closed or hung up."""

    direct = None
    open = True
    unread = unsent = 0
    on_mark: Callable[[bytes], None] | None = None

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.may_close = asyncio.Event()
        self.gone = asyncio.Event()

    def mark(self, mark: bytes) -> None:
        """It answers no ping."""

    async def recv(self, decode: bool | None = None) -> str | bytes:
        await self.gone.wait()
        raise ConnectionClosed

    async def send(self, message: bytes, *, text: bool | None = None) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.set()
        await self.may_close.wait()

    async def cut(self) -> None: ...


async def test_an_upstream_that_does_not_answer_its_close_does_not_hold_up_the_clients() -> None:
    client, upstream = Peer(), Peer()
    client.may_close.set()
    dialled = asyncio.Event()

    async def dial(until: float) -> Any:
        dialled.set()
        return upstream

    publisher: Any = type("Publisher", (), {"turn": lambda *_, **__: None, "client_event": lambda *_: None})()
    conversation = Conversation("session-0001", "gw", AGENT, Limits(), asyncio.get_running_loop().time())
    session = Session(
        conversation,
        client,
        Upstream(dial, "ws://nowhere", 60, 60),
        publisher,
        stall=60,
        queue_limits=QueueLimits(100),
    )
    running = asyncio.create_task(session.run())
    async with asyncio.timeout(30):
        await dialled.wait()
        session.go_away()
        await upstream.closed.wait()
        await client.closed.wait()
        assert not running.done()
        upstream.may_close.set()
        await running
