"""The audio part: measures every subject at every number of sessions, interleaved, for several rounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from benchmarks.environment import RELAY, Environment
from benchmarks.parts.frame_latency import PERCENTILES, AudioSample, measure
from benchmarks.percentiles import median

#: The samples of all rounds, by subject and number of sessions.
Samples = dict[tuple[str, int], list[AudioSample]]


async def run(
    environment: Environment, counts: Sequence[int], rounds: int, seconds: float, say: Callable[[str], None]
) -> Samples:
    """Run the part. ``say`` is called with a line for every measurement."""
    samples: Samples = defaultdict(list)
    say(HEAD)
    for _ in range(rounds):
        for count in counts:
            for subject in environment.subjects:
                sample = await measure(environment.generator, subject, count, seconds)
                samples[subject.name, count].append(sample)
                say(table_row(subject.name, count, [sample]))
    if rounds > 1:
        say(f"\nmedians of {rounds} rounds\n{HEAD}")
        for (name, count), rows in samples.items():
            say(table_row(name, count, rows, samples.get((RELAY, count))))
    return samples


HEAD = (
    f"{'':18}{'sessions':>9}{'p50 ms':>8}{'p99 ms':>8}{'p99.9':>8}{'µs/pair':>9}{'lost':>6}"
    f"{'late p99':>10}{'gen. CPU':>10}{'foreign':>9}{'p99 / A':>9}{'µs / A':>8}"
)


def table_row(
    subject: str, count: int, rows: Sequence[AudioSample], baseline: Sequence[AudioSample] | None = None
) -> str:
    """A row of the table under `HEAD`: medians of these samples, and their ratios to the baseline."""
    text = f"{subject:18}{count:>9}"
    text += "".join(f"{latency(rows, name) * 1e3:>8.2f}" for name in PERCENTILES)
    spent = cost(rows)
    text += f"{'':>9}" if spent is None else f"{spent * 1e6:>9.1f}"
    text += f"{sum(row.lost for row in rows):>6}{median(row.lateness[1] for row in rows) * 1e3:>10.2f}"
    text += f"{median(row.usage.generator_share for row in rows):>10.0%}{max(row.usage.foreign for row in rows):>9.0%}"
    if baseline and spent is not None and (least := cost(baseline)):
        text += f"{latency(rows, 'p99') / latency(baseline, 'p99'):>8.2f}x{spent / least:>7.2f}x"
    return text


def latency(rows: Sequence[AudioSample], name: str) -> float:
    """The median of a percentile (``p50``, ``p99``, ``p99.9``), in seconds."""
    return median(row.latency[name] for row in rows)


def cost(rows: Sequence[AudioSample]) -> float | None:
    """The median CPU seconds per pair of frames; None if there is no process between the ends."""
    known = [row.cpu_per_pair for row in rows if row.cpu_per_pair is not None]
    return median(known) if known else None
