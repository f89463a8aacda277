"""The control part: the time from a client's request to the upstream, with one and with many sessions."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from benchmarks.baselines.round_trip import PAUSE
from benchmarks.environment import Environment, processes_of, settings
from benchmarks.load.exchange import EXCHANGES, Exchanges
from benchmarks.load.generator import marked, without_collections
from benchmarks.load.session import LoadSession, clock
from benchmarks.percentiles import median, percentile
from benchmarks.usage import Meter, Usage

#: Duration of the response during which configuration is requested, in seconds, with one and with many sessions.
_HOLD_ALONE, _HOLD = 0.05, 0.3

BARE = "bare round trip (B)"


@dataclass(frozen=True)
class ControlSample:
    """One round with one number of sessions."""

    #: p50 and p99 in seconds, by exchange, including the baseline.
    latency: dict[str, tuple[float, float]]
    exchanges: int
    #: Number of sessions that timed out.
    unanswered: int
    usage: Usage


#: The samples of all rounds, by number of sessions.
Samples = dict[int, list[ControlSample]]


async def run(
    environment: Environment,
    counts: Sequence[int],
    rounds: int,
    seconds: float,
    turn: float,
    say: Callable[[str], None],
) -> Samples:
    """Run the part. With many sessions, each does every exchange once per ``turn`` seconds."""
    samples: Samples = {count: [] for count in counts}
    say(HEAD)
    for _ in range(rounds):
        for count in counts:
            rate = 0 if count == 1 else count * len(EXCHANGES) / turn
            bare = await _bare(environment, seconds, rate)
            sample = await measure(environment, count, seconds, turn, bare)
            samples[count].append(sample)
            for text in rows(count, [sample]):
                say(text)
    if rounds > 1:
        say(f"\nmedians of {rounds} rounds\n{HEAD}")
        for count, found in samples.items():
            for text in rows(count, found):
                say(text)
    return samples


HEAD = f"{'':22}{'sessions':>9}{'p50 ms':>8}{'p99 ms':>8}{'p50 / B':>9}{'p99 / B':>9}"


def rows(count: int, samples: Sequence[ControlSample]) -> list[str]:
    """The rows of the table under `HEAD`: medians of these samples, and their ratios to the baseline."""
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
    """The medians of p50 and of p99, in seconds."""
    return median(sample.latency[name][0] for sample in samples), median(sample.latency[name][1] for sample in samples)


def cost(samples: Sequence[ControlSample]) -> float:
    """The CPU seconds of all processes per exchange."""
    return median(sample.usage.subject / sample.exchanges for sample in samples)


def cost_by_kind(samples: Sequence[ControlSample]) -> dict[str, float]:
    """The CPU seconds per exchange, by kind of process."""
    return {
        kind: median(sample.usage.by_kind[kind] / sample.exchanges for sample in samples)
        for kind in samples[0].usage.by_kind
    }


async def measure(
    environment: Environment, count: int, seconds: float, turn: float, bare: tuple[float, float]
) -> ControlSample:
    """Run exchanges in ``count`` sessions for ``seconds``: without a break in a single one, once per turn in many."""
    took: dict[str, list[float]] = defaultdict(list)
    async with (
        environment.generator.open(count, environment.stack.gateway_url, settings()) as load_sessions,
        without_collections(),
    ):
        unanswered = 0
        meter = Meter(processes_of(environment.stack))
        end = clock() + seconds

        async def converse(number: int, session: LoadSession) -> None:
            nonlocal unanswered
            exchanges = Exchanges(session, marked(settings(), session))
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
            for number, session in enumerate(load_sessions):
                group.create_task(converse(number, session))
        usage = meter.read()
    latency = {BARE: bare}
    for name in EXCHANGES:
        ascending = sorted(took[name])
        latency[name] = percentile(ascending, 0.5), percentile(ascending, 0.99)
    return ControlSample(latency, sum(map(len, took.values())), unanswered, usage)


async def _bare(environment: Environment, seconds: float, rate: float) -> tuple[float, float]:
    """Measure baseline B on the same broker, with its processes on the cores under test."""
    with environment.cores.under_test():
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "benchmarks.baselines.round_trip",
                environment.stack.redis_url,
                str(seconds),
                str(rate),
            ),
            stdout=asyncio.subprocess.PIPE,
        )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"baseline B ended with exit code {process.returncode}")
    found = orjson.loads(output)
    return found["p50"], found["p99"]
