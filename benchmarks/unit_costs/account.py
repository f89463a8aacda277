"""What a piece of work costs: CPU seconds of every process, bytes to and from Redis, and what was published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from benchmarks.environment import processes_of
from benchmarks.metrics import metric
from benchmarks.percentiles import median
from benchmarks.scale.costs import ENTRIES, RECORDS, REQUESTS, Cost
from benchmarks.usage import Meter
from turngate.local.stack import Stack
from turngate.protocol.messages import CLIENT_EVENTS, TURNS


@dataclass(frozen=True)
class Spent:
    """What one round of a measurement has cost in all."""

    seconds: float
    cpu: Mapping[str, float]
    to_redis: float
    from_redis: float
    counts: Mapping[str, float]


class Account:
    """Begin with `open`, do the work, and end with `close`."""

    def __init__(self, stack: Stack, redis: Redis, without: Sequence[str] = ()) -> None:
        """``without``: names of processes that do not count, since they have ended."""
        self._stack = stack
        self._redis = redis
        self._processes = {name: pid for name, pid in processes_of(stack).items() if name not in without}
        self._gateways = [
            stack.internal_url("gateway", int(name.rpartition("-")[2]))
            for name in self._processes
            if name.startswith("gateway")
        ]
        self._before: dict[str, float] = {}
        self._meter = Meter({})
        #: Set by `close`.
        self.spent = Spent(0.0, {}, 0.0, 0.0, {})

    async def open(self) -> None:
        self._before = await self._counters()
        self._meter = Meter(self._processes)

    async def close(self) -> Spent:
        usage = self._meter.read()
        after = await self._counters()
        more = {name: after[name] - self._before[name] for name in after}
        to_redis, from_redis = more.pop("in"), more.pop("out")
        self.spent = Spent(usage.seconds, dict(usage.by_kind), to_redis, from_redis, more)
        return self.spent

    async def _counters(self) -> dict[str, float]:
        stats = await self._redis.info("stats")
        return {
            "in": float(stats["total_net_input_bytes"]),
            "out": float(stats["total_net_output_bytes"]),
            RECORDS: await self._added(TURNS),
            REQUESTS: await self._added(CLIENT_EVENTS),
            ENTRIES: sum([await self._entries(url) for url in self._gateways]),
        }

    async def _added(self, stream: str) -> float:
        try:
            described: Any = await self._redis.xinfo_stream(stream)
        except ResponseError:
            return 0.0
        return float(described["entries-added"])

    async def _entries(self, gateway: str) -> float:
        try:
            return await metric(gateway, "turngate_journal_entries_total", outcome="written")
        except LookupError:
            return 0.0


def per_unit(rounds: Sequence[tuple[Spent, float]]) -> Cost:
    """The cost of one unit, from rounds with their numbers of units."""
    sums = [sum(spent.cpu.values()) / units for spent, units in rounds]
    first = rounds[0][0]
    return Cost(
        cpu={kind: median(spent.cpu[kind] / units for spent, units in rounds) for kind in first.cpu},
        spread=(min(sums), max(sums)),
        to_redis=median(spent.to_redis / units for spent, units in rounds),
        from_redis=median(spent.from_redis / units for spent, units in rounds),
        counts={name: median(spent.counts[name] / units for spent, units in rounds) for name in first.counts},
    )
