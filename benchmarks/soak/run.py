"""Runs the soak test:

1. Warm-up with some hundreds of short sessions beside the long ones, for one-time allocations.
2. All sessions end; resources are counted.
3. The long sessions are opened again; short sessions come and go, and memory is sampled continuously.
4. All sessions end; resources are counted again.

Counts are compared while there are no sessions, since they have a definite value then. Memory is compared while the
same long sessions are open, since allocators do not return all unused memory to the kernel. The bounded memory that the
gateway needs for the growing conversations of the long sessions is subtracted.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks.environment import settings, turngate
from benchmarks.load.generator import Generator
from benchmarks.load.pacing import Pacer
from benchmarks.load.session import clock
from benchmarks.machine import Cores
from benchmarks.processes import allow_open_files
from benchmarks.soak import evaluation
from benchmarks.soak.counts import ResourceCounts
from benchmarks.soak.evaluation import Row
from benchmarks.soak.long_sessions import LongSessions, open_long_sessions
from benchmarks.soak.short_sessions import ShortSessions
from turngate.local.stack import Stack
from turngate.process.tasks import end

#: Maximum stream length, small enough that the warm-up fills the streams; otherwise the broker would grow until then.
_STREAM = 1_000
#: Redis trims streams by whole nodes, so they may exceed the maximum by this many entries.
_NODE = 100
_ENV = {
    "TURNGATE_STREAM_MAX_LENGTH": str(_STREAM),
    # How long Redis stores a session that has ended; the default is 45 s.
    "TURNGATE_SESSION_TTL_MS": "3000",
    "TURNGATE_HEARTBEAT_MS": "1000",
}
#: Timeout until resources of ended sessions are released; interval of checking that; interval of memory samples; in
#: seconds.
_SETTLING = 30.0
_LOOK = 0.5
_SAMPLE = 0.5
#: Timeout of the whole run in seconds. It takes five minutes on two idle cores.
_LONGEST = 1_200.0
#: Number of Redis keys without sessions: the four streams.
_QUIET_KEYS = 4


@dataclass(frozen=True)
class Plan:
    """The numbers of sessions."""

    sessions: int = 2_000
    staying: int = 50

    @property
    def warm_up(self) -> int:
        return min(400, self.sessions // 3)

    @property
    def places(self) -> int:
        """Number of concurrent short sessions."""
        return min(20, self.sessions)


@dataclass
class Results:
    """The results of a run."""

    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def kept(self) -> bool:
        return all(row.kept for row in self.rows)


async def run(
    plan: Plan, cores: Cores, say: Callable[[str], None], at: Callable[[int, str], None] = lambda _, __: None
) -> Results:
    """Run the soak test. ``say`` is called with a line for what has ended, and ``at`` with the number of short sessions
    so far, warm-up included, and the gateway's memory. Raises TimeoutError if the run takes too long or a connection is
    not closed."""
    began = clock()
    allow_open_files(plan.staying * 4 + plan.places * 4 + 500)
    results = Results()
    async with (
        asyncio.timeout(_LONGEST),
        Generator() as generator,
        turngate(generator.url, cores, env=_ENV) as stack,
    ):
        soak = Soak(generator, stack, plan, say, at)
        try:
            await soak.run_sessions(plan.warm_up)
            before, lengths = await soak.settled({})
            say(f"warmed up with {plan.warm_up} sessions after {clock() - began:.0f} s")
            memory, rows = await soak.run_sessions(plan.sessions)
            after, longer = await soak.settled(before)
        finally:
            await soak.close()
    results.rows = rows
    results.rows += evaluation.counted(before, after)
    results.rows += evaluation.limited(lengths, longer, _STREAM + _NODE)
    results.rows += [row for process, series in memory.items() for row in evaluation.memory(process, series)]
    results.seconds = clock() - began
    return results


class Soak:
    """The soak test of one stack."""

    def __init__(
        self,
        generator: Generator,
        stack: Stack,
        plan: Plan,
        say: Callable[[str], None],
        at: Callable[[int, str], None],
    ) -> None:
        self._generator = generator
        self._url = stack.gateway_url
        self._plan = plan
        self._say = say
        self._at = at
        #: Short sessions of the runs before.
        self._gone = 0
        self._counts = ResourceCounts(stack)

    async def close(self) -> None:
        await self._counts.close()

    async def run_sessions(self, sessions: int) -> tuple[Mapping[str, evaluation.Series], list[Row]]:
        """Run short sessions beside the long ones; returns the memory samples by process, and rows about lost frames
        and missing answers."""
        own = {rate: _settings(rate) for rate in (16_000, 24_000)}
        short_sessions = ShortSessions(self._generator, self._url, _settings, self._plan.places)
        async with AsyncExitStack() as there:
            long_sessions = await there.enter_async_context(
                open_long_sessions(self._generator, self._url, self._plan.staying, own)
            )
            pacer = Pacer([*long_sessions.senders(), *short_sessions.senders()])
            pacer.start()
            there.callback(pacer.stop)
            talking = asyncio.create_task(long_sessions.run())
            sampling = asyncio.create_task(self._sample(short_sessions, long_sessions))
            there.push_async_callback(end, (talking, sampling))
            await short_sessions.come_and_go(sessions)
            sampling.cancel()
            long_sessions.leave()
            await talking
            pacer.stop()
            ends = ", ".join(f"{count} {how}" for how, count in short_sessions.left.items())
            self._gone += short_sessions.gone
            self._say(f"{short_sessions.gone} sessions ended: {ends}")
            exchanges = long_sessions.answered + long_sessions.unanswered
            rows = [
                Row(f"lost frames of the long sessions, of {long_sessions.frames:,}", 0, await long_sessions.lost(), 0),
                Row(f"unanswered exchanges of the long sessions, of {exchanges:,}", 0, long_sessions.unanswered, 0),
                Row("long sessions that ended", 0, long_sessions.ended, 0),
                Row(f"short sessions without an answer, of {short_sessions.gone:,}", 0, short_sessions.unanswered, 0),
            ]
        return self._series, rows

    async def settled(self, before: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
        """Wait until the counts have returned to those ``before`` or, without these, until Redis has no session left;
        returns the counts and the stream lengths, also after a timeout."""
        latest = clock() + _SETTLING
        while True:
            counts = await self._counts.counts()
            quiet = counts["Redis: keys"] == _QUIET_KEYS
            back = all(row.kept for row in evaluation.counted(before, counts))
            if clock() > latest or (back if before else quiet):
                return counts, await self._counts.lengths()
            await asyncio.sleep(_LOOK)

    async def _sample(self, short_sessions: ShortSessions, long_sessions: LongSessions) -> None:
        self._series: dict[str, list[tuple[int, int]]] = defaultdict(list)
        while True:
            for process, size in self._counts.memory().items():
                said_so_far = long_sessions.remembered if process.startswith("gateway") else 0
                self._series[process].append((short_sessions.gone, size - said_so_far))
            long_sessions.forget()
            memory = self._series["gateway-1"][-1][1] / 2**20
            self._at(self._gone + short_sessions.gone, f"gateway {memory:.1f} MB")
            await asyncio.sleep(_SAMPLE)


def _settings(rate: int) -> dict[str, Any]:
    function = {"name": "get_time", "description": "The time.", "parameters": {"type": "object", "properties": {}}}
    think = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": "Soak.", "functions": [function]}
    return settings(rate, think=think)
