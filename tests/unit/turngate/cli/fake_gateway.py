"""A fake gateway with scripted replies on a real socket, for tests of the commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

#: The audio of each reply.
VOICE = b"\x01\x02" * 240


class FakeGateway:
    """Answers every text with ``You said: …``, except for some special texts (see `_text`)."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.audio: list[bytes] = []
        #: The code of the `Error` sent for `Settings`; None to apply them.
        self.settings_error: str | None = None
        self.open_calls = 0
        #: The byte that silent frames consist of.
        self.silence = b"\0"
        #: Number of silent 20 ms frames that end the user's turn.
        self.silent_frames = 25
        #: The handle in each Welcome; None for a server whose sessions cannot be resumed.
        self.handle_given: str | None = None
        #: Cleared: a client that returns is not welcomed yet.
        self.welcomes = asyncio.Event()
        self.welcomes.set()
        #: Whether the next connections find their conversation.
        self.resumed: list[bool] = []
        #: How the next connections are refused: the HTTP status, or 0 to accept and abort the connection.
        self.refusals: list[int] = []
        #: Whether an `UpdatePrompt` has been acknowledged.
        self.prompt_updated = False
        self._newest: ServerConnection | None = None

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def abort(self) -> None:
        """Abort the newest connection."""
        assert self._newest is not None
        self._newest.transport.abort()

    def refuse(self, socket: ServerConnection, request: Request) -> Response | None:
        """The response to a connection that is refused."""
        if "resume=" not in request.path or not self.refusals or not self.refusals[0]:
            return None
        self.paths.append(request.path)
        return socket.respond(HTTPStatus(self.refusals.pop(0)), "no\n")

    async def handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self._newest = socket
        welcome: dict[str, Any] = {"type": "Welcome", "request_id": "r"}
        if self.handle_given is not None:
            welcome["resume"] = self.handle_given
        if "resume=" in socket.request.path:
            if self.refusals:
                self.refusals.pop(0)
                socket.transport.abort()
                return
            welcome["resumed"] = self.resumed.pop(0)
            await self.welcomes.wait()
        await _send(socket, welcome)
        if welcome.get("resumed"):
            await _reply(socket, "You said: cut")
        speaking, silent = False, 0
        async for frame in socket:
            if isinstance(frame, str):
                await self._message(socket, json.loads(frame))
                continue
            self.audio.append(frame)
            loud = bool(frame.strip(self.silence))
            silent = 0 if loud else silent + 1
            if loud and not speaking:
                speaking = True
                await _send(socket, {"type": "UserStartedSpeaking"})
            elif speaking and silent >= self.silent_frames:
                speaking = False
                await _send(socket, {"type": "ConversationText", "role": "user", "content": "(speech)"})
                await _reply(socket, "I heard you.")

    async def _message(self, socket: ServerConnection, message: dict[str, Any]) -> None:
        self.messages.append(message)
        match message["type"]:
            case "Settings" if self.settings_error:
                await _send(socket, {"type": "Error", "code": self.settings_error, "description": "no such thing"})
            case "Settings":
                await _send(socket, {"type": "SettingsApplied"})
            case "UpdatePrompt":
                self.prompt_updated = True
                await _send(socket, {"type": "PromptUpdated"})
            case "FunctionCallResponse":
                self.open_calls -= 1
                if not self.open_calls:
                    await _reply(socket, f"The result is {message['content']}")
            case "InjectUserMessage":
                await self._text(socket, message["content"])

    async def _text(self, socket: ServerConnection, text: str) -> None:
        await _send(socket, {"type": "ConversationText", "role": "user", "content": text})
        if text.startswith("weather"):
            names = ["get_weather"] if text.startswith("weather in") else ["get_time", "get_weather"]
            await _send(socket, {"type": "AgentStartedSpeaking"})
            self.open_calls = len(names)
            for name in names:
                call = {"id": f"c-{name}", "name": name, "arguments": '{"city": "Oslo"}', "client_side": True}
                await _send(socket, {"type": "FunctionCallRequest", "functions": [call]})
            await _send(socket, {"type": "AgentAudioDone"}, {"type": "AgentDone"})
        elif text == "fail":
            await _send(socket, {"type": "Error", "code": "FAILED_TO_THINK", "description": "nobody thinks"})
        elif text == "cut":
            # What was sent before arrives, and nothing else.
            socket.transport.close()
        elif text == "refuse":
            await _send(socket, {"type": "Error", "code": "FAILED_TO_THINK", "description": "nobody thinks"})
            await socket.close(1011, "overload")
        elif text == "hang up":
            await socket.close(1011, "overload")
        elif text == "begin":
            await _send(socket, {"type": "AgentStartedSpeaking"})
        elif text != "say nothing":
            await _reply(socket, f"You said: {text}")


@asynccontextmanager
async def fake_gateway() -> AsyncIterator[FakeGateway]:
    """A fake gateway that listens until the block ends."""
    server = FakeGateway()
    async with serve(server.handle, "127.0.0.1", 0, process_request=server.refuse) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        server.url = f"ws://127.0.0.1:{port}"
        yield server


async def _reply(socket: ServerConnection, text: str) -> None:
    await _send(socket, {"type": "AgentStartedSpeaking"})
    await _send(socket, {"type": "ConversationText", "role": "assistant", "content": text})
    await socket.send(VOICE)
    await _send(socket, {"type": "AgentAudioDone"}, {"type": "AgentDone"})


async def _send(socket: ServerConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        await socket.send(json.dumps(message))
