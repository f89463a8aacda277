"""The audio part of the run: every subject at every number of sessions, taking turns, for some rounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from benchmarks.arena import RELAY, Arena
from benchmarks.parts.talk import PERCENTILES, AudioSample, measure
from benchmarks.percentiles import median

#: Samples of the rounds, by subject and number of sessions.
Samples = dict[tuple[str, int], list[AudioSample]]


async def run(arena: Arena, counts: Sequence[int], rounds: int, seconds: float, say: Callable[[str], None]) -> Samples:
    """Measure. ``say`` gets a line for every measurement."""
    samples: Samples = defaultdict(list)
    say(HEAD)
    for _ in range(rounds):
        for count in counts:
            for subject in arena.subjects:
                sample = await measure(arena.generator, subject, count, seconds)
                samples[subject.name, count].append(sample)
                say(line(subject.name, count, [sample]))
    if rounds > 1:
        say(f"\nmedians of {rounds} rounds\n{HEAD}")
        for (name, count), rows in samples.items():
            say(line(name, count, rows, samples.get((RELAY, count))))
    return samples


HEAD = (
    f"{'':18}{'sessions':>9}{'p50 ms':>8}{'p99 ms':>8}{'p99.9':>8}{'µs/pair':>9}{'lost':>6}"
    f"{'late p99':>10}{'gen. CPU':>10}{'foreign':>9}{'p99 : A':>9}{'µs : A':>8}"
)


def line(subject: str, count: int, rows: Sequence[AudioSample], baseline: Sequence[AudioSample] | None = None) -> str:
    """One line of the table under `HEAD`: medians of these samples, beside those of the baseline."""
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
    """Median of this percentile (``p50``, ``p99``, ``p99.9``), in seconds."""
    return median(row.latency[name] for row in rows)


def cost(rows: Sequence[AudioSample]) -> float | None:
    """Median CPU seconds for a pair of frames; None where no process is between the ends."""
    known = [row.cpu_per_pair for row in rows if row.cpu_per_pair is not None]
    return median(known) if known else None
