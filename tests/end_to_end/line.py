"""A client that loses its connection and returns on another one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from tests.end_to_end.client import PATIENCE_SECONDS
from tests.unit.schemas import accepted_by_clients
from turngate.local.stack import Stack


class Line:
    """One connection of a client. ``received`` has the messages; audio is counted."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.received: list[dict[str, Any]] = []
        self.audio = 0

    async def say(self, **message: Any) -> None:
        await self.socket.send(orjson.dumps(message), text=True)

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self.next()
                if message["type"] == kind and all(message.get(name) == value for name, value in fields.items()):
                    return message

    async def next(self) -> dict[str, Any]:
        """The next message."""
        while isinstance(frame := await self.socket.recv(), bytes):
            self.audio += len(frame)
        message = accepted_by_clients(orjson.loads(frame))
        self.received.append(message)
        return message

    async def turn(self, text: str) -> str:
        await self.say(type="InjectUserMessage", content=text)
        words = await self.until("ConversationText", role="assistant")
        await self.until("AgentAudioDone")
        return str(words["content"])

    def cut(self) -> None:
        """The connection is lost, without a close frame."""
        self.socket.transport.abort()

    def types(self) -> list[str]:
        return [message["type"] for message in self.received]


@contextlib.asynccontextmanager
async def line(
    stack: Stack,
    path: str = "/v1/agent/converse",
    *,
    gateway: int = 1,
    session: str | None = None,
    browser: str | None = None,
) -> AsyncIterator[Line]:
    """A connection; ``session`` is the SDK's session id, as a header, or in a ``browser`` as a subprotocol."""
    headers = {"x-deepgram-session-id": session} if session else {}
    offered: Any = ["token", "any", "x-deepgram-session-id", browser] if browser else None
    url = stack.gateway_urls[gateway - 1] + path
    async with connect(url, max_size=None, additional_headers=headers, subprotocols=offered) as socket:
        yield Line(socket)
