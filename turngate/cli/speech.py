"""Streams a recording as the user's speech, followed by silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from turngate.cli.agent_session import AgentSession
from turngate.cli.errors import CommandError
from turngate.cli.wav import FRAME_MS, Recording

#: Seconds of silence to send before waiting for the end of a reply, since the server detects speech with a delay.
LISTEN_S = 1.0
_FRAME_S = FRAME_MS / 1000


async def speak(
    session: AgentSession,
    recording: Recording,
    *,
    timeout_s: float,
    realtime: bool = True,
    spoken: Callable[[], None] = lambda: None,
) -> None:
    """Stream a recording, then silence until the agent's reply has ended.

    ``spoken`` is called when the recording has been sent. With ``realtime`` False the recording and the silence that
    ends the turn are sent as fast as possible. Returns early if the server reports an `Error`. Raises `CommandError` if
    no reply has ended within ``timeout_s`` after the recording, or if the connection ends.
    """
    heard_before = session.tracker.utterances
    clock = _clock() if realtime else None
    silence = recording.silence

    async def send(frames: Iterable[bytes]) -> None:
        for frame in frames:
            if clock is not None:
                await clock.tick()
            await session.send_audio(frame)

    await send(recording.frames())
    spoken()
    await send([silence] * round(LISTEN_S / _FRAME_S))
    async with _streaming(session, silence):
        tracker = session.tracker
        await session.until(
            lambda: (
                bool(session.errors)
                or session.began_anew
                or (tracker.utterances > heard_before and not tracker.waiting)
            ),
            timeout_s=timeout_s,
            what=f"reply to {recording.name}",
        )
    if session.began_anew:
        raise CommandError(f"the conversation was lost with its connection, in the middle of {recording.name}")


class FrameClock:
    """Paces frames without drift: each is due one frame length after the previous one was *due*."""

    def __init__(self, now: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._now = now
        self._sleep = sleep
        self._due = now()

    async def tick(self) -> None:
        """Wait until the next frame is due; the first one is due immediately."""
        await self._sleep(max(0.0, self._due - self._now()))
        self._due += _FRAME_S


def _clock() -> FrameClock:
    return FrameClock(asyncio.get_running_loop().time, asyncio.sleep)


@asynccontextmanager
async def _streaming(session: AgentSession, frame: bytes) -> AsyncIterator[None]:
    """Send this frame repeatedly in real time until the block ends."""

    async def stream() -> None:
        clock = _clock()
        while True:
            await clock.tick()
            await session.send_audio(frame)

    streaming = asyncio.create_task(stream())
    try:
        yield
    finally:
        streaming.cancel()
        with suppress(asyncio.CancelledError):
            await streaming
