"""The bursts part: audio as in the audio part, but the agent's comes in bursts, as OpenAI sends it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from benchmarks.environment import DIRECT, RELAY, Environment
from benchmarks.parts.audio import Samples, cost
from benchmarks.parts.frame_latency import AudioSample, measure
from benchmarks.percentiles import median


async def run(
    environment: Environment, counts: Sequence[int], rounds: int, seconds: float, say: Callable[[str], None]
) -> Samples:
    """Run the part. ``say`` is called with a line for every measurement."""
    samples: Samples = defaultdict(list)
    for _ in range(rounds):
        for count in counts:
            for subject in environment.subjects:
                if subject.name != DIRECT:
                    sample = await measure(environment.generator, subject, count, seconds, bursts=True)
                    samples[subject.name, count].append(sample)
                    say(summary(subject.name, count, [sample], samples[RELAY, count][-1:]))
    if rounds > 1:
        say(f"medians of {rounds} rounds")
        for (name, count), rows in samples.items():
            say(summary(name, count, rows, samples[RELAY, count]))
    return samples


def summary(subject: str, count: int, rows: Sequence[AudioSample], baseline: Sequence[AudioSample]) -> str:
    """The result as text for the terminal, with ratios to the baseline."""
    spent, least = cost(rows), cost(baseline)
    assert spent is not None
    assert least
    return (
        f"{subject}, {count} sessions: delta p50 {latency(rows, 'p50') * 1e3:.1f} ms,"
        f" p99 {latency(rows, 'p99') * 1e3:.1f} ms ({latency(rows, 'p99') / latency(baseline, 'p99'):.2f}x),"
        f" {spent * 1e6:.0f} µs per pair ({spent / least:.2f}x); {sum(row.lost for row in rows)} lost,"
        f" generator {median(row.usage.generator_share for row in rows):.0%} of its core,"
        f" foreign {max(row.usage.foreign for row in rows):.0%}"
    )


def latency(rows: Sequence[AudioSample], name: str) -> float:
    """The median of a percentile (``p50``, ``p99``, ``p99.9``) of a delta, in seconds."""
    return median(row.down[name] for row in rows)
