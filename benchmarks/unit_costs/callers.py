"""Sessions whose clients may return, as Deepgram's SDKs make them, and what they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from picows import ws_connect

from benchmarks.environment import settings
from benchmarks.load.exchange import Exchanges
from benchmarks.load.generator import Generator, marked
from benchmarks.load.session import ClientEnd, LoadSession

RATE = 16_000
#: Connections that are made at the same time, and the timeout for all of them in seconds.
_AT_ONCE, _PATIENCE = 25, 60.0
#: Seconds between two steps of a turn: longer than a turn record is kept for others.
_STEP = 0.3
_SAID = "It is noon, and the sun stands as high as it will today, so find some shade."


class Caller:
    """A session, both ends of it."""

    def __init__(self, session: LoadSession) -> None:
        self.session = session
        self.settings = marked(settings(RATE), session)
        self.exchanges = Exchanges(session, self.settings)
        #: The handle by which the client may return.
        self.handle = ""
        self.welcomed = asyncio.Event()
        self._turns = 0
        self._pass_on = session.on_message
        session.on_message = self._heard

    async def connect(self, url: str, query: str) -> None:
        """Connect and send ``Settings``, unless it is a return."""
        self.welcomed.clear()
        await ws_connect(lambda: ClientEnd(self.session), f"{url}/openai{query}")
        await self.welcomed.wait()
        if not self.session.ready.is_set():
            self.session.say(self.settings)
            await self.session.ready.wait()

    async def turn(self) -> None:
        """The user says something, and the model answers by itself; without audio."""
        self._turns += 1
        tell, item = self.session.tell, f"said_{self.session.mark}_{self._turns}"
        tell("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item)
        await asyncio.sleep(_STEP)
        tell("input_audio_buffer.speech_stopped", audio_end_ms=300, item_id=item)
        tell("input_audio_buffer.committed", previous_item_id=None, item_id=item)
        content = [{"type": "input_audio", "transcript": None}]
        user = {"id": item, "type": "message", "role": "user", "status": "completed", "content": content}
        tell("conversation.item.added", previous_item_id=None, item=user)
        tell("conversation.item.done", previous_item_id=None, item=user)
        self.session.begin_reply()
        tell(
            "conversation.item.input_audio_transcription.completed",
            item_id=item,
            content_index=0,
            transcript="What time is it now, and how high is the sun?",
        )
        response, answer = self.session.reply_ids
        where = {"response_id": response, "item_id": answer, "output_index": 0, "content_index": 0}
        tell("response.output_audio_transcript.delta", delta=_SAID, **where)
        await asyncio.sleep(_STEP)
        self.session.end_reply()
        await asyncio.sleep(_STEP)

    def hang_up(self) -> None:
        """The connection is lost."""
        if self.session.client is not None:
            self.session.client.underlying_transport.abort()

    def _heard(self, message: dict[str, Any], now: float) -> None:
        if message["type"] == "Welcome":
            self.handle = message.get("resume", "")
            self.welcomed.set()
        self._pass_on(message, now)


@asynccontextmanager
async def calling(
    generator: Generator, url: str, count: int, *, resumable: bool = True
) -> AsyncIterator[Sequence[Caller]]:
    """Open so many sessions; closes them at the end. Raises TimeoutError if they do not become ready."""
    async with generator.sessions(count) as sessions:
        callers = [Caller(session) for session in sessions]
        await connected(callers, url, ["?resumable=1" if resumable else ""] * count)
        yield callers


async def connected(callers: Sequence[Caller], url: str, queries: Sequence[str]) -> None:
    """Connect them. Raises TimeoutError if they do not become ready."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def connect(caller: Caller, query: str) -> None:
        async with gate:
            await caller.connect(url, query)

    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
        for caller, query in zip(callers, queries, strict=True):
            group.create_task(connect(caller, query))
