"""The translators part: throughput with one, two and four translators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from benchmarks.environment import TRANSLATORS, Environment, processes_of, turngate
from benchmarks.load.driver import Driver
from benchmarks.load.generator import without_collections
from benchmarks.machine import Cores
from benchmarks.percentiles import median, percentile
from benchmarks.processes import pin
from benchmarks.quota import limited
from benchmarks.usage import Meter, Usage
from turngate.local.stack import Stack

#: Number of concurrent requests.
_SESSIONS = 200
_WARM_UP = 1.0
#: Share of a core for each translator, small enough that four of them leave enough for the broker and the driver.
_SHARE = 0.15
#: An unused address, since no session is opened.
_NO_UPSTREAM = "ws://127.0.0.1:9"


@dataclass(frozen=True)
class ThroughputSample:
    """A measurement at the maximum throughput of the translators."""

    per_second: float
    p50: float
    p99: float
    messages: int
    usage: Usage
    #: Whether each translator was limited to its share of a core.
    limited: bool

    @property
    def translator_cpu(self) -> float:
        """CPU seconds of the translators per message."""
        return self.usage.by_kind["translator"] / self.messages

    @property
    def other_cpu(self) -> float:
        """CPU seconds of the broker and the driver per message, which run on the same cores."""
        return (self.usage.by_kind["broker"] + self.usage.generator) / self.messages


#: The samples of all rounds, by number of translators.
Samples = dict[int, list[ThroughputSample]]


async def run(
    environment: Environment, counts: Sequence[int], rounds: int, seconds: float, say: Callable[[str], None]
) -> Samples:
    """Measure each number of translators, each with its own broker."""
    samples: Samples = {count: [] for count in counts}
    async with AsyncExitStack() as stacks:
        running = []
        for count in counts:
            stack = environment.stack
            if count != TRANSLATORS:
                stack = await stacks.enter_async_context(turngate(_NO_UPSTREAM, environment.cores, translators=count))
            running.append((count, stack, _freed(stack, environment.cores)))
        pids = [pid for _, _, translators in running for pid in translators]
        enforced = stacks.enter_context(limited(pids, _SHARE))
        for _ in range(rounds):
            for count, stack, _ in running:
                samples[count].append(await _measure(stack, seconds, enforced))
                say(summary(count, samples[count][-1:], samples[counts[0]]))
    if rounds > 1:
        say(f"medians of {rounds} rounds")
        for count in counts:
            say(summary(count, samples[count], samples[counts[0]]))
    return samples


def summary(count: int, samples: Sequence[ThroughputSample], least: Sequence[ThroughputSample]) -> str:
    """The result as text for the terminal, with the ratio to the smallest number of translators."""
    rate = median(sample.per_second for sample in samples)
    return (
        f"{count} translators: {rate:7.0f} control messages/s"
        f" ({rate / median(sample.per_second for sample in least):.2f}x),"
        f" p50 {median(sample.p50 for sample in samples) * 1e3:.0f} ms,"
        f" p99 {median(sample.p99 for sample in samples) * 1e3:.0f} ms;"
        f" CPU per message: translator {median(sample.translator_cpu for sample in samples) * 1e3:.2f} ms,"
        f" broker and driver {median(sample.other_cpu for sample in samples) * 1e3:.2f} ms;"
        f" foreign {max(sample.usage.foreign for sample in samples):.0%}"
    )


def share_of(samples: Samples) -> float | None:
    """The share of a core that each translator was limited to; None if they were not limited."""
    return _SHARE if all(sample.limited for found in samples.values() for sample in found) else None


def _freed(stack: Stack, cores: Cores) -> list[int]:
    """Let translators use every core, and the broker the driver's core. Returns the translators' process ids."""
    found = []
    for name, pid in processes_of(stack).items():
        if name.startswith("translator"):
            pin(pid, cores.test | cores.load)
            found.append(pid)
        elif name == "broker":
            pin(pid, cores.load)
    return found


async def _measure(stack: Stack, seconds: float, enforced: bool) -> ThroughputSample:
    driver = Driver(stack.redis_url, _SESSIONS)
    try:
        async with without_collections():
            running = asyncio.create_task(driver.run(_WARM_UP + seconds))
            await asyncio.wait([running], timeout=_WARM_UP)
            driver.took.clear()
            meter = Meter(processes_of(stack))
            await running
            usage = meter.read()
    finally:
        await driver.close()
    took = sorted(driver.took)
    return ThroughputSample(
        per_second=len(took) / usage.seconds,
        p50=percentile(took, 0.5),
        p99=percentile(took, 0.99),
        messages=len(took),
        usage=usage,
        limited=enforced,
    )
