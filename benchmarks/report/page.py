"""docs/performance.md and its plots, made of one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.load.exchange import EXCHANGES
from benchmarks.machine import Cores, description
from benchmarks.parts import audio, control, translators
from benchmarks.parts.knee import LIMIT
from benchmarks.percentiles import median
from benchmarks.report import plot, tables
from benchmarks.report.targets import Target, targets
from benchmarks.run import Results

PAGE = Path("docs/performance.md")
_IMAGES = Path("docs/images")
#: A run is called noisy when others used so much of a core during some measurement.
_NOISY = 0.15


def write(results: Results, command: str) -> None:
    """Write the page and its plots. The results are those of every part."""
    _IMAGES.mkdir(parents=True, exist_ok=True)
    for name, svg in plots(results).items():
        (_IMAGES / f"performance-{name}.svg").write_text(svg)
    PAGE.write_text(page(results, command))


def page(results: Results, command: str) -> str:
    """The page, in Markdown."""
    plan, cores = results.plan, results.cores
    assert results.idle is not None
    assert results.startup is not None
    about = {
        **description(),
        "command": f"`{command}`",
        "run": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {results.seconds / 60:.0f} minutes, "
        f"medians of {plan.rounds} rounds in which everything takes turns",
        "cores": _cores(cores),
        "other work": _noise(results),
    }
    start_up = median(results.startup.turngate), median(results.startup.relay)
    goals = targets(results)
    return f"""# Performance

This page is made by `make bench`, and by nothing else. Times depend on the machine, so what counts are the ratios to
two baselines of the same run:

- **A**, a relay on the same WebSocket library and event loop as the gateway, which only moves frames: no JSON, no
  base64, no resampling, no turns. One process.
- **B**, a round trip over two Redis streams between two processes, on redis-py alone: XADD, XREADGROUP, XADD, XREAD.

{chr(10).join(f"- {name}: {value}" for name, value in about.items())}

## Targets

| | measured | target | |
|---|---:|---:|---|
{chr(10).join(goal.row() for goal in goals)}

{missed(goals)}

## Audio

Every session sends and receives frames of 20 ms at the pace of life. Latencies are absolute, one way, from the call
that sends at one end to the callback that receives at the other, both directions together; *direct* has nothing in
between, and shows what the ends and the kernel contribute. "µs per pair" is the CPU time of all processes under test
(gateway, two translators, session-state and broker) for one frame in each direction.

{tables.audio_table(results.audio, plan.audio_sessions)}

![Latency](images/performance-latency.svg)

![CPU](images/performance-cost.svg)

The most sessions with p99 within {LIMIT * 1e3:.0f} ms, found by bisection among {plan.knee_sessions[0]} to
{plan.knee_sessions[-1]}, two of three tries:

{tables.knee_table(results.knees)}

The load generator must not be what is measured. It is one process on native callbacks, on a core of its own:

{tables.generator_table(results.audio, plan.audio_sessions)}

**Equal for A and turngate:** the library, the event loop, the core, the number of frames, their pace, and their size on
the client's socket (640 bytes up in A and at 16 kHz, 960 at 24 kHz, 960 down). **Not equal:** on the upstream's socket
A has the same bytes, turngate has them as base64 in JSON, as the API wants it, which is half as much again up and
down, and more at 16 kHz, where A does not resample either.

## Control

From the client's message to what it causes on the upstream's wire: `Settings` to `session.update`; text and a
function's result to `response.create`; and the end of a response to the configuration that was held because of it.
Each is two WebSocket hops more than B; *held configuration* is also one stream more. With one session the exchanges
follow each other with a pause, so that each finds everything idle; with more, every session has each exchange once per
{plan.control_turn:.0f} s, and B has as many round trips per second.

{tables.control_table(results.control)}

![Control](images/performance-control.svg)

{tables.control_cost(results.control)}

## Translators

Client events straight into the stream and commands straight out of it, past any gateway, always 200 under way.
{_room(cores, results)}

{tables.translators_table(results.translators)}

{_ceiling(results)}

One of two translators ends while sessions repeat their `Settings`:

{tables.restart_table(results.restarts)}

## Silence

{results.idle.sessions:,} sessions, configured and silent for {results.idle.usage.seconds:.0f} s (everybody pings
within that time), through both at the same time. turngate: {results.idle.cpu:.2%} of a core in all;
A: {results.idle.relay_cpu:.2%}.

{tables.idle_table(results.idle)}

## Start-up

- `turngate run`, from the command to a gateway that is ready, on all cores: {start_up[0]:.2f} s
- A, to its first connection: {start_up[1]:.2f} s (ratio {start_up[0] / start_up[1]:.1f})
- size of the image, built here: {results.image}

## Again

`make bench` (about 15 minutes); `make bench ROUNDS=1` is faster and rougher. Single parts, printed and not written:
`python -m benchmarks --only audio --sessions 50 --rounds 1`. `make soak` looks for what thousands of sessions leave
behind.
"""


def missed(goals: Sequence[Target]) -> str:
    """Each target that was missed, and why."""
    named = [f"- **{goal.name}**: {goal.obstacle or 'not looked into yet.'}" for goal in goals if goal.hit is False]
    return "\n".join(["What was missed, and what a profile shows to be in the way:", "", *named] if named else [])


def plots(results: Results) -> dict[str, str]:
    """The plots by name, as SVG."""
    counts = results.plan.audio_sessions
    places = [str(count) for count in counts]
    slow: dict[str, list[float | None]] = {
        name: [audio.latency(results.audio[name, count], "p99") * 1e3 for count in counts] for name in tables.SUBJECTS
    }
    known = [value for values in slow.values() for value in values if value]
    cost = {
        name: [spent * 1e6 if (spent := audio.cost(results.audio[name, count])) else None for count in counts]
        for name in tables.CARRIERS
    }
    most = max(value for values in cost.values() for value in values if value)
    names = (control.BARE, *EXCHANGES)
    bars = {
        f"{percentile}, {count} session{'s' * (count > 1)}": [
            control.middle(found, name)[which] * 1e3 for name in names
        ]
        for count, found in results.control.items()
        for which, percentile in enumerate(("p50", "p99"))
    }
    lengths = [value for values in bars.values() for value in values]
    return {
        "latency": plot.lines(
            "Latency of a frame, p99, by sessions; dashed: 20 ms",
            "ms",
            places,
            slow,
            plot.logarithmic(min(known), max(known)),
            LIMIT * 1e3,
        ),
        "cost": plot.lines(
            "CPU for a frame in each direction, by sessions", "µs", places, cost, plot.linear(most), float("nan")
        ),
        "control": plot.bars(
            "From a request to the upstream's wire", "ms", names, bars, plot.logarithmic(min(lengths), max(lengths))
        ),
    }


def _cores(cores: Cores) -> str:
    if cores.shared:
        return "one, shared by what is under test and the generator, so the figures mean little"
    return (
        f"all processes under test on core {sorted(cores.test)}, the generator and its upstream on {sorted(cores.load)}"
    )


def _noise(results: Results) -> str:
    usages = [row.usage for rows in results.audio.values() for row in rows]
    usages += [sample.usage for samples in results.control.values() for sample in samples]
    shares = sorted(usage.foreign for usage in usages)
    text = (
        f"other processes used {median(shares):.0%} of a core during half of the measurements, {shares[-1]:.0%} at most"
    )
    return text + (": a noisy run" if median(shares) > _NOISY else "")


def _room(cores: Cores, results: Results) -> str:
    everything, load = sorted(cores.test | cores.load), sorted(cores.load)
    share = translators.share_of(results.translators)
    if share is None:
        return f"The translators may use cores {everything}; broker and driver keep to {load}, and share it with them."
    return (
        f"Each translator may use {share:.0%} of a core and no more, as if it had a small machine of its own, so that\n"
        f"broker and driver, which are on the same cores {everything}, are never short of what they need. What this\n"
        f"shows is how the work divides, not how much this machine carries."
    )


def _ceiling(results: Results) -> str:
    """What these cores could carry, all of them full; one translator cannot fill one by itself, since it waits."""
    if translators.share_of(results.translators) is not None:
        return "The last two columns are CPU for one message."
    cost = min(
        median(sample.translator_cpu + sample.other_cpu for sample in samples)
        for samples in results.translators.values()
    )
    fewest = next(iter(results.translators.values()))
    cores = len(results.cores.test | results.cores.load)
    most = cores / cost
    return (
        f"The last two columns are CPU for one message. At {cost * 1e3:.2f} ms in all, {cores} full cores carry\n"
        f"{most:.0f} messages per second, {most / median(sample.per_second for sample in fewest):.2f} times the first "
        f"row: no number of translators can do more here."
    )
