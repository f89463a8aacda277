"""What is in the way of a target that was missed. Every figure is one of the same run."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.environment import RELAY, RESAMPLED, SAME_RATE
from benchmarks.load.frames import BURST, FRAME_SECONDS, UPSTREAM_RATE, frame_bytes
from benchmarks.parts import audio, control
from benchmarks.parts.frame_latency import AudioSample
from benchmarks.parts.peers import PLAIN
from benchmarks.percentiles import median
from benchmarks.run import Results

WAKING = (
    "On an idle machine the number of processes to wake up on the one core determines the time, since each starts with "
    "cold caches. A request wakes up the gateway, Redis, a translator, Redis, the gateway and the upstream; B wakes up "
    "four."
)
FLOODED = (
    "What one client sends is handled in portions, between which the audio of the others is served. A frame waits for "
    "one portion, which is long beside the p99 without a flood: about half a millisecond on an idle core."
)
THINKING = (
    "The rest of the reply is another response, and the silence contains the upstream's time to its first audio, which "
    "dial + restore does not. The next row has it on both sides."
)


def cost(results: Results, sessions: int) -> str:
    """Of the CPU time for a pair of frames."""
    text = (
        "The gateway receives and sends as many messages as A, which forwards them as they are; it also reads and "
        "writes JSON and base64, a third more bytes to and from the upstream."
    )
    ours, theirs = (results.audio.get((name, sessions), []) for name in (RESAMPLED, RELAY))
    spent, unchanged = audio.cost(ours), audio.cost(results.audio.get((SAME_RATE, sessions), []))
    if not spent or not theirs:
        return text
    text += f" {_kernel(ours):.0%} of the CPU time is the kernel's (A: {_kernel(theirs):.0%})"
    if unchanged and unchanged < spent:
        text += f", and {1 - unchanged / spent:.0%} is what 16 kHz costs more than 24 kHz: resampling"
    return text + "."


def litellm(results: Results, sessions: int) -> str:
    """Of the CPU time against LiteLLM's proxy."""
    text = (
        "The proxy's clients speak the protocol of the upstream, so that it converts nothing. turngate converts the "
        "audio, and its other processes count too."
    )
    ours = results.peers.audio.get((PLAIN, sessions)) if results.peers is not None else None
    return f"{text} {_kernel(ours):.0%} of its CPU time is the kernel's." if ours else text


def burst(results: Results, sessions: int) -> str:
    """Of the CPU time in bursts."""
    largest = max(BURST) * frame_bytes(UPSTREAM_RATE) * 4 / 3 / 1_000
    text = (
        f"The user's audio still comes as a frame every {FRAME_SECONDS * 1e3:.0f} ms: only the agent's messages are "
        f"fewer. A delta, of up to {largest:.0f} KB as JSON, is decrypted, searched and decoded at a cost per byte; A "
        "gets a quarter less."
    )
    ours = results.bursts.get((RESAMPLED, sessions))
    return f"{text} {_kernel(ours):.0%} of the CPU time is the kernel's." if ours else text


def slow(results: Results, sessions: int) -> str:
    """Of the latency of a frame."""
    busy = {name: _busy(results, name, sessions) for name in (RESAMPLED, RELAY)}
    return (
        f"Latency grows without bound when a core is full. At {sessions} sessions turngate used {busy[RESAMPLED]:.0%} "
        f"of it, and A {busy[RELAY]:.0%}."
    )


def capacity(results: Results, name: str, sessions: int) -> str:
    """Of the sessions per core."""
    spent = audio.cost(results.audio.get((name, sessions), []))
    if not spent:
        return ""
    return (
        f"At {spent * 1e6:.0f} µs for a pair of frames, as measured with {sessions} sessions, "
        f"{FRAME_SECONDS / spent:.0f} sessions fill a core without any pause between frames."
    )


def talking(results: Results, sessions: int) -> str:
    """Of control while audio runs."""
    samples = results.talking.get(sessions)
    if not samples:
        return ""
    busy = median(sample.usage.subject / sample.usage.seconds for sample in samples)
    quiet = median(sample.usage.subject / sample.usage.seconds for sample in results.control[sessions])
    return (
        f"All processes share one core, which is {busy:.0%} busy with audio and {quiet:.0%} without. A request needs "
        "several of them one after the other, and each waits until the gateway has handled the audio before it."
    )


def waking(results: Results) -> str:
    """Of control with one session."""
    samples = results.control.get(1)
    if not samples:
        return WAKING
    kinds = control.cost_by_kind(samples)
    parts = ", ".join(f"{kind} {spent / sum(kinds.values()):.0%}" for kind, spent in kinds.items())
    return f"{WAKING} Of the CPU time of an exchange: {parts}."


def memory(results: Results) -> str:
    """Of the memory of a session that has talked."""
    if results.memory is None:
        return ""
    (silent, steady, talked), relay = (
        [sizes[kind] / 1024 for sizes in (results.memory.silent, results.memory.steady, results.memory.talked)]
        for kind in ("gateway", "relay")
    )
    return (
        f"It took {silent:.0f} KB before it talked, {steady:.0f} KB after audio in frames of 20 ms, and {talked:.0f} "
        f"KB after bursts, for which both connections need larger buffers. A, which has only its two connections, took "
        f"{relay[0]:.0f}, {relay[1]:.0f} and {relay[2]:.0f} KB."
    )


def silent_memory(results: Results) -> str:
    """Of the memory of a session that has not talked."""
    if results.idle is None:
        return ""
    return f"A, which has only its two connections, takes {results.idle.memory['relay'] / 1024:.0f} KB."


def idle(results: Results) -> str:
    """Of the CPU time of silent sessions."""
    if results.idle is None:
        return ""
    return (
        f"A, which answers and sends the same pings, takes {results.idle.relay_cpu:.2%} of a core. turngate also "
        "publishes a record of each session every ten seconds, from which its turn is known when its gateway is lost."
    )


def _kernel(rows: Sequence[AudioSample]) -> float:
    """The kernel's share of the CPU time."""
    return median(row.usage.kernel_share for row in rows)


def _busy(results: Results, name: str, sessions: int) -> float:
    """The share of a core that this subject used."""
    rows = results.audio.get((name, sessions), [])
    return median(row.usage.subject / row.usage.seconds for row in rows)
