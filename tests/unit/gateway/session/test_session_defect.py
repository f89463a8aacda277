"""A defect of ours in one session: its client is told, its socket closes with a code, and nothing else happens."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from gateway.session.session import Session
from gateway.session.upstream_side import Upstream
from gateway.sockets.send_queue import QueueLimits

KEEP_ALIVE = '{"type":"KeepAlive"}'


class Peer:
    """A client's socket: it says one thing, and keeps what it is sent."""

    def __init__(self, says: str | bytes) -> None:
        self.told: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self._says = [says]

    async def recv(self, decode: bool | None = None) -> str | bytes:
        if self._says:
            return self._says.pop()
        return await asyncio.Future[str]()

    async def send(self, message: bytes, *, text: bool | None = None) -> None:
        self.told.append(orjson.loads(message))

    direct = None
    open = True
    unread = unsent = 0

    async def cut(self) -> None: ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed_with = code


def defect(*_: object) -> None:
    raise ZeroDivisionError("a defect")


@pytest.mark.parametrize(
    ("where", "says"), [("client_text", KEEP_ALIVE), ("client_audio", b"\x00\x00"), ("command", KEEP_ALIVE)]
)
async def test_a_defect_ends_its_session_with_a_code(where: str, says: str | bytes, monkeypatch: Any) -> None:
    """Row "agent: Error `INTERNAL_SERVER_ERROR`"."""
    conversation = Conversation("session-0001", "gw", AGENT, Limits(), asyncio.get_running_loop().time())
    monkeypatch.setattr(conversation, where, defect)
    client: Any = Peer(says)
    unused: Any = None

    async def dial(until: float) -> Any:
        if where == "command":
            session.command(unused)
        await asyncio.Future[None]()

    publisher: Any = type("Publisher", (), {"turn": lambda *_, **__: None, "client_event": lambda *_: None})()
    session = Session(
        conversation,
        client,
        Upstream(dial, "ws://nowhere", 60, 60),
        publisher,
        stall=60,
        queue_limits=QueueLimits(100),
    )
    async with asyncio.timeout(30):
        await session.run()
    assert client.told[-1]["type"] == "Error"
    assert client.told[-1]["code"] == "INTERNAL_SERVER_ERROR"
    assert "defect" not in client.told[-1]["description"], "what it was is for the log"
    assert client.closed_with == 1011
