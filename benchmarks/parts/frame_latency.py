"""Measures the latency of audio frames and the CPU time per pair of frames, with real-time audio in both directions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from picows import WSMsgType

from benchmarks.environment import Subject
from benchmarks.load.frames import BURST, BURST_SECONDS, UPSTREAM_RATE, appended, noise
from benchmarks.load.generator import Generator, without_collections
from benchmarks.load.pacing import Pacer, Send
from benchmarks.load.session import LoadSession, clock
from benchmarks.percentiles import percentile
from benchmarks.usage import Meter, Usage

#: Seconds of audio before the measurement, at most as long as the measurement itself.
_WARM_UP = 1.0
#: Seconds without any frame after which the missing ones count as lost.
_STILLNESS = 2.0
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


@dataclass(frozen=True)
class AudioSample:
    """One measurement of one subject. Latencies are one-way, in seconds, of both directions together."""

    #: The percentiles p50, p99 and p99.9, by name.
    latency: dict[str, float]
    #: The same of the agent's audio alone, which may come in bursts: of a delta.
    down: dict[str, float]
    #: CPU seconds of all processes of the subject per 20 ms of audio that arrive in each direction; None if it has no
    #: process.
    cpu_per_pair: float | None
    lost: int
    #: The generator's lateness: p50 and p99.
    lateness: tuple[float, float]
    usage: Usage


async def measure(
    generator: Generator, subject: Subject, sessions: int, seconds: float, *, bursts: bool = False
) -> AudioSample:
    """Open ``sessions`` sessions and measure for ``seconds``. Raises TimeoutError if they do not become ready."""
    async with generator.open(sessions, subject.url, subject.settings) as load_sessions, without_collections():
        return await measure_sessions(load_sessions, subject, seconds, bursts=bursts)


async def measure_sessions(
    load_sessions: Sequence[LoadSession], subject: Subject, seconds: float, *, bursts: bool = False
) -> AudioSample:
    """Send audio from both ends of every session, and measure for ``seconds`` after a warm-up. ``bursts``: the agent's
    audio comes in bursts, and otherwise a frame every 20 ms."""
    pacers = in_bursts(load_sessions, subject) if bursts else steadily(load_sessions, subject)
    for pacer in pacers:
        pacer.start()
    try:
        await asyncio.sleep(min(_WARM_UP, seconds))
        _forget(load_sessions, pacers)
        meter = Meter(subject.processes)
        await asyncio.sleep(seconds)
        usage = meter.read()
        # What a server does not carry in time has not cost it anything yet.
        pairs = sum(session.up.frames + session.down.frames for session in load_sessions) / 2
    finally:
        for pacer in pacers:
            pacer.stop()
    lost = await drained(load_sessions)
    if ended := sum(session.client is None or session.upstream is None for session in load_sessions):
        raise RuntimeError(f"{subject.name}: {ended} of {len(load_sessions)} sessions ended by themselves")
    for session in load_sessions if subject.rate is not None else ():
        session.end_reply()
    down = [value for session in load_sessions for value in session.down.latencies]
    up = [value for session in load_sessions for value in session.up.latencies]
    late = sorted(value for pacer in pacers for value in pacer.lateness)
    return AudioSample(
        latency=_percentiles(up + down),
        down=_percentiles(down),
        cpu_per_pair=usage.subject / pairs if subject.processes and pairs else None,
        lost=lost,
        lateness=(percentile(late, 0.5), percentile(late, 0.99)),
        usage=usage,
    )


def steadily(load_sessions: Sequence[LoadSession], subject: Subject) -> list[Pacer]:
    """What sends a frame of both ends of every session every 20 ms."""
    uploads = [upload(session, subject.rate, realtime=subject.realtime) for session in load_sessions]
    downloads = [download(session, subject.rate) for session in load_sessions]
    # The two directions of a session are half a frame apart, and the load of both is spread evenly.
    half = len(load_sessions) // 2
    return [Pacer([send for pair in zip(uploads, downloads[half:] + downloads[:half], strict=True) for send in pair])]


def in_bursts(load_sessions: Sequence[LoadSession], subject: Subject) -> list[Pacer]:
    """What sends a client's frame every 20 ms, and as much of the agent's audio in bursts."""
    return [
        Pacer([upload(session, subject.rate, realtime=subject.realtime) for session in load_sessions]),
        Pacer([burst(session, subject.rate) for session in load_sessions], BURST_SECONDS),
    ]


def upload(session: LoadSession, rate: int | None, *, realtime: bool = False) -> Send:
    """A function that sends a frame of the client's audio. ``realtime``: as an event of the upstream's protocol."""
    assert session.client is not None
    send, note = session.client.send, session.up.send
    kind, frame = WSMsgType.BINARY, noise(16_000 if rate is None else rate)
    if realtime:
        kind, frame = WSMsgType.TEXT, appended()

    def upload() -> None:
        note(clock())
        send(kind, frame)

    return upload


def download(session: LoadSession, rate: int | None) -> Send:
    """A function that sends a frame of the agent's audio."""
    assert session.upstream is not None
    send, note = session.upstream.send, session.down.send
    kind, frame = (WSMsgType.BINARY, noise(UPSTREAM_RATE)) if rate is None else (WSMsgType.TEXT, session.begin_reply())

    def download() -> None:
        note(clock())
        send(kind, frame)

    return download


def burst(session: LoadSession, rate: int | None) -> Send:
    """A function that sends a burst of the agent's audio."""
    assert session.upstream is not None
    send, note = session.upstream.send, session.down.send
    if rate is None:
        kind, deltas = WSMsgType.BINARY, [noise(UPSTREAM_RATE) * frames for frames in BURST]
    else:
        session.begin_reply()
        kind, deltas = WSMsgType.TEXT, session.burst()

    def burst() -> None:
        for frames, delta in zip(BURST, deltas, strict=True):
            note(clock(), frames)
            send(kind, delta)

    return burst


def _percentiles(latencies: list[float]) -> dict[str, float]:
    latencies.sort()
    return {name: percentile(latencies, share) for name, share in PERCENTILES.items()}


def _forget(load_sessions: Sequence[LoadSession], pacers: Sequence[Pacer]) -> None:
    for session in load_sessions:
        session.up.forget()
        session.down.forget()
    for pacer in pacers:
        pacer.lateness.clear()


async def drained(load_sessions: Sequence[LoadSession]) -> int:
    """Wait for the frames in flight while any of them arrives; returns the number of lost frames."""
    missing, progress = -1, clock()
    while clock() < progress + _STILLNESS:
        left = sum(session.up.missing + session.down.missing for session in load_sessions)
        if not left:
            return 0
        if left != missing:
            missing, progress = left, clock()
        await asyncio.sleep(0.02)
    return missing
