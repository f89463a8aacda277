"""Sessions that stay and talk all the time: they must lose no frame and get every answer, whoever comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.load.exchange import EXCHANGES, Exchanges
from benchmarks.load.generator import Generator, marked
from benchmarks.load.line import Line
from benchmarks.load.pacing import Send
from benchmarks.parts.talk import drained
from benchmarks.soak.visitors import Talker

#: Seconds between two exchanges of one session, and that its reply goes on.
_PAUSE, _REPLY = 0.4, 1.5
#: What a gateway keeps in mind of each of a session's cycles (two replies, one call), in bytes, and of how many: of
#: conversations that go on it remembers the newest 256 replies, and that is no leak.
_CYCLE_BYTES, _CYCLES_REMEMBERED = 2_800, 128


class Staying:
    """The sessions that stay. Their `senders` belong to a pacer; `talk` until `leave`."""

    def __init__(self, sessions: Sequence[tuple[Line, int, dict[str, Any]]]) -> None:
        """Lines with the rate of each client in Hz and its Settings."""
        self._lines = [line for line, _, _ in sessions]
        self._exchanges = [Exchanges(line, marked(settings, line)) for line, _, settings in sessions]
        self._talkers = [
            Talker(line, exchanges, rate) for (line, rate, _), exchanges in zip(sessions, self._exchanges, strict=True)
        ]
        self._leaving = False
        self.answered = 0
        self.unanswered = 0

    def senders(self) -> list[Send]:
        return [send for talker in self._talkers for send in (talker.upload, talker.download)]

    async def talk(self) -> None:
        """Returns when all have been answered after `leave`."""
        async with asyncio.TaskGroup() as group:
            for number, exchanges in enumerate(self._exchanges):
                group.create_task(self._ask(exchanges, number * _REPLY / len(self._exchanges)))

    def leave(self) -> None:
        """Ask no more."""
        self._leaving = True

    def forget(self) -> None:
        """Latencies are of no interest here, and would be many."""
        for line in self._lines:
            line.up.forget()
            line.down.forget()

    @property
    def frames(self) -> int:
        return sum(line.up.sent + line.down.sent for line in self._lines)

    @property
    def remembered(self) -> int:
        """Bytes of the gateway's memory that are what these sessions have said so far."""
        cycles = self.answered // len(EXCHANGES)
        return min(cycles, len(self._lines) * _CYCLES_REMEMBERED) * _CYCLE_BYTES

    async def lost(self) -> int:
        """Frames that have not arrived, once what is on its way has; to be asked when nothing is sent any more."""
        return await drained(self._lines)

    @property
    def ended(self) -> int:
        """Sessions that have ended by themselves."""
        return sum(line.client is None or line.upstream is None for line in self._lines)

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
async def staying(
    generator: Generator, url: str, count: int, settings: dict[int, dict[str, Any]]
) -> AsyncIterator[Staying]:
    """``count`` sessions, by turns with each of these Settings, which are given by the client's rate in Hz."""
    async with AsyncExitStack() as opened:
        sessions = []
        for place, (rate, own) in enumerate(settings.items()):
            share = len(range(place, count, len(settings)))
            lines = await opened.enter_async_context(generator.open(share, url, own))
            sessions += [(line, rate, own) for line in lines]
        yield Staying(sessions)
