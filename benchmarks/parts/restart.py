"""The restart part: the effect of restarting or killing a translator on clients' requests."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.environment import Environment, settings, turngate
from benchmarks.load.exchange import Exchanges
from benchmarks.load.generator import marked, without_collections
from benchmarks.load.session import LoadSession, clock
from benchmarks.machine import Cores
from benchmarks.percentiles import percentile
from benchmarks.processes import pin
from turngate.local.child import Child

#: Number of sessions, and seconds between two requests of each.
SESSIONS = 25
_PERIOD = 0.5
#: Timeout for the readiness of the new process, in seconds.
_PATIENCE = 30.0


@dataclass(frozen=True)
class RestartSample:
    """One restart of one of two translators. Latencies are in seconds: p50, p99 and maximum."""

    before: tuple[float, float, float]
    during: tuple[float, float, float]
    requests: int
    unanswered: int
    #: Seconds until the new process was ready.
    away: float


async def run(
    environment: Environment, signals: Mapping[str, signal.Signals], around: float, say: Callable[[str], None]
) -> dict[str, RestartSample]:
    """One restart with each of these signals, with ``around`` seconds of requests before and after it."""
    found = {}
    generator = environment.generator
    async with turngate(generator.tls_url, environment.cores, translators=2, env=environment.trust) as stack:
        child = stack.processes["translator-1"]
        for name, number in signals.items():
            async with generator.open(SESSIONS, stack.gateway_url, settings()) as sessions, without_collections():
                found[name] = await _restart(sessions, child, number, around, environment.cores)
            say(summary(name, found[name]))
    return found


def summary(name: str, sample: RestartSample) -> str:
    """The result as text for the terminal."""

    def shown(latency: tuple[float, float, float]) -> str:
        return "p50 {:.1f}, p99 {:.1f}, longest {:.0f} ms".format(*(value * 1e3 for value in latency))

    return (
        f"one of two translators {name}, away for {sample.away:.1f} s: {shown(sample.during)} (before: "
        f"{shown(sample.before)}); {sample.requests} requests, {sample.unanswered} unanswered"
    )


async def _restart(
    load_sessions: Sequence[LoadSession], child: Child, number: signal.Signals, around: float, cores: Cores
) -> RestartSample:
    took: list[tuple[float, float]] = []
    unanswered = 0
    stopping = asyncio.Event()

    async def converse(place: int, session: LoadSession) -> None:
        nonlocal unanswered
        exchanges = Exchanges(session, marked(settings(), session))
        await asyncio.sleep(place * _PERIOD / len(load_sessions))
        while not stopping.is_set():
            began = clock()
            try:
                took.append((began, await exchanges.reconfigure()))
            except TimeoutError:
                unanswered += 1
            await asyncio.sleep(max(0.0, began + _PERIOD - clock()))

    async with asyncio.TaskGroup() as group:
        for place, session in enumerate(load_sessions):
            group.create_task(converse(place, session))
        await asyncio.sleep(around)
        killed, away = await _end(child, number, cores)
        await asyncio.sleep(around)
        stopping.set()
    return RestartSample(
        before=_percentiles(value for began, value in took if began + value < killed),
        during=_percentiles(value for began, value in took if began + value >= killed),
        requests=len(took) + unanswered,
        unanswered=unanswered,
        away=away,
    )


async def _end(child: Child, number: signal.Signals, cores: Cores) -> tuple[float, float]:
    """Stop the process, and wait until its successor is ready; returns the time of the stop and the duration."""
    restarts, killed = child.restarts, clock()
    assert child.pid is not None
    os.kill(child.pid, number)
    while child.restarts == restarts or child.pid is None or await child.program.check() is not None:
        if clock() > killed + _PATIENCE:
            raise TimeoutError(f"{child.name} was not restarted")
        if child.restarts > restarts and child.pid is not None:
            pin(child.pid, cores.test)
        await asyncio.sleep(0.05)
    return killed, clock() - killed


def _percentiles(values: Iterable[float]) -> tuple[float, float, float]:
    ascending = sorted(values)
    return percentile(ascending, 0.5), percentile(ascending, 0.99), percentile(ascending, 1.0)
