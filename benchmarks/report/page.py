"""Generates docs/performance.md and its plots from one run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.load.frames import BURST, BURST_SECONDS, UPSTREAM_RATE, frame_bytes
from benchmarks.machine import Cores, description
from benchmarks.parts import control, flood, translators
from benchmarks.parts.capacity import LIMIT
from benchmarks.peers.start import LIMIT as LIMIT_RELAY
from benchmarks.peers.start import LITELLM, PICOWS
from benchmarks.percentiles import median
from benchmarks.report import headline, tables
from benchmarks.report.charts import charts
from benchmarks.report.targets import Target, targets
from benchmarks.run import Results

#: A run is noisy if the median of the CPU usage of other processes exceeds this share of a core.
_NOISY = 0.15


def write(results: Results, command: str, file: Path) -> None:
    """Write the page to this file, and its charts to ``images`` beside it. The results must contain every part but the
    peers."""
    images = file.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, svg in charts(results).items():
        (images / f"performance-{name}.svg").write_text(svg)
    file.write_text(page(results, command))


def page(results: Results, command: str) -> str:
    """The page, in Markdown."""
    plan, cores = results.plan, results.cores
    assert results.idle is not None
    assert results.memory is not None
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

![{headline.title(results)}](images/performance-headline.svg)

The bars are relative to a relay that does nothing but forward (A), at {headline.sessions(results)} sessions with audio
both ways, all on one core. Shorter is better.

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
shows the share of the two ends and the kernel. "µs per pair" is the CPU time of all processes under test (gateway,
translators as `turngate run` starts them, session-state and broker) for one frame in each direction.

{tables.audio_table(results.audio, plan.audio_sessions)}

![Latency](images/performance-latency.svg)

![CPU](images/performance-cost.svg)

The same in bursts: the user's audio as above, and as much of the agent's, but in {len(BURST)} deltas at once,
{min(BURST) * frame_bytes(UPSTREAM_RATE):,} to {max(BURST) * frame_bytes(UPSTREAM_RATE):,} bytes each, every \
{BURST_SECONDS:g} s. OpenAI sends several deltas at a time, faster than they are played; its sizes and times are not
documented. Latencies are those of a delta, and "µs per pair" is the CPU time for 20 ms of audio in each direction.

{tables.bursts_table(results.bursts, plan.burst_sessions)}

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

With audio in all sessions, at {control.RATE // 1000} kHz, from the users all the time and from the agents for
{_spoken(results)} of it, beside the silent sessions of the same round, all on one core:

{tables.talking_table(results.control, results.talking)}

## Translators

Client events are written to the stream and commands are read directly, without a gateway; 200 are always pending.
{_room(cores, results)}

{tables.translators_table(results.translators)}

{_ceiling(results)}

One of two translators is stopped while sessions repeat their `Settings`:

{tables.restart_table(results.restarts)}

## Other servers

{_peers(results)}

## A client that floods the gateway

{flood.SESSIONS} sessions send and receive audio at 16 kHz while one more client sends as much as it can. It is told,
and its session ends; it connects again at once.

{tables.flood_table(results.floods)}

## Idle sessions

{results.idle.sessions:,} configured sessions without any traffic except one ping each, for
{results.idle.usage.seconds:.0f} s, with both at the same time. turngate uses {results.idle.cpu:.2%} of a core in all,
A {results.idle.relay_cpu:.2%}.

{tables.idle_table(results.idle)}

The memory of {results.memory.sessions} sessions when they are configured; after {results.memory.seconds:g} s of
audio both ways; and after as much with the agent's audio in bursts, and each exchange of control once (A: audio alone):

{tables.memory_table(results.memory)}

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

`make bench` takes about 20 minutes; `make bench ROUNDS=1` is faster and less exact. `make bench PEERS=1` also measures
other servers, which takes longer. To run a single part and print its
results: `python -m benchmarks --only audio --sessions 50 --rounds 1`. `make soak` checks that thousands of sessions
leave nothing behind.
"""


def missed(goals: Sequence[Target]) -> str:
    """The missed targets, with explanations."""
    named = [f"- **{goal.name}**: {goal.obstacle or 'not analysed yet.'}" for goal in goals if goal.hit is False]
    return "\n".join(["The missed targets, and what is in the way:", "", *named] if named else [])


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


def _spoken(results: Results) -> str:
    return f"{median(sample.spoken for samples in results.talking.values() for sample in samples):.0%}"


def _peers(results: Results) -> str:
    if results.peers is None:
        return "They are measured by `make bench PEERS=1`, and were not in this run."
    missing = "\n".join(f"- {name}: {reason}" for name, reason in results.peers.missing.items())
    return f"""In rounds of their own, with A and turngate in the same rounds. Ratios are to A, whose upstream has TLS.

- *{PICOWS}*: A on the library of the gateway's sockets; it forwards frames and does nothing else.
- *{LITELLM}*: its clients speak the protocol of the upstream, at 24 kHz, so it converts nothing. One worker.
- *{LIMIT_RELAY}*: the limit of any server. It moves bytes and knows neither WebSocket nor TLS: its upstream is plain.
- *plain*: without TLS to the upstream.

{tables.peers_table(results.peers)}{f"{chr(10) * 2}Not measured:{chr(10) * 2}{missing}" if missing else ""}"""


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
