"""One measurement of audio both ways at the pace of life: how long a frame takes, and what a pair of frames costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from picows import WSMsgType

from benchmarks.arena import Subject
from benchmarks.load.frames import FRAME_SECONDS, UPSTREAM_RATE, noise
from benchmarks.load.generator import Generator, without_collections
from benchmarks.load.line import Line, clock
from benchmarks.load.pacing import Pacer, Send
from benchmarks.percentiles import percentile
from benchmarks.usage import Meter, Usage

#: Seconds of sound before what counts begins, or as many as are measured, if less.
_WARM_UP = 1.0
#: Seconds without a frame after which what is missing counts as lost.
_STILLNESS = 2.0
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True)
class AudioSample:
    """One run of one subject. Latencies in seconds, one way, both directions together."""

    #: By name: p50, p99, p99.9.
    latency: dict[str, float]
    #: CPU seconds of all its processes for one frame in each direction; None where there is no process.
    cpu_per_pair: float | None
    lost: int
    #: How late the generator sent: p50, p99.
    lateness: tuple[float, float]
    usage: Usage


async def measure(generator: Generator, subject: Subject, sessions: int, seconds: float) -> AudioSample:
    """Hold ``sessions`` conversations for ``seconds``. Raises TimeoutError when they do not come about."""
    async with generator.open(sessions, subject.url, subject.settings) as lines, without_collections():
        return await talk(lines, subject, seconds)


async def talk(lines: Sequence[Line], subject: Subject, seconds: float) -> AudioSample:
    """Both sides of every line talk for ``seconds``, which count after a moment."""
    uploads = [upload(line, subject.rate) for line in lines]
    downloads = [download(line, subject.rate) for line in lines]
    # Half a frame time lies between a line's two directions, and every moment has frames of both.
    half = len(lines) // 2
    pacer = Pacer([send for pair in zip(uploads, downloads[half:] + downloads[:half], strict=True) for send in pair])
    pacer.start()
    try:
        await asyncio.sleep(min(_WARM_UP, seconds))
        _forget(lines, pacer)
        meter = Meter(subject.processes)
        await asyncio.sleep(seconds)
        usage = meter.read()
    finally:
        pacer.stop()
    lost = await drained(lines)
    if ended := sum(line.client is None or line.upstream is None for line in lines):
        raise RuntimeError(f"{subject.name}: {ended} of {len(lines)} sessions ended by themselves")
    for line in lines if subject.rate is not None else ():
        line.end_reply()
    latencies = sorted(value for line in lines for flow in (line.up, line.down) for value in flow.latencies)
    late = sorted(pacer.lateness)
    return AudioSample(
        latency={name: percentile(latencies, share) for name, share in PERCENTILES.items()},
        cpu_per_pair=usage.subject / (len(lines) * usage.seconds / FRAME_SECONDS) if subject.processes else None,
        lost=lost,
        lateness=(percentile(late, 0.5), percentile(late, 0.99)),
        usage=usage,
    )


def upload(line: Line, rate: int | None) -> Send:
    """What sends a frame of the client's."""
    assert line.client is not None
    send, note = line.client.send, line.up.send
    frame = noise(16_000 if rate is None else rate)

    def upload() -> None:
        note(clock())
        send(WSMsgType.BINARY, frame)

    return upload


def download(line: Line, rate: int | None) -> Send:
    """What sends a frame of the agent's."""
    assert line.upstream is not None
    send, note = line.upstream.send, line.down.send
    kind, frame = (WSMsgType.BINARY, noise(UPSTREAM_RATE)) if rate is None else (WSMsgType.TEXT, line.begin_reply())

    def download() -> None:
        note(clock())
        send(kind, frame)

    return download


def _forget(lines: Sequence[Line], pacer: Pacer) -> None:
    for line in lines:
        line.up.forget()
        line.down.forget()
    pacer.lateness.clear()


async def drained(lines: Sequence[Line]) -> int:
    """Wait for what is on its way, as long as some of it comes; returns how many frames never came."""
    missing, progress = -1, clock()
    while clock() < progress + _STILLNESS:
        left = sum(line.up.missing + line.down.missing for line in lines)
        if not left:
            return 0
        if left != missing:
            missing, progress = left, clock()
        await asyncio.sleep(0.02)
    return missing
