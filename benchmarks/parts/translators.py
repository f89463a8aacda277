"""How much more two translators, or four, carry than one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from benchmarks.arena import TRANSLATORS, Arena, processes_of, turngate
from benchmarks.load.driver import Driver
from benchmarks.load.generator import without_collections
from benchmarks.machine import Cores
from benchmarks.percentiles import median, percentile
from benchmarks.processes import pin
from benchmarks.quota import limited
from benchmarks.usage import Meter, Usage
from turngate.local.stack import Stack

#: Requests that are under way at any time.
_SESSIONS = 200
_WARM_UP = 1.0
#: Of a core, for each translator: so little that four of them leave the broker and the driver what they need.
_SHARE = 0.15
#: Nobody listens there: no session is ever opened.
_NO_UPSTREAM = "ws://127.0.0.1:9"


@dataclass(frozen=True)
class CapacitySample:
    """One run with all the control messages that the translators can carry."""

    per_second: float
    p50: float
    p99: float
    messages: int
    usage: Usage
    #: Whether each translator could use no more than its share of a core.
    limited: bool

    @property
    def translator_cpu(self) -> float:
        """CPU seconds of the translators for one message."""
        return self.usage.by_kind["translator"] / self.messages

    @property
    def other_cpu(self) -> float:
        """CPU seconds of the broker and the driver for one message: what the translators' cores are not free of."""
        return (self.usage.by_kind["broker"] + self.usage.generator) / self.messages


#: By number of translators.
Samples = dict[int, list[CapacitySample]]


async def run(arena: Arena, counts: Sequence[int], rounds: int, seconds: float, say: Callable[[str], None]) -> Samples:
    """Measure each number of translators in turn, each with a broker of its own. The arena's have every core after
    that."""
    samples: Samples = {count: [] for count in counts}
    async with AsyncExitStack() as stacks:
        running = []
        for count in counts:
            stack = arena.stack
            if count != TRANSLATORS:
                stack = await stacks.enter_async_context(turngate(_NO_UPSTREAM, arena.cores, translators=count))
            running.append((count, stack, _freed(stack, arena.cores)))
        pids = [pid for _, _, translators in running for pid in translators]
        enforced = stacks.enter_context(limited(pids, _SHARE))
        for _ in range(rounds):
            for count, stack, _ in running:
                samples[count].append(await _measure(stack, seconds, enforced))
                say(line(count, samples[count][-1:], samples[counts[0]]))
    if rounds > 1:
        say(f"medians of {rounds} rounds")
        for count in counts:
            say(line(count, samples[count], samples[counts[0]]))
    return samples


def line(count: int, samples: Sequence[CapacitySample], least: Sequence[CapacitySample]) -> str:
    """What was found, beside the run with the fewest translators."""
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
    """The part of a core that each translator had; None where they had what they could get."""
    return _SHARE if all(sample.limited for found in samples.values() for sample in found) else None


def _freed(stack: Stack, cores: Cores) -> list[int]:
    """Translators may use every core, and the broker keeps to the driver's. Returns the translators' process ids."""
    found = []
    for name, pid in processes_of(stack).items():
        if name.startswith("translator"):
            pin(pid, cores.test | cores.load)
            found.append(pid)
        elif name == "broker":
            pin(pid, cores.load)
    return found


async def _measure(stack: Stack, seconds: float, enforced: bool) -> CapacitySample:
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
    return CapacitySample(
        per_second=len(took) / usage.seconds,
        p50=percentile(took, 0.5),
        p99=percentile(took, 0.99),
        messages=len(took),
        usage=usage,
        limited=enforced,
    )
