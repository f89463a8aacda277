"""The control part: the time from a client's request to the upstream, with one and with many sessions, silent and with
audio in all of them."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson

from benchmarks.baselines.round_trip import PAUSE
from benchmarks.environment import Environment, processes_of, settings
from benchmarks.load.audio_source import AudioSource
from benchmarks.load.exchange import EXCHANGES, Exchanges
from benchmarks.load.frames import FRAME_SECONDS
from benchmarks.load.generator import marked, without_collections
from benchmarks.load.pacing import Pacer
from benchmarks.load.session import LoadSession, clock
from benchmarks.parts.frame_latency import drained
from benchmarks.percentiles import median, percentile
from benchmarks.usage import Meter, Usage

#: Duration of the response during which configuration is requested, in seconds, with one and with many sessions.
_HOLD_ALONE, _HOLD = 0.05, 0.3
#: With audio: the pause between two exchanges, and the duration of each of the two responses, as shares of a turn. The
#: agent speaks for most of it.
_PAUSE_TALKING, _HOLD_TALKING = 0.05, 0.4
#: The clients' sample rate, in Hz.
RATE = 16_000

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
    #: The time in which the agent's audio ran, as a share of the measurement, in the mean of the sessions.
    spoken: float = 0.0


#: The samples of all rounds, by number of sessions.
Samples = dict[int, list[ControlSample]]


async def run(
    environment: Environment,
    counts: Sequence[int],
    rounds: int,
    seconds: float,
    turn: float,
    say: Callable[[str], None],
) -> tuple[Samples, Samples]:
    """Run the part. With many sessions, each does every exchange once per ``turn`` seconds, silent and then with
    audio in all of them. Returns the samples of both."""
    samples: Samples = {count: [] for count in counts}
    talking: Samples = {count: [] for count in counts if count > 1}
    say(HEAD)
    for _ in range(rounds):
        for count in counts:
            rate = 0 if count == 1 else count * len(EXCHANGES) / turn
            bare = await _bare(environment, seconds, rate)
            sample = await measure(environment, count, seconds, turn, bare)
            samples[count].append(sample)
            for text in rows(count, [sample]):
                say(text)
            if count in talking:
                loaded = await measure(environment, count, seconds, turn, bare, talking=True)
                talking[count].append(loaded)
                for text in talking_rows([sample], [loaded]):
                    say(text)
    if rounds > 1:
        say(f"\nmedians of {rounds} rounds\n{HEAD}")
        for count, found in samples.items():
            for text in rows(count, found) + talking_rows(found, talking.get(count, [])):
                say(text)
    return samples, talking


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


def talking_rows(silent: Sequence[ControlSample], talking: Sequence[ControlSample]) -> list[str]:
    """The result with audio as text, with ratios to that without it in the same rounds."""
    if not talking:
        return []
    lines = []
    for name in EXCHANGES:
        p50, p99 = middle(talking, name)
        slower = [ratio(silent, talking, name, which) for which in (0, 1)]
        lines.append(
            f"  with audio: {name:19}{p50 * 1e3:>8.2f}{p99 * 1e3:>8.2f}{slower[0]:>8.2f}x{slower[1]:>8.2f}x silent"
        )
    generator = median(sample.usage.generator_share for sample in talking)
    spoken = median(sample.spoken for sample in talking)
    unanswered = sum(sample.unanswered for sample in talking)
    lines.append(
        f"  the agents speak {spoken:.0%} of the time; {unanswered} unanswered; generator {generator:.0%} of its core"
    )
    return lines


def ratio(silent: Sequence[ControlSample], talking: Sequence[ControlSample], name: str, which: int) -> float:
    """A percentile (0: p50, 1: p99) with audio, against that without: the median of the ratios within a round."""
    return median(
        loaded.latency[name][which] / quiet.latency[name][which] for quiet, loaded in zip(silent, talking, strict=True)
    )


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
    environment: Environment,
    count: int,
    seconds: float,
    turn: float,
    bare: tuple[float, float],
    *,
    talking: bool = False,
) -> ControlSample:
    """Run exchanges in ``count`` sessions for ``seconds``: without a break in a single one, once per turn in many.
    ``talking``: with audio in all of them, of the user always, and of the agent except between replies."""
    took: dict[str, list[float]] = defaultdict(list)
    own = settings(RATE)
    async with (
        environment.generator.open(count, environment.stack.gateway_url, own) as load_sessions,
        without_collections(),
    ):
        unanswered = 0
        all_exchanges = [Exchanges(session, marked(own, session)) for session in load_sessions]
        pacer = _talk(load_sessions, all_exchanges) if talking else None
        meter = Meter(processes_of(environment.stack))
        end = clock() + seconds

        async def converse(number: int, exchanges: Exchanges) -> None:
            nonlocal unanswered
            due = clock() + number * turn / count
            pause, hold = (PAUSE, _HOLD_ALONE) if count == 1 else (turn / 8, _HOLD)
            while due < end:
                await asyncio.sleep(due - clock())
                try:
                    if talking:
                        exchanges.end_reply()
                        await asyncio.sleep(turn * _PAUSE_TALKING)
                        found = await exchanges.cycle(turn * _PAUSE_TALKING, *[turn * _HOLD_TALKING] * 2)
                        exchanges.begin_reply()
                    else:
                        found = await exchanges.cycle(pause, hold)
                except TimeoutError:
                    unanswered += 1
                    return
                for name, value in found.items():
                    took[name].append(value)
                due = clock() if count == 1 else due + turn

        async with asyncio.TaskGroup() as group:
            for number, exchanges in enumerate(all_exchanges):
                group.create_task(converse(number, exchanges))
        usage = meter.read()
        if pacer is not None:
            pacer.stop()
            await drained(load_sessions)
        spoken = sum(session.down.sent for session in load_sessions) * FRAME_SECONDS / count / usage.seconds
    latency = {BARE: bare}
    for name in EXCHANGES:
        ascending = sorted(took[name])
        latency[name] = percentile(ascending, 0.5), percentile(ascending, 0.99)
    return ControlSample(latency, sum(map(len, took.values())), unanswered, usage, spoken)


def _talk(load_sessions: Sequence[LoadSession], exchanges: Sequence[Exchanges]) -> Pacer:
    """Start the audio of all sessions, with a reply in each."""
    sources = [AudioSource(session, own, RATE) for session, own in zip(load_sessions, exchanges, strict=True)]
    for own in exchanges:
        own.begin_reply()
    pacer = Pacer([send for source in sources for send in (source.upload, source.download)])
    pacer.start()
    return pacer


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
