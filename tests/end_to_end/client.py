"""A client on the public socket, and the simulator's record of what its session received."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from tests.unit.schemas import accepted_by_clients
from turngate.local.stack import Stack

#: How long anything may take before a test gives up; nothing here measures time.
PATIENCE_SECONDS = 30

FUNCTIONS = [
    {
        "name": name,
        "description": name.replace("_", " "),
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
    for name in ("get_weather", "get_time")
]


def settings(prompt: str = "Be kind.", *, rate: int = 24000, functions: bool = False, **agent: Any) -> dict[str, Any]:
    """A Settings message."""
    think: dict[str, Any] = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": prompt}
    if functions:
        think["functions"] = FUNCTIONS
    audio = {
        "input": {"encoding": "linear16", "sample_rate": rate},
        "output": {"encoding": "linear16", "sample_rate": 24000},
    }
    return {"type": "Settings", "audio": audio, "agent": {"think": think, **agent}}


class Client:
    """Everything that came, in order: messages as objects, audio as bytes."""

    def __init__(self, stack: Stack, path: str = "/openai") -> None:
        self._stack = stack
        self._url = stack.gateway_url + path
        self._socket: ClientConnection | None = None
        self.received: list[dict[str, Any] | bytes] = []
        self._read_to = 0

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    async def __aenter__(self) -> Client:
        self._socket = await connect(self._url, max_size=None, compression=None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a reset in the middle of a send, asyncio's transport cannot be aborted a second time.
        if self.socket.state is State.OPEN:
            await self.socket.close()

    async def say(self, **message: Any) -> None:
        await self.socket.send(orjson.dumps(message), text=True)

    async def until(self, kind: str, matching: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next message of this type (and kind); everything before it is passed over. Fails when the session
        ends."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                while self._read_to < len(self.received):
                    message = self.received[self._read_to]
                    self._read_to += 1
                    if isinstance(message, dict) and message["type"] == kind and matching(message):
                        return message
                await self._receive()

    async def until_closed(self) -> int | None:
        """The close code, once the server has closed."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self._receive()
        return self.socket.close_code

    async def configured(self, **details: Any) -> Client:
        await self.say(**settings(**details))
        await self.until("SettingsApplied")
        return self

    async def turn(self, text: str) -> str:
        """A text turn and the agent's words."""
        await self.say(type="InjectUserMessage", content=text)
        words = await self.until("ConversationText", lambda message: message["role"] == "assistant")
        await self.until("AgentAudioDone")
        return str(words["content"])

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.received if isinstance(message, dict) and message["type"] == kind]

    async def _receive(self) -> None:
        frame = await self.socket.recv()
        self.received.append(frame if isinstance(frame, bytes) else accepted_by_clients(orjson.loads(frame)))


async def get(url: str) -> Any:
    """A JSON document over HTTP."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return (await http.get(url)).json()


async def record_with(stack: Stack, mark: str) -> dict[str, Any]:
    """The simulator's record of the session in whose instructions or texts ``mark`` occurs."""
    sessions = (await get(f"{stack.simulator_url}/record"))["sessions"]
    (found,) = [session for session in sessions if mark in orjson.dumps(session).decode()]
    return dict(found)


def received(record: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """What the upstream was sent of this type, with the state of the turn at that moment."""
    return [
        entry for entry in record["entries"] if entry["direction"] == "received" and entry["event"].get("type") == kind
    ]


def preventable(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What the upstream was sent into an active response, but for what nobody can prevent: its own response had begun
    while ours was on the wire."""
    return [violation for violation in record["violations"] if violation.get("race") != "auto"]
