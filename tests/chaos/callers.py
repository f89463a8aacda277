"""Callers in front of a fleet: what a client does that holds a conversation and returns when its connection is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import uuid4

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.chaos.account import Account
from tests.end_to_end.client import PATIENCE_SECONDS, settings

GREETING = "Welcome to the show."
_LONGEST_PAUSE = 0.5


class Caller(Account):
    """One conversation. With ``returns``, on as many connections as it takes."""

    def __init__(self, url: str, wants_more: Callable[[int], bool], step: Callable[[], None], *, returns: bool) -> None:
        """``wants_more`` gets the number of turns that were answered, and returns whether another one follows; ``step``
        is called after the greeting, and after each turn."""
        super().__init__(uuid4().hex[:12])
        self.returns = returns
        self._url = url
        self._wants_more = wants_more
        self._step = step
        self._random = Random(self.mark)
        self._handle: str | None = None
        self._messages = 0
        self._lost_at: float | None = None
        self._is_over = False
        #: The gateway has accepted the current turn.
        self._accepted = False

    async def run(self) -> None:
        """Hold the conversation. Raises TimeoutError if an answer never came."""
        pause = 0.02
        while not self._is_over and not self.cut:
            try:
                async with asyncio.timeout(4 * PATIENCE_SECONDS), connect(self._address, max_size=None) as socket:
                    pause = 0.02
                    await self._converse(socket)
            except (ConnectionClosed, InvalidHandshake, OSError):
                if self._lost_at is None:
                    self._lost_at = time.monotonic()
                self.cut = not self.returns
                await asyncio.sleep(self._random.uniform(pause / 2, pause))
                pause = min(2 * pause, _LONGEST_PAUSE)

    @property
    def _address(self) -> str:
        if not self.returns:
            return f"{self._url}/v1/agent/converse"
        if self._handle is None:
            return f"{self._url}/v1/agent/converse?resumable=1"
        return f"{self._url}/v1/agent/converse?resume={self._handle}&received={self._messages}"

    async def _converse(self, socket: ClientConnection) -> None:
        welcome = orjson.loads(await socket.recv())
        returned = self._handle is not None
        if returned and not welcome["resumed"]:
            self.unknown += 1
            self.cut = True
            return
        if self._lost_at is not None:
            self.away.append(time.monotonic() - self._lost_at)
            self._lost_at = None
        self._messages += not returned
        self.recovered += "recovered" in welcome
        self._handle = welcome.get("resume")
        await self._say(socket, settings(greeting=GREETING))
        text: list[str] = []
        while not self._is_over:
            frame = await socket.recv()
            if isinstance(frame, bytes):
                continue
            self._messages += 1
            message = orjson.loads(frame)
            match message["type"]:
                case "SettingsApplied" if returned and not self._accepted and self.greeted:
                    # It may not have got there; if it was accepted and is not told yet, it is asked twice.
                    self.asked_again.add(self.answered)
                    await self._ask(socket)
                case "ConversationText" if message["role"] == "user":
                    self._accepted = True
                case "ConversationText" if message["content"] == GREETING:
                    self.greeted += 1
                case "ConversationText":
                    self.said.append(message["content"])
                    text.append(message["content"])
                case "AgentAudioDone":
                    if self.greeted and self._is_answered():
                        self._step()
                        await self._ask(socket)
                case "Error":
                    self.errors.append(message["code"])
        await socket.close(1000)

    def _is_answered(self) -> bool:
        """The agent has finished: note the turn that it answers. True if the next turn is to be asked."""
        if not self._accepted:
            # That was the greeting.
            return self.answered == 0
        if self.mark_of(self.answered) not in " ".join(self.said):
            return False
        self.answered += 1
        self._accepted = False
        self._is_over = not self._wants_more(self.answered)
        return not self._is_over

    async def _ask(self, socket: ClientConnection) -> None:
        # A person thinks between two turns.
        await asyncio.sleep(self._random.uniform(0.1, 0.4))
        await self._say(socket, {"type": "InjectUserMessage", "content": self.mark_of(self.answered)})

    async def _say(self, socket: ClientConnection, message: dict[str, Any]) -> None:
        await socket.send(orjson.dumps(message), text=True)
