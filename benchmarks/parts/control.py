"""The control part: how long a request of the client's takes to the upstream's wire, alone and in company."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from benchmarks.arena import Arena, processes_of, settings
from benchmarks.baselines.round_trip import PAUSE
from benchmarks.load.exchange import EXCHANGES, Exchanges
from benchmarks.load.generator import marked, without_collections
from benchmarks.load.line import Line, clock
from benchmarks.percentiles import median, percentile
from benchmarks.usage import Meter, Usage

#: Configuration is asked for so long before the response ends that it has to wait, in seconds.
_HOLD_ALONE, _HOLD = 0.05, 0.3

BARE = "bare round trip (B)"


@dataclass(frozen=True)
class ControlSample:
    """One round at one number of sessions."""

    #: p50 and p99 in seconds, by exchange, and of the baseline.
    latency: dict[str, tuple[float, float]]
    exchanges: int
    #: Sessions that gave up waiting for an answer.
    unanswered: int
    usage: Usage


#: By number of sessions.
Samples = dict[int, list[ControlSample]]


async def run(
    arena: Arena, counts: Sequence[int], rounds: int, seconds: float, turn: float, say: Callable[[str], None]
) -> Samples:
    """Measure. One of many sessions has each exchange once per ``turn`` seconds. ``say`` gets every result."""
    samples: Samples = {count: [] for count in counts}
    say(HEAD)
    for _ in range(rounds):
        for count in counts:
            rate = 0 if count == 1 else count * len(EXCHANGES) / turn
            bare = await _bare(arena, seconds, rate)
            sample = await _measure(arena, count, seconds, turn, bare)
            samples[count].append(sample)
            for text in rows(count, [sample]):
                say(text)
    if rounds > 1:
        say(f"\nmedians of {rounds} rounds\n{HEAD}")
        for count, found in samples.items():
            for text in rows(count, found):
                say(text)
    return samples


HEAD = f"{'':22}{'sessions':>9}{'p50 ms':>8}{'p99 ms':>8}{'p50 : B':>9}{'p99 : B':>9}"


def rows(count: int, samples: Sequence[ControlSample]) -> list[str]:
    """The lines of the table under `HEAD`: medians of these samples, beside those of the baseline."""
    lines = []
    base50, base99 = middle(samples, BARE)
    for name in (BARE, *EXCHANGES):
        p50, p99 = middle(samples, name)
        lines.append(f"{name:22}{count:>9}{p50 * 1e3:>8.2f}{p99 * 1e3:>8.2f}{p50 / base50:>8.2f}x{p99 / base99:>8.2f}x")
    lines.append(
        f"  {sum(sample.exchanges for sample in samples)} exchanges, "
        f"{sum(sample.unanswered for sample in samples)} unanswered; {cost(samples) * 1e3:.2f} ms of CPU each: "
        f"{', '.join(f'{kind} {spent * 1e3:.2f}' for kind, spent in cost_by_kind(samples).items())}; "
        f"foreign {max(sample.usage.foreign for sample in samples):.0%}"
    )
    return lines


def middle(samples: Sequence[ControlSample], name: str) -> tuple[float, float]:
    """Medians of p50 and of p99, in seconds."""
    return median(sample.latency[name][0] for sample in samples), median(sample.latency[name][1] for sample in samples)


def cost(samples: Sequence[ControlSample]) -> float:
    """CPU seconds of all processes for one exchange."""
    return median(sample.usage.subject / sample.exchanges for sample in samples)


def cost_by_kind(samples: Sequence[ControlSample]) -> dict[str, float]:
    """The same by kind of process."""
    return {
        kind: median(sample.usage.by_kind[kind] / sample.exchanges for sample in samples)
        for kind in samples[0].usage.by_kind
    }


async def _measure(arena: Arena, count: int, seconds: float, turn: float, bare: tuple[float, float]) -> ControlSample:
    """Cycles on ``count`` lines for ``seconds``: one after the other on a single one, a turn's time apart on many."""
    took: dict[str, list[float]] = defaultdict(list)
    async with arena.generator.open(count, arena.stack.gateway_url, settings()) as lines, without_collections():
        unanswered = 0
        meter = Meter(processes_of(arena.stack))
        end = clock() + seconds

        async def converse(number: int, line: Line) -> None:
            nonlocal unanswered
            exchanges = Exchanges(line, marked(settings(), line))
            due = clock() + number * turn / count
            pause, hold = (PAUSE, _HOLD_ALONE) if count == 1 else (turn / 8, _HOLD)
            while due < end:
                await asyncio.sleep(due - clock())
                try:
                    for name, value in (await exchanges.cycle(pause, hold)).items():
                        took[name].append(value)
                except TimeoutError:
                    unanswered += 1
                    return
                due = clock() if count == 1 else due + turn

        async with asyncio.TaskGroup() as group:
            for number, line in enumerate(lines):
                group.create_task(converse(number, line))
        usage = meter.read()
    latency = {BARE: bare}
    for name in EXCHANGES:
        ascending = sorted(took[name])
        latency[name] = percentile(ascending, 0.5), percentile(ascending, 0.99)
    return ControlSample(latency, sum(map(len, took.values())), unanswered, usage)


async def _bare(arena: Arena, seconds: float, rate: float) -> tuple[float, float]:
    """Baseline B on the same broker, both its processes on the cores under test."""
    with arena.cores.under_test():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.baselines.round_trip", arena.stack.redis_url, str(seconds), str(rate)),
            stdout=asyncio.subprocess.PIPE,
        )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"baseline B ended with exit code {process.returncode}")
    found = orjson.loads(output)
    return found["p50"], found["p99"]
