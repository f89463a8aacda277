"""The idle part: CPU and memory of many silent sessions, with baseline A and with turngate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.environment import Environment, processes_of, settings
from benchmarks.processes import allow_open_files, resident_by_kind
from benchmarks.usage import Meter, Usage

#: Number of sessions for warming up, so that one-time allocations are not counted.
_FIRST = 25
#: Seconds to wait until the work caused by connecting is done.
_SETTLING = 3.0


@dataclass(frozen=True)
class IdleSample:
    """A measurement of ``sessions`` sessions of each subject at the same time."""

    sessions: int
    #: The usage of turngate, and of baseline A.
    usage: Usage
    relay_usage: Usage
    #: Bytes per session, by kind of process.
    memory: dict[str, float]

    @property
    def cpu(self) -> float:
        """The CPU usage of all processes of turngate, as a share of one core."""
        return self.usage.subject / self.usage.seconds

    @property
    def relay_cpu(self) -> float:
        return self.relay_usage.subject / self.relay_usage.seconds


async def run(environment: Environment, sessions: int, seconds: float, say: Callable[[str], None]) -> IdleSample:
    """Measure once. Memory values require new processes; ``seconds`` should cover a ping interval (20 s)."""
    allow_open_files(sessions * 4 + 200)
    generator, baseline, gateway_url = environment.generator, environment.baseline, environment.stack.gateway_url
    ours = processes_of(environment.stack)
    watched = {**ours, **baseline.processes}
    for url, first in ((baseline.url, None), (gateway_url, settings())):
        async with generator.open(_FIRST, url, first):
            pass
    before = resident_by_kind(watched)
    async with generator.open(sessions, baseline.url, None), generator.open(sessions, gateway_url, settings()):
        await asyncio.sleep(min(_SETTLING, seconds))
        meter, relay_meter = Meter(ours), Meter(baseline.processes)
        await asyncio.sleep(seconds)
        usage, relay_usage = meter.read(), relay_meter.read()
        after = resident_by_kind(watched)
    memory = {kind: (after[kind] - before[kind]) / sessions for kind in before}
    sample = IdleSample(sessions, usage, relay_usage, memory)
    for text in summary(sample):
        say(text)
    return sample


def summary(sample: IdleSample) -> list[str]:
    """The result as text for the terminal."""
    kinds = ", ".join(f"{kind} {spent / sample.usage.seconds:.2%}" for kind, spent in sample.usage.by_kind.items())
    memory = ", ".join(f"{kind} {size / 1024:.1f} KB" for kind, size in sample.memory.items())
    return [
        f"{sample.sessions} silent sessions: {sample.cpu:.2%} of a core ({kinds}), relay (A) {sample.relay_cpu:.2%}; "
        f"foreign {sample.usage.foreign:.0%}",
        f"memory per session: {memory}",
    ]
