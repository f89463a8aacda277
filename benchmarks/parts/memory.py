"""The memory part: the memory of a session that has talked beside that of the same session before, with baseline A and
with turngate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.environment import RELAY, RESAMPLED, Environment, Subject
from benchmarks.load.exchange import Exchanges
from benchmarks.load.generator import marked, without_collections
from benchmarks.load.session import LoadSession
from benchmarks.parts.frame_latency import drained, in_bursts
from benchmarks.processes import allow_open_files, resident_by_kind

#: Sessions that talk before the measurement, so that one-time allocations are not counted, and for how many seconds.
_FIRST, _FIRST_SECONDS = 25, 2.0
#: Seconds to wait until the work caused by connecting, or by talking, is done.
_SETTLING = 1.0
#: Seconds between two exchanges, and the duration of a reply.
_PAUSE, _REPLY = 0.1, 0.3


@dataclass(frozen=True)
class MemorySample:
    """Bytes per session by kind of process, such as ``gateway`` and ``relay``."""

    sessions: int
    #: How long audio ran, in seconds; after it, each session of turngate did every exchange once.
    seconds: float
    silent: dict[str, float]
    talked: dict[str, float]


async def run(environment: Environment, sessions: int, seconds: float, say: Callable[[str], None]) -> MemorySample:
    """Measure once: audio both ways for ``seconds``, the agent's in bursts. It requires new processes."""
    allow_open_files(sessions * 4 + 200)
    silent: dict[str, float] = {}
    talked: dict[str, float] = {}
    for subject in environment.subjects:
        if subject.name in (RELAY, RESAMPLED):
            before_talking, after = await _measure(environment, subject, sessions, seconds)
            silent |= before_talking
            talked |= after
    sample = MemorySample(sessions, seconds, silent, talked)
    say(summary(sample))
    return sample


def summary(sample: MemorySample) -> str:
    """The result as text for the terminal."""
    kinds = ", ".join(
        f"{kind} {sample.silent[kind] / 1024:.1f} and {size / 1024:.1f} KB" for kind, size in sample.talked.items()
    )
    return f"memory per session, silent and after talking, {sample.sessions} sessions: {kinds}"


async def _measure(
    environment: Environment, subject: Subject, count: int, seconds: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Bytes per session by kind of process, before and after talking."""
    generator = environment.generator
    async with generator.open(min(_FIRST, count), subject.url, subject.settings) as first:
        await _talk(first, subject, min(_FIRST_SECONDS, seconds))
    before = resident_by_kind(subject.processes)
    async with generator.open(count, subject.url, subject.settings) as load_sessions, without_collections():
        await asyncio.sleep(_SETTLING)
        silent = resident_by_kind(subject.processes)
        await _talk(load_sessions, subject, seconds)
        await asyncio.sleep(_SETTLING)
        talked = resident_by_kind(subject.processes)
    return _per_session(before, silent, count), _per_session(before, talked, count)


async def _talk(load_sessions: Sequence[LoadSession], subject: Subject, seconds: float) -> None:
    pacers = in_bursts(load_sessions, subject)
    for pacer in pacers:
        pacer.start()
    await asyncio.sleep(seconds)
    for pacer in pacers:
        pacer.stop()
    if lost := await drained(load_sessions):
        raise RuntimeError(f"{subject.name}: {lost} frames lost")
    own = subject.settings
    if own is not None:
        async with asyncio.TaskGroup() as group:
            for session in load_sessions:
                session.end_reply()
                group.create_task(Exchanges(session, marked(own, session)).cycle(_PAUSE, _REPLY))


def _per_session(before: dict[str, int], after: dict[str, int], count: int) -> dict[str, float]:
    return {kind: (after[kind] - before[kind]) / count for kind in before}
