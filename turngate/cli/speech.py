"""A user who speaks: a recording, then the silence of somebody listening."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from turngate.cli.client import DisconnectedError
from turngate.cli.conversation import Conversation
from turngate.cli.wav import FRAME_MS, Recording

#: Silence that follows the recording before the end of the reply is believed: the server hears with a delay.
LISTEN_S = 1.0
_FRAME_S = FRAME_MS / 1000


async def speak(
    conversation: Conversation,
    recording: Recording,
    *,
    timeout_s: float,
    realtime: bool = True,
    spoken: Callable[[], None] = lambda: None,
) -> None:
    """Stream a recording, then silence until the agent's reply to the last words has ended.

    ``spoken`` is called when the recording has been sent. With ``realtime`` False the recording, and the silence that
    ends the turn, go as fast as the socket takes them. Returns early when the server reports an `Error`. Raises
    `CommandError` when no reply has ended within ``timeout_s`` of the recording's end, or the connection ends.
    """
    heard_before = conversation.turns.utterances
    clock = _clock() if realtime else None
    silence = recording.silence

    async def send(frames: Iterable[bytes]) -> None:
        for frame in frames:
            if clock is not None:
                await clock.tick()
            await conversation.send_audio(frame)

    await send(recording.frames())
    spoken()
    await send([silence] * round(LISTEN_S / _FRAME_S))
    async with _streaming(conversation, silence):
        turns = conversation.turns
        await conversation.until(
            lambda: bool(conversation.errors) or (turns.utterances > heard_before and not turns.waiting),
            timeout_s=timeout_s,
            what=f"reply to {recording.name}",
        )


class FrameClock:
    """Lets frames go at their due times, without drift: each is due one frame after the one before it was *due*."""

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._now = now
        self._sleep = sleep
        self._due = now()

    async def tick(self) -> None:
        """Wait until the next frame is due; the first one is due at once."""
        await self._sleep(max(0.0, self._due - self._now()))
        self._due += _FRAME_S


def _clock() -> FrameClock:
    return FrameClock(asyncio.get_running_loop().time, asyncio.sleep)


@asynccontextmanager
async def _streaming(conversation: Conversation, frame: bytes) -> AsyncIterator[None]:
    """Keep sending this frame in real time until the block ends."""

    async def stream() -> None:
        clock = _clock()
        while True:
            await clock.tick()
            await conversation.send_audio(frame)

    streaming = asyncio.create_task(stream())
    try:
        yield
    finally:
        streaming.cancel()
        with suppress(asyncio.CancelledError, DisconnectedError):
            await streaming
