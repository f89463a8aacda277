"""A session with the agent over the gateway's WebSocket.

It receives in the background, answers function calls, and tracks whether a reply is pending.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from turngate.cli.client import AgentClient, Notice, Observer, open_agent
from turngate.cli.errors import CommandError
from turngate.cli.functions import Functions
from turngate.cli.messages import Message, user_message
from turngate.cli.reply_tracker import ReplyTracker
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS


class AgentSession:
    """Created by `open_session`, which sends `Settings` and waits until they are applied."""

    def __init__(self, client: AgentClient, functions: Functions) -> None:
        self.tracker = ReplyTracker()
        #: The `Error` messages received so far.
        self.errors: list[Message] = []
        self._client = client
        self._functions = functions
        self._acknowledged: dict[str, int] = {}
        self._requested: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._closed = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()
        self._end: CommandError | None = None

    @property
    def settled(self) -> bool:
        """True if every configuration request sent so far is acknowledged."""
        return all(
            self._acknowledged.get(ACKNOWLEDGEMENTS[kind], 0) >= count for kind, count in self._requested.items()
        )

    @property
    def began_anew(self) -> bool:
        """The connection was lost, and the conversation with it: what was said before is not known any more."""
        return self._client.began_anew

    async def say(self, text: str) -> None:
        """Send a user message as text; the reply has ended when ``tracker.waiting`` is False again."""
        self.tracker.turn_sent()
        await self._client.send(user_message(text))

    async def request(self, update: Message) -> None:
        """Send `Settings` or `UpdatePrompt`; it is applied when `settled` is True."""
        self._requested[update["type"]] = self._requested.get(update["type"], 0) + 1
        await self._client.send(update)

    async def send_audio(self, pcm: bytes) -> None:
        """Send some of the user's audio in the declared format."""
        await self._client.send_audio(pcm)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
        """Wait until ``condition``, which is evaluated after every message, is true.

        Raises `CommandError` if the connection ends or ``timeout_s`` pass first; ``what`` names what was waited for.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self._end is not None:
                        raise self._end
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise CommandError(f"no {what} within {timeout_s:g} s") from None

    async def closed(self) -> CommandError:
        """Wait until the server closes the connection; returns the error that describes it."""
        await self._closed.wait()
        assert self._end is not None
        return self._end

    async def receive(self) -> None:
        """Process the server's messages until it closes the connection. `open_session` runs this as a task."""
        try:
            while True:
                message = await self._client.receive()
                self.tracker.receive(message)
                if not isinstance(message, bytes):
                    self._note(message)
                self._changed.set()
                if not isinstance(message, bytes) and message.get("type") == "FunctionCallRequest":
                    for after_s, result in self._functions.results(message):
                        answering = asyncio.create_task(self._answer(after_s, result))
                        self._answering.add(answering)
                        answering.add_done_callback(self._answering.discard)
        except CommandError as end:
            self._end = end
            self._closed.set()
            self._changed.set()
        finally:
            for answering in self._answering:
                answering.cancel()

    async def _answer(self, after_s: float, result: Message) -> None:
        await asyncio.sleep(after_s)
        await self._client.send(result)

    def _note(self, message: Message) -> None:
        kind = message.get("type", "")
        if kind == "Error":
            self.errors.append(message)
        elif kind in ACKNOWLEDGEMENTS.values():
            self._acknowledged[kind] = self._acknowledged.get(kind, 0) + 1


@asynccontextmanager
async def open_session(
    url: str,
    path: str,
    settings: Message,
    functions: Functions,
    *,
    observe: Observer = lambda direction, message: None,
    timeout_s: float = 10.0,
    api_key: str | None = None,
    notice: Notice = lambda line: None,
) -> AsyncIterator[AgentSession]:
    """Connect, send `Settings`, and wait until they are applied. Raises `CommandError` if they are refused."""
    async with open_agent(url, path, observe, api_key=api_key, notice=notice) as client:
        session = AgentSession(client, functions)
        receiving = asyncio.create_task(session.receive())
        try:
            await session.request(settings)
            await session.until(
                lambda: session.settled or bool(session.errors), timeout_s=timeout_s, what="SettingsApplied"
            )
            if session.errors:
                raise CommandError(describe_error(session.errors[0]))
            yield session
        finally:
            receiving.cancel()
            with suppress(asyncio.CancelledError):
                await receiving


def describe_error(message: Message) -> str:
    """An `Error` or `Warning` as one line: its code and its description."""
    return f"{message.get('code', message.get('type'))}: {message.get('description', 'no description')}"
