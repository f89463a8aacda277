"""The short sessions of the soak test: connect, configure, send audio, do exchanges, and end in one of three ways."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from benchmarks.load.audio_source import AudioSource
from benchmarks.load.exchange import Exchanges
from benchmarks.load.generator import Generator, connect, marked
from benchmarks.load.pacing import Send
from benchmarks.load.session import LoadSession
from turngate.process.tasks import end

#: Seconds between two exchanges, and the duration of a reply. A session lasts about four times as long.
_PAUSE, _REPLY = 0.05, 0.3
#: Timeout for a session to become ready, in seconds.
_PATIENCE = 30.0
#: The latest time at which a session is aborted, in seconds from its start.
_LATEST_DROP = 1.2


class Leaving(StrEnum):
    """How a session ends. Aborts happen at any time, including the handshake and the first configuration."""

    CLOSE = "closed"
    CLIENT_DROPS = "client dropped"
    UPSTREAM_DROPS = "upstream dropped"


#: The relative frequency of each end, in percent.
_SHARES = {Leaving.CLOSE: 40, Leaving.CLIENT_DROPS: 50, Leaving.UPSTREAM_DROPS: 10}


class ShortSessions:
    """``places`` concurrent short sessions. Pass `senders` to a running pacer."""

    def __init__(self, generator: Generator, url: str, settings: Callable[[int], dict[str, Any]], places: int) -> None:
        self._generator = generator
        self._url = url
        self._settings = settings
        self._sources: list[AudioSource | None] = [None] * places
        self._random = random.Random(1)
        #: Number of ended sessions by kind of end, and number of sessions without an answer in time.
        self.left: Counter[Leaving] = Counter()
        self.unanswered = 0

    @property
    def gone(self) -> int:
        return self.left.total()

    def senders(self) -> list[Send]:
        def sender(place: int, way: Callable[[AudioSource], None]) -> Send:
            def send() -> None:
                if (talker := self._sources[place]) is not None:
                    way(talker)

            return send

        return [
            sender(place, way)
            for place in range(len(self._sources))
            for way in (AudioSource.upload, AudioSource.download)
        ]

    async def come_and_go(self, count: int) -> None:
        """Run ``count`` sessions. Raises TimeoutError if the gateway does not close a connection."""
        left = iter(range(count))

        async def occupy(place: int) -> None:
            for _ in left:
                await self._visit(place)

        async with asyncio.TaskGroup() as group:
            for place in range(len(self._sources)):
                group.create_task(occupy(place))

    async def _visit(self, place: int) -> None:
        (leaving,) = self._random.choices([*_SHARES], [*_SHARES.values()])
        moment = None if leaving is Leaving.CLOSE else self._random.uniform(0, _LATEST_DROP)
        rate = self._random.choice((16_000, 24_000))
        async with self._generator.sessions(1) as (session,):
            conversation = asyncio.create_task(self._converse(session, place, rate))
            finished, _ = await asyncio.wait([conversation], timeout=moment)
            self._sources[place] = None
            if finished and (problem := conversation.exception()) is not None:
                if not isinstance(problem, TimeoutError):
                    raise problem
                self.unanswered += 1
            if leaving is not Leaving.CLOSE:
                _drop(session, leaving)
            await end([conversation])
        self.left[leaving] += 1

    async def _converse(self, session: LoadSession, place: int, rate: int) -> None:
        settings = self._settings(rate)
        async with asyncio.timeout(_PATIENCE):
            await connect(session, self._url, settings)
        exchanges = Exchanges(session, marked(settings, session))
        self._sources[place] = AudioSource(session, exchanges, rate)
        await exchanges.cycle(_PAUSE, _REPLY)


def _drop(session: LoadSession, leaving: Leaving) -> None:
    """Abort one end of the session, and ignore what the other end receives."""
    session.over = True
    session.on_message = session.on_event = lambda message, now: None
    peer = session.client if leaving is Leaving.CLIENT_DROPS else session.upstream
    if peer is not None:
        peer.underlying_transport.abort()
