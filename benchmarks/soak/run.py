"""A whole soak, in this order:

1. Warm-up: some hundreds of sessions, with those that stay, so that what is made once is made.
2. Everybody leaves; everything is counted.
3. The sessions that stay come and talk; the others come and go, and memory is read all the time.
4. Everybody leaves; everything is counted again.

Counts are compared while nobody is there: then they have one right value. Memory is compared while the same sessions
stay: what they need is in both, and an allocator need not give back to the kernel what nobody uses. What the gateway
remembers of their growing conversations, which has a bound, is taken off.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks.arena import settings, turngate
from benchmarks.load.generator import Generator
from benchmarks.load.line import clock
from benchmarks.load.pacing import Pacer
from benchmarks.machine import Cores
from benchmarks.processes import allow_open_files
from benchmarks.soak import judgement
from benchmarks.soak.census import Census
from benchmarks.soak.judgement import Row
from benchmarks.soak.staying import Staying, staying
from benchmarks.soak.visitors import Visitors
from turngate.local.stack import Stack
from turngate.process.tasks import end

#: Entries kept in each stream: so few that the warm-up fills them, or the broker would grow until they are full.
_STREAM = 1_000
#: Redis trims whole nodes of a stream.
_NODE = 100
_ENV = {
    "TURNGATE_STREAM_MAX_LENGTH": str(_STREAM),
    # Redis remembers a session that has ended for so long; by default it is 45 s.
    "TURNGATE_SESSION_TTL_MS": "3000",
    "TURNGATE_HEARTBEAT_MS": "1000",
}
#: Seconds until what has ended must be gone, between two looks at that, and between two looks at memory.
_SETTLING = 30.0
_LOOK = 0.5
_SAMPLE = 0.5
#: Seconds for all of it: five minutes on two cores, and more where others use them too.
_LONGEST = 1_200.0
#: The four streams.
_QUIET_KEYS = 4


@dataclass(frozen=True)
class Plan:
    """How many."""

    sessions: int = 2_000
    staying: int = 50

    @property
    def warm_up(self) -> int:
        return min(400, self.sessions // 3)

    @property
    def places(self) -> int:
        """Visitors at one time."""
        return min(20, self.sessions)


@dataclass
class Results:
    """What was found."""

    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def kept(self) -> bool:
        return all(row.kept for row in self.rows)


async def run(plan: Plan, cores: Cores, say: Callable[[str], None]) -> Results:
    """Soak. ``say`` gets a line now and then. Raises TimeoutError when all of it takes too long, or when an end of
    a session is not closed."""
    began = clock()
    allow_open_files(plan.staying * 4 + plan.places * 4 + 500)
    results = Results()
    async with (
        asyncio.timeout(_LONGEST),
        Generator() as generator,
        turngate(generator.url, cores, env=_ENV) as stack,
    ):
        soak = Soak(generator, stack, plan, say)
        try:
            await soak.talk(plan.warm_up)
            before, lengths = await soak.settled({})
            say(f"warmed up with {plan.warm_up} sessions after {clock() - began:.0f} s")
            memory, rows = await soak.talk(plan.sessions)
            after, longer = await soak.settled(before)
        finally:
            await soak.close()
    results.rows = rows
    results.rows += judgement.counted(before, after)
    results.rows += judgement.limited(lengths, longer, _STREAM + _NODE)
    results.rows += [row for process, series in memory.items() for row in judgement.memory(process, series)]
    results.seconds = clock() - began
    return results


class Soak:
    """One stack that is soaked."""

    def __init__(self, generator: Generator, stack: Stack, plan: Plan, say: Callable[[str], None]) -> None:
        self._generator = generator
        self._url = stack.gateway_url
        self._plan = plan
        self._say = say
        self._census = Census(stack)

    async def close(self) -> None:
        await self._census.close()

    async def talk(self, sessions: int) -> tuple[Mapping[str, judgement.Series], list[Row]]:
        """So many sessions come and go while others stay; returns the memory meanwhile by process, and what became of
        those that stayed."""
        own = {rate: _settings(rate) for rate in (16_000, 24_000)}
        visitors = Visitors(self._generator, self._url, _settings, self._plan.places)
        async with AsyncExitStack() as there:
            stay = await there.enter_async_context(staying(self._generator, self._url, self._plan.staying, own))
            pacer = Pacer([*stay.senders(), *visitors.senders()])
            pacer.start()
            there.callback(pacer.stop)
            talking = asyncio.create_task(stay.talk())
            sampling = asyncio.create_task(self._sample(visitors, stay))
            there.push_async_callback(end, (talking, sampling))
            await visitors.come_and_go(sessions)
            sampling.cancel()
            stay.leave()
            await talking
            pacer.stop()
            self._say(f"{visitors.gone} have gone: {', '.join(f'{n} {how}' for how, n in visitors.left.items())}")
            rows = [
                Row(f"frames lost of {stay.frames:,} of those that stayed", 0, await stay.lost(), 0),
                Row(f"controls without answer of {stay.answered + stay.unanswered:,} of theirs", 0, stay.unanswered, 0),
                Row("sessions of theirs that ended", 0, stay.ended, 0),
                Row(f"sessions without answer of {visitors.gone:,} others", 0, visitors.unanswered, 0),
            ]
        return self._series, rows

    async def settled(self, before: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
        """Counts, and lengths of streams, once all is back to what it was ``before``, or, without that, once Redis has
        forgotten every session. What is not back in time counts as left behind."""
        latest = clock() + _SETTLING
        while True:
            counts = await self._census.counts()
            quiet = counts["Redis: keys"] == _QUIET_KEYS
            back = all(row.kept for row in judgement.counted(before, counts))
            if clock() > latest or (back if before else quiet):
                return counts, await self._census.lengths()
            await asyncio.sleep(_LOOK)

    async def _sample(self, visitors: Visitors, stay: Staying) -> None:
        self._series: dict[str, list[tuple[int, int]]] = defaultdict(list)
        said = clock()
        while True:
            for process, size in self._census.memory().items():
                said_so_far = stay.remembered if process.startswith("gateway") else 0
                self._series[process].append((visitors.gone, size - said_so_far))
            stay.forget()
            if clock() > said + 20:
                said = clock()
                self._say(f"{visitors.gone} sessions gone, gateway {self._series['gateway-1'][-1][1] / 2**20:.1f} MB")
            await asyncio.sleep(_SAMPLE)


def _settings(rate: int) -> dict[str, Any]:
    function = {"name": "get_time", "description": "The time.", "parameters": {"type": "object", "properties": {}}}
    think = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": "Soak.", "functions": [function]}
    return settings(rate, think=think)
