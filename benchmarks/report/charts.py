"""The charts of docs/performance.md, from one run."""

from __future__ import annotations

from benchmarks.load.exchange import EXCHANGES
from benchmarks.parts import audio, control
from benchmarks.parts.capacity import LIMIT
from benchmarks.report import headline, plot, tables
from benchmarks.run import Results


def charts(results: Results) -> dict[str, str]:
    """The charts by name, as SVG."""
    counts = results.plan.audio_sessions
    places = [str(count) for count in counts]
    slow: dict[str, list[float | None]] = {
        name: [audio.latency(results.audio[name, count], "p99") * 1e3 for count in counts] for name in tables.SUBJECTS
    }
    cost = {
        name: [spent * 1e6 if (spent := audio.cost(results.audio[name, count])) else None for count in counts]
        for name in tables.CARRIERS
    }
    names = (control.BARE, *EXCHANGES)
    bars = {
        f"{percentile}, {count} session{'s' * (count > 1)}{kind}": [
            control.middle(found, name)[which] * 1e3 for name in names
        ]
        for samples, kind in ((results.control, ""), (results.talking, " with audio"))
        for count, found in samples.items()
        for which, percentile in enumerate(("p50", "p99"))
    }
    latency = "Latency of a frame (p99) by number of sessions; dashed: 20 ms"
    return {
        "headline": plot.compared(headline.title(results), headline.panels(results), headline.OURS),
        "latency": plot.lines(latency, "ms", places, slow, limit=LIMIT * 1e3, logarithmic=True),
        "cost": plot.lines("CPU time per frame in each direction, by number of sessions", "µs", places, cost),
        "control": plot.bars("Time from a request to the event at the upstream", "ms", names, bars),
    }
