"""The long sessions of the soak test, which send audio all the time and must lose neither frames nor answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.load.audio_source import AudioSource
from benchmarks.load.exchange import EXCHANGES, Exchanges
from benchmarks.load.generator import Generator, marked
from benchmarks.load.pacing import Send
from benchmarks.load.session import LoadSession
from benchmarks.parts.frame_latency import drained

#: Seconds between two exchanges of a session, and the duration of its reply.
_PAUSE, _REPLY = 0.4, 1.5
#: Bytes of gateway memory per cycle of a session (two replies, one call), and the number of cycles stored: the gateway
#: stores the newest 256 replies of a session, which is not a leak.
_CYCLE_BYTES, _CYCLES_REMEMBERED = 2_800, 128


class LongSessions:
    """The long sessions. Pass `senders` to a pacer; `run` returns after `leave`."""

    def __init__(self, sessions: Sequence[tuple[LoadSession, int, dict[str, Any]]]) -> None:
        """``sessions``: each with its client's sample rate in Hz and its ``Settings``."""
        self._sessions = [session for session, _, _ in sessions]
        self._exchanges = [Exchanges(session, marked(settings, session)) for session, _, settings in sessions]
        self._sources = [
            AudioSource(session, exchanges, rate)
            for (session, rate, _), exchanges in zip(sessions, self._exchanges, strict=True)
        ]
        self._leaving = False
        self.answered = 0
        self.unanswered = 0

    def senders(self) -> list[Send]:
        return [send for talker in self._sources for send in (talker.upload, talker.download)]

    async def run(self) -> None:
        """Run exchanges; returns when all are answered after `leave`."""
        async with asyncio.TaskGroup() as group:
            for number, exchanges in enumerate(self._exchanges):
                group.create_task(self._ask(exchanges, number * _REPLY / len(self._exchanges)))

    def leave(self) -> None:
        """Start no more exchanges."""
        self._leaving = True

    def forget(self) -> None:
        """Discard the latencies, which are not needed here."""
        for session in self._sessions:
            session.up.forget()
            session.down.forget()

    @property
    def frames(self) -> int:
        return sum(session.up.sent + session.down.sent for session in self._sessions)

    @property
    def remembered(self) -> int:
        """Bytes of the gateway's memory for the conversations of these sessions so far."""
        cycles = self.answered // len(EXCHANGES)
        return min(cycles, len(self._sessions) * _CYCLES_REMEMBERED) * _CYCLE_BYTES

    async def lost(self) -> int:
        """The number of lost frames. Call it when nothing is sent any more."""
        return await drained(self._sessions)

    @property
    def ended(self) -> int:
        """Number of sessions that ended unexpectedly."""
        return sum(session.client is None or session.upstream is None for session in self._sessions)

    async def _ask(self, exchanges: Exchanges, delay: float) -> None:
        await asyncio.sleep(delay)
        while not self._leaving:
            try:
                took = await exchanges.cycle(_PAUSE, _REPLY)
            except TimeoutError:
                self.unanswered += len(EXCHANGES)
                return
            self.answered += len(took)


@asynccontextmanager
async def open_long_sessions(
    generator: Generator, url: str, count: int, settings: dict[int, dict[str, Any]]
) -> AsyncIterator[LongSessions]:
    """Open ``count`` sessions, alternating between these ``Settings``, which are given by sample rate in Hz."""
    async with AsyncExitStack() as opened:
        found = []
        for place, (rate, own) in enumerate(settings.items()):
            share = len(range(place, count, len(settings)))
            sessions = await opened.enter_async_context(generator.open(share, url, own))
            found += [(session, rate, own) for session in sessions]
        yield LongSessions(found)
