"""The memory part: the memory of a session that has talked beside that of the same session before, with baseline A and
with turngate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.environment import RELAY, RESAMPLED, Environment, Subject
from benchmarks.load.exchange import Exchanges
from benchmarks.load.generator import marked, without_collections
from benchmarks.load.pacing import Pacer
from benchmarks.load.session import LoadSession
from benchmarks.parts.frame_latency import drained, in_bursts, steadily
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
    #: How long each kind of audio ran.
    seconds: float
    silent: dict[str, float]
    #: After audio both ways, with a frame every 20 ms.
    steady: dict[str, float]
    #: After that, audio with the agent's in bursts, and with turngate every exchange of control once.
    talked: dict[str, float]


async def run(environment: Environment, sessions: int, seconds: float, say: Callable[[str], None]) -> MemorySample:
    """Measure once: ``seconds`` of each kind of audio both ways. It requires new processes."""
    allow_open_files(sessions * 4 + 200)
    silent: dict[str, float] = {}
    steady: dict[str, float] = {}
    talked: dict[str, float] = {}
    for subject in environment.subjects:
        if subject.name in (RELAY, RESAMPLED):
            found = await _measure(environment, subject, sessions, seconds)
            for all_kinds, kinds in zip((silent, steady, talked), found, strict=True):
                all_kinds |= kinds
    sample = MemorySample(sessions, seconds, silent, steady, talked)
    say(summary(sample))
    return sample


def summary(sample: MemorySample) -> str:
    """The result as text for the terminal."""
    kinds = ", ".join(
        f"{kind} {sample.silent[kind] / 1024:.1f}, {sample.steady[kind] / 1024:.1f} and {size / 1024:.1f} KB"
        for kind, size in sample.talked.items()
    )
    return f"memory per session, silent, after steady audio and after bursts, {sample.sessions} sessions: {kinds}"


async def _measure(environment: Environment, subject: Subject, count: int, seconds: float) -> list[dict[str, float]]:
    """Bytes per session by kind of process: silent, after steady audio, and after bursts."""
    generator = environment.generator
    async with generator.open(min(_FIRST, count), subject.url, subject.settings) as first:
        await _talk(first, subject, in_bursts(first, subject), min(_FIRST_SECONDS, seconds))
        await _ask(first, subject)
    before = resident_by_kind(subject.processes)
    async with generator.open(count, subject.url, subject.settings) as load_sessions, without_collections():
        await asyncio.sleep(_SETTLING)
        found = [resident_by_kind(subject.processes)]
        await _talk(load_sessions, subject, steadily(load_sessions, subject), seconds)
        await asyncio.sleep(_SETTLING)
        found.append(resident_by_kind(subject.processes))
        await _talk(load_sessions, subject, in_bursts(load_sessions, subject), seconds)
        await _ask(load_sessions, subject)
        await asyncio.sleep(_SETTLING)
        found.append(resident_by_kind(subject.processes))
    return [{kind: (after[kind] - before[kind]) / count for kind in before} for after in found]


async def _talk(
    load_sessions: Sequence[LoadSession], subject: Subject, pacers: Sequence[Pacer], seconds: float
) -> None:
    for pacer in pacers:
        pacer.start()
    await asyncio.sleep(seconds)
    for pacer in pacers:
        pacer.stop()
    if lost := await drained(load_sessions):
        raise RuntimeError(f"{subject.name}: {lost} frames lost")
    for session in load_sessions if subject.rate is not None else ():
        session.end_reply()


async def _ask(load_sessions: Sequence[LoadSession], subject: Subject) -> None:
    """Do every exchange of control once in each session."""
    own = subject.settings
    if own is not None:
        async with asyncio.TaskGroup() as group:
            for session in load_sessions:
                group.create_task(Exchanges(session, marked(own, session)).cycle(_PAUSE, _REPLY))
