"""Generates docs/performance.md and its plots from one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.load.exchange import EXCHANGES
from benchmarks.machine import Cores, description
from benchmarks.parts import audio, control, flood, translators
from benchmarks.parts.capacity import LIMIT
from benchmarks.percentiles import median
from benchmarks.report import plot, tables
from benchmarks.report.targets import Target, targets
from benchmarks.run import Results

PAGE = Path("docs/performance.md")
_IMAGES = Path("docs/images")
#: A run is noisy if the median of the CPU usage of other processes exceeds this share of a core.
_NOISY = 0.15


def write(results: Results, command: str) -> None:
    """Write the page and its plots. The results must contain every part."""
    _IMAGES.mkdir(parents=True, exist_ok=True)
    for name, svg in plots(results).items():
        (_IMAGES / f"performance-{name}.svg").write_text(svg)
    PAGE.write_text(page(results, command))


def page(results: Results, command: str) -> str:
    """The page, in Markdown."""
    plan, cores = results.plan, results.cores
    assert results.idle is not None
    assert results.continuity is not None
    assert results.startup is not None
    about = {
        **description(),
        "command": f"`{command}`",
        "run": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {results.seconds / 60:.0f} minutes, "
        f"medians of {plan.rounds} interleaved rounds",
        "cores": _cores(cores),
        "other work": _noise(results),
    }
    start_up = median(results.startup.turngate), median(results.startup.relay)
    goals = targets(results)
    return f"""# Performance

Use this page to estimate how many sessions a machine carries, and to check a change with `make bench`, which
generates the page. Absolute times depend on the machine, so compare the ratios to two baselines of the same run:

- **A**, a relay on the same WebSocket library and event loop as the gateway, which only forwards frames: no JSON, no
  base64, no resampling, no turns. One process.
- **B**, a round trip between two processes over two Redis streams, with redis-py alone: XADD, XREADGROUP, XADD, XREAD.

{chr(10).join(f"- {name}: {value}" for name, value in about.items())}

## Targets

| | measured | target | |
|---|---:|---:|---|
{chr(10).join(goal.row() for goal in goals)}

{missed(goals)}

## Audio

Every session sends and receives frames of 20 ms in real time. Latencies are one-way, from the call that sends at one
end to the callback that receives at the other, of both directions together. *direct* has no process in between, and
shows the share of the two ends and the kernel. "µs per pair" is the CPU time of all processes under test (gateway, two
translators, session-state and broker) for one frame in each direction.

{tables.audio_table(results.audio, plan.audio_sessions)}

![Latency](images/performance-latency.svg)

![CPU](images/performance-cost.svg)

The largest number of sessions with p99 within {LIMIT * 1e3:.0f} ms, found by bisection between
{plan.capacity_sessions[0]} and {plan.capacity_sessions[-1]}; two of three tries must succeed:

{tables.capacity_table(results.capacities)}

The load generator must not be the bottleneck. It is one process on native callbacks, on a separate core:

{tables.generator_table(results.audio, plan.audio_sessions)}

**The same for A and turngate:** the library, the event loop, the core, the number and rate of frames, and their size
on the client's socket (640 bytes up in A and at 16 kHz, 960 at 24 kHz, 960 down), and TLS to the upstream, as every
real session has. **Different:** on the upstream's
socket A sends the same bytes; turngate sends them as base64 in JSON, as the API requires, which is 1.5 times as much,
and more at 16 kHz, since A does not resample.

## Control

The time from the client's message to the resulting event at the upstream: from `Settings` to `session.update`; from a
user message or a function result to `response.create`; and from the end of a response to the configuration that was
held until then. Each needs two WebSocket hops more than B, and *held configuration* also one more stream. With one
session there is a pause between exchanges, so that all processes are idle; with more, every session does each exchange
once per {plan.control_turn:.0f} s, and B has the same number of round trips per second.

{tables.control_table(results.control)}

![Control](images/performance-control.svg)

{tables.control_cost(results.control)}

## Translators

Client events are written to the stream and commands are read directly, without a gateway; 200 are always pending.
{_room(cores, results)}

{tables.translators_table(results.translators)}

{_ceiling(results)}

One of two translators is stopped while sessions repeat their `Settings`:

{tables.restart_table(results.restarts)}

## A client that floods the gateway

{flood.SESSIONS} sessions send and receive audio at 16 kHz while one more client sends as much as it can. It is told,
and its session ends; it connects again at once.

{tables.flood_table(results.floods)}

## Idle sessions

{results.idle.sessions:,} configured sessions without any traffic except one ping each, for
{results.idle.usage.seconds:.0f} s, with both at the same time. turngate uses {results.idle.cpu:.2%} of a core in all,
A {results.idle.relay_cpu:.2%}.

{tables.idle_table(results.idle)}

## Continuity

The connection to the model is lost: while nothing is due, at the beginning of a reply, and planned (a roll-over). A
first connection is the time from a client's first byte to the audio of its first reply,
{results.continuity.first * 1e3:.0f} ms. A later reply takes {results.continuity.wait * 1e3:.0f} ms to its first audio.
Less is heard than the pause, since audio arrives faster than it is played. The upstream is the simulator on this
machine; a real one adds its distance to both sides of the ratios.

{tables.silence_table(results.continuity)}

There were {results.continuity.roll_overs} roll-overs in a session that talks. Without them, the longest silence in a
reply of such a session was {results.continuity.silences[0] * 1e3:.0f} ms.

A session that can be resumed has a journal in Redis:

{tables.journal_table(results.continuity)}

{tables.parked_memory(results.continuity)}

## Start-up

- `turngate run`, from the command to a ready gateway, on all cores: {start_up[0]:.2f} s
- A, to its first connection: {start_up[1]:.2f} s (ratio {start_up[0] / start_up[1]:.1f})
- size of the image, built here: {results.image}

## Running it again

`make bench` takes about 15 minutes; `make bench ROUNDS=1` is faster and less exact. To run a single part and print its
results: `python -m benchmarks --only audio --sessions 50 --rounds 1`. `make soak` checks that thousands of sessions
leave nothing behind.
"""


def missed(goals: Sequence[Target]) -> str:
    """The missed targets, with explanations."""
    named = [f"- **{goal.name}**: {goal.obstacle or 'not analysed yet.'}" for goal in goals if goal.hit is False]
    return "\n".join(["The missed targets, explained by profiles:", "", *named] if named else [])


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
            "Latency of a frame (p99) by number of sessions; dashed: 20 ms",
            "ms",
            places,
            slow,
            plot.logarithmic(min(known), max(known)),
            LIMIT * 1e3,
        ),
        "cost": plot.lines(
            "CPU time per frame in each direction, by number of sessions",
            "µs",
            places,
            cost,
            plot.linear(most),
            float("nan"),
        ),
        "control": plot.bars(
            "Time from a request to the event at the upstream",
            "ms",
            names,
            bars,
            plot.logarithmic(min(lengths), max(lengths)),
        ),
    }


def _cores(cores: Cores) -> str:
    if cores.shared:
        return "one, shared by the processes under test and the generator, so the figures mean little"
    return (
        f"all processes under test on core {sorted(cores.test)}, the generator and its upstream on {sorted(cores.load)}"
    )


def _noise(results: Results) -> str:
    usages = [row.usage for rows in results.audio.values() for row in rows]
    usages += [sample.usage for samples in results.control.values() for sample in samples]
    shares = sorted(usage.foreign for usage in usages)
    text = f"other processes used {median(shares):.0%} of a core (median of the measurements), {shares[-1]:.0%} at most"
    return text + (": a noisy run" if median(shares) > _NOISY else "")


def _room(cores: Cores, results: Results) -> str:
    everything, load = sorted(cores.test | cores.load), sorted(cores.load)
    share = translators.share_of(results.translators)
    if share is None:
        return f"The translators run on cores {everything}, and broker and driver on {load}."
    return (
        f"Each translator is limited to {share:.0%} of a core, like a small machine, so that broker and driver,\n"
        f"which run on the same cores {everything}, always have enough. This shows how the work is divided,\n"
        f"not the capacity of this machine."
    )


def _ceiling(results: Results) -> str:
    """The theoretical throughput of these cores at full load. A single translator cannot use a whole core."""
    if translators.share_of(results.translators) is not None:
        return "The last two columns are CPU time per message."
    cost = min(
        median(sample.translator_cpu + sample.other_cpu for sample in samples)
        for samples in results.translators.values()
    )
    fewest = next(iter(results.translators.values()))
    cores = len(results.cores.test | results.cores.load)
    most = cores / cost
    return (
        f"The last two columns are CPU time per message. At {cost * 1e3:.2f} ms in all, {cores} full cores carry\n"
        f"{most:.0f} messages per second, {most / median(sample.per_second for sample in fewest):.2f} times the first "
        f"row, which is the limit for any number of translators here."
    )
