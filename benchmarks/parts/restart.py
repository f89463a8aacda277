"""What clients notice of a translator that is restarted, or that crashes, while they talk."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.arena import Arena, settings
from benchmarks.load.exchange import Exchanges
from benchmarks.load.generator import marked, without_collections
from benchmarks.load.line import Line, clock
from benchmarks.machine import Cores
from benchmarks.percentiles import percentile
from benchmarks.processes import pin
from turngate.local.child import Child

#: Sessions, and seconds between two requests of each.
SESSIONS = 25
_PERIOD = 0.5
#: Seconds that the new process may take to become ready.
_PATIENCE = 30.0


@dataclass(frozen=True)
class RestartSample:
    """One restart of one of two translators. Latencies in seconds: p50, p99 and the longest."""

    before: tuple[float, float, float]
    during: tuple[float, float, float]
    requests: int
    unanswered: int
    #: Seconds until the new process was ready.
    away: float


async def run(
    arena: Arena, signals: Mapping[str, signal.Signals], around: float, say: Callable[[str], None]
) -> dict[str, RestartSample]:
    """One restart by each of these signals, with ``around`` seconds of talk before and after it."""
    found = {}
    child = arena.stack.processes["translator-1"]
    for name, number in signals.items():
        async with (
            arena.generator.open(SESSIONS, arena.stack.gateway_url, settings()) as lines,
            without_collections(),
        ):
            found[name] = await _restart(lines, child, number, around, arena.cores)
        say(line(name, found[name]))
    return found


def line(name: str, sample: RestartSample) -> str:
    """What was found, for a person at a terminal."""

    def shown(latency: tuple[float, float, float]) -> str:
        return "p50 {:.1f}, p99 {:.1f}, longest {:.0f} ms".format(*(value * 1e3 for value in latency))

    return (
        f"one of two translators {name}, away for {sample.away:.1f} s: {shown(sample.during)} (before: "
        f"{shown(sample.before)}); {sample.requests} requests, {sample.unanswered} unanswered"
    )


async def _restart(
    lines: Sequence[Line], child: Child, number: signal.Signals, around: float, cores: Cores
) -> RestartSample:
    took: list[tuple[float, float]] = []
    unanswered = 0
    stopping = asyncio.Event()

    async def converse(place: int, one: Line) -> None:
        nonlocal unanswered
        exchanges = Exchanges(one, marked(settings(), one))
        await asyncio.sleep(place * _PERIOD / len(lines))
        while not stopping.is_set():
            began = clock()
            try:
                took.append((began, await exchanges.reconfigure()))
            except TimeoutError:
                unanswered += 1
            await asyncio.sleep(max(0.0, began + _PERIOD - clock()))

    async with asyncio.TaskGroup() as group:
        for place, one in enumerate(lines):
            group.create_task(converse(place, one))
        await asyncio.sleep(around)
        killed, away = await _end(child, number, cores)
        await asyncio.sleep(around)
        stopping.set()
    return RestartSample(
        before=_summary(value for began, value in took if began + value < killed),
        during=_summary(value for began, value in took if began + value >= killed),
        requests=len(took) + unanswered,
        unanswered=unanswered,
        away=away,
    )


async def _end(child: Child, number: signal.Signals, cores: Cores) -> tuple[float, float]:
    """End the process, and wait until its successor is ready; returns when it was ended and how long that took."""
    restarts, killed = child.restarts, clock()
    assert child.pid is not None
    os.kill(child.pid, number)
    while child.restarts == restarts or child.pid is None or await child.program.check() is not None:
        if clock() > killed + _PATIENCE:
            raise TimeoutError(f"{child.name} did not come back")
        if child.restarts > restarts and child.pid is not None:
            pin(child.pid, cores.test)
        await asyncio.sleep(0.05)
    return killed, clock() - killed


def _summary(values: Iterable[float]) -> tuple[float, float, float]:
    ascending = sorted(values)
    return percentile(ascending, 0.5), percentile(ascending, 0.99), percentile(ascending, 1.0)
