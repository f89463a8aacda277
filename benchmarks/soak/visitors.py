"""Sessions that come and go: connect, configure, talk, ask, call a function, and leave in one of three ways."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from picows import WSMsgType

from benchmarks.load.exchange import Exchanges
from benchmarks.load.frames import noise
from benchmarks.load.generator import Generator, connect, marked
from benchmarks.load.line import Line, clock
from benchmarks.load.pacing import Send
from turngate.process.tasks import end

#: Seconds between two exchanges of a visit, and that its reply goes on; a visit takes about four times as long.
_PAUSE, _REPLY = 0.05, 0.3
#: Seconds until a session must be ready.
_PATIENCE = 30.0
#: The latest moment at which somebody drops, in seconds from the beginning.
_LATEST_DROP = 1.2


class Leaving(StrEnum):
    """How a session ends; those that drop do so at any moment, the handshake and the first configuration included."""

    CLOSE = "closed"
    CLIENT_DROPS = "client dropped"
    UPSTREAM_DROPS = "upstream dropped"


#: Of so many each.
_SHARES = {Leaving.CLOSE: 40, Leaving.CLIENT_DROPS: 50, Leaving.UPSTREAM_DROPS: 10}


class Talker:
    """One line's sound, for a pacer: from the client always, from the agent while it replies."""

    def __init__(self, line: Line, exchanges: Exchanges, rate: int) -> None:
        self._line = line
        self._exchanges = exchanges
        self._frame = noise(rate)

    def upload(self) -> None:
        line = self._line
        if line.client is not None:
            line.up.send(clock())
            line.client.send(WSMsgType.BINARY, self._frame)

    def download(self) -> None:
        line, frame = self._line, self._exchanges.saying
        if line.upstream is not None and frame is not None:
            line.down.send(clock())
            line.upstream.send(WSMsgType.TEXT, frame)


class Visitors:
    """``places`` visitors at a time; give their `senders` to a pacer that runs meanwhile."""

    def __init__(self, generator: Generator, url: str, settings: Callable[[int], dict[str, Any]], places: int) -> None:
        self._generator = generator
        self._url = url
        self._settings = settings
        self._talkers: list[Talker | None] = [None] * places
        self._random = random.Random(1)
        #: How those that have gone left, and those that were not answered in time.
        self.left: Counter[Leaving] = Counter()
        self.unanswered = 0

    @property
    def gone(self) -> int:
        return self.left.total()

    def senders(self) -> list[Send]:
        def sender(place: int, way: Callable[[Talker], None]) -> Send:
            def send() -> None:
                if (talker := self._talkers[place]) is not None:
                    way(talker)

            return send

        return [sender(place, way) for place in range(len(self._talkers)) for way in (Talker.upload, Talker.download)]

    async def come_and_go(self, count: int) -> None:
        """So many visits. Raises TimeoutError when the gateway does not close what a session leaves."""
        left = iter(range(count))

        async def occupy(place: int) -> None:
            for _ in left:
                await self._visit(place)

        async with asyncio.TaskGroup() as group:
            for place in range(len(self._talkers)):
                group.create_task(occupy(place))

    async def _visit(self, place: int) -> None:
        (leaving,) = self._random.choices([*_SHARES], [*_SHARES.values()])
        moment = None if leaving is Leaving.CLOSE else self._random.uniform(0, _LATEST_DROP)
        rate = self._random.choice((16_000, 24_000))
        async with self._generator.lines(1) as (line,):
            conversation = asyncio.create_task(self._converse(line, place, rate))
            finished, _ = await asyncio.wait([conversation], timeout=moment)
            self._talkers[place] = None
            if finished and (problem := conversation.exception()) is not None:
                if not isinstance(problem, TimeoutError):
                    raise problem
                self.unanswered += 1
            if leaving is not Leaving.CLOSE:
                _drop(line, leaving)
            await end([conversation])
        self.left[leaving] += 1

    async def _converse(self, line: Line, place: int, rate: int) -> None:
        settings = self._settings(rate)
        async with asyncio.timeout(_PATIENCE):
            await connect(line, self._url, settings)
        exchanges = Exchanges(line, marked(settings, line))
        self._talkers[place] = Talker(line, exchanges, rate)
        await exchanges.cycle(_PAUSE, _REPLY)


def _drop(line: Line, leaving: Leaving) -> None:
    """Break off one end of the line; nobody is there any more to mind what the other end hears."""
    line.over = True
    line.on_message = line.on_event = lambda message, now: None
    peer = line.client if leaving is Leaving.CLIENT_DROPS else line.upstream
    if peer is not None:
        peer.underlying_transport.abort()
