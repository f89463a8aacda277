"""The servers part: control messages per second with one and with two Redis servers, each limited to the same small
share of a core, so that nothing else limits.

Client events are written to the streams and commands are read directly, without a gateway, as in the translators part:
each server has sessions of its own, which always have a request pending. It shows how the work is divided, not how much
a server carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from benchmarks.environment import Environment, processes_of, turngate
from benchmarks.load.driver import Driver
from benchmarks.load.generator import without_collections
from benchmarks.machine import Cores
from benchmarks.percentiles import median, percentile
from benchmarks.processes import cpu_seconds, pin
from benchmarks.quota import limited
from benchmarks.usage import Meter, Usage
from turngate.local.stack import Stack

COUNTS = (1, 2)
#: Concurrent requests on each server.
_SESSIONS = 100
_WARM_UP = 1.0
#: Share of a core for each server, and the period in microseconds in which it gets it: the least quota is 1 ms.
_SHARE, _PERIOD = 0.04, 50_000
#: A server that used this part of its share was what limited.
_BUSY = 0.9
_TRANSLATORS = 2
#: An unused address, since no session is opened.
_NO_UPSTREAM = "ws://127.0.0.1:9"


@dataclass(frozen=True)
class ServersSample:
    """A measurement at the maximum throughput of the servers."""

    #: Control messages per second of each server.
    per_second: tuple[float, ...]
    p50: float
    usage: Usage
    #: The part of its share that each server used; empty if they were not limited.
    used: tuple[float, ...]

    @property
    def total(self) -> float:
        return sum(self.per_second)

    @property
    def broker_cpu(self) -> float:
        """CPU seconds of the servers per message."""
        return self.usage.by_kind["broker"] / (self.total * self.usage.seconds)


#: The samples of all rounds, by number of servers.
Samples = dict[int, list[ServersSample]]


async def run(environment: Environment, rounds: int, seconds: float, say: Callable[[str], None]) -> Samples:
    """Measure each number of servers, each with its own processes."""
    samples: Samples = {count: [] for count in COUNTS}
    async with AsyncExitStack() as stacks:
        running: dict[int, Stack] = {}
        for count in COUNTS:
            running[count] = await stacks.enter_async_context(
                turngate(_NO_UPSTREAM, environment.cores, translators=_TRANSLATORS, redis_servers=count)
            )
            _free(running[count], environment.cores)
        pids = [pid for stack in running.values() for pid in _servers(stack).values()]
        enforced = stacks.enter_context(limited(pids, _SHARE, _PERIOD))
        for _ in range(rounds):
            for count, stack in running.items():
                samples[count].append(await _measure(stack, seconds, enforced))
                say(summary(count, samples))
    return samples


def summary(count: int, samples: Samples) -> str:
    """The newest result as text for the terminal, with the ratio to one server."""
    one = samples[count][-1]
    used = ", ".join(f"{share:.0%}" for share in one.used) or "not limited"
    return (
        f"{count} Redis servers: {one.total:6.0f} control messages/s ({one.total / samples[1][-1].total:.2f}x), "
        f"p50 {one.p50 * 1e3:.0f} ms; used of their shares: {used}; CPU per message: servers "
        f"{one.broker_cpu * 1e6:.0f} µs; foreign {one.usage.foreign:.0%}"
    )


def ratio(found: Samples) -> float | None:
    """Control messages per second with two servers against one. None if that was not measured, or if it was not the
    servers that limited."""
    rows = [found.get(count, []) for count in COUNTS]
    if not all(rows) or any(not one.used or min(one.used) < _BUSY for samples in rows for one in samples):
        return None
    one, two = (median(sample.total for sample in samples) for samples in rows)
    return two / one


def _servers(stack: Stack) -> Mapping[str, int]:
    return {name: pid for name, pid in processes_of(stack).items() if name.startswith("broker")}


def _free(stack: Stack, cores: Cores) -> None:
    """Let every process use every core."""
    for pid in processes_of(stack).values():
        pin(pid, cores.test | cores.load)


async def _measure(stack: Stack, seconds: float, enforced: bool) -> ServersSample:
    drivers = [Driver(url, _SESSIONS) for url in stack.redis_urls.values()]
    servers = _servers(stack)
    try:
        async with without_collections():
            running = [asyncio.create_task(driver.run(_WARM_UP + seconds)) for driver in drivers]
            await asyncio.wait(running, timeout=_WARM_UP)
            for driver in drivers:
                driver.took.clear()
            meter, before = Meter(processes_of(stack)), {name: cpu_seconds(pid) for name, pid in servers.items()}
            await asyncio.gather(*running)
            usage, after = meter.read(), {name: cpu_seconds(pid) for name, pid in servers.items()}
    finally:
        for driver in drivers:
            await driver.close()
    spent = [(after[name] - before[name]) / usage.seconds / _SHARE for name in servers]
    return ServersSample(
        per_second=tuple(len(driver.took) / usage.seconds for driver in drivers),
        p50=percentile(sorted(took for driver in drivers for took in driver.took), 0.5),
        usage=usage,
        used=tuple(spent) if enforced else (),
    )
