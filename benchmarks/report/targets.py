"""The performance targets of the project, compared with the measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.environment import RELAY, RESAMPLED, SAME_RATE
from benchmarks.load.exchange import EXCHANGES, FUNCTION, SETTINGS, TEXT
from benchmarks.parts import audio, control, flood, servers, workers
from benchmarks.parts.peers import PLAIN
from benchmarks.peers.start import LITELLM_PLAIN
from benchmarks.percentiles import median
from benchmarks.report import obstacles
from benchmarks.run import Results

#: The numbers of sessions to which the targets apply.
_SESSIONS, _MANY = 50, 200
#: The exchanges that use two streams, like baseline B.
_TWO_STREAMS = (SETTINGS, TEXT, FUNCTION)


@dataclass(frozen=True)
class Target:
    """One target. ``measured`` is None if the run did not measure it. ``at_least``: the goal is a minimum."""

    name: str
    goal: float
    measured: float | None
    unit: str
    at_least: bool = False
    #: The explanation, if the target is missed.
    obstacle: str = ""

    @property
    def hit(self) -> bool | None:
        if self.measured is None or math.isnan(self.measured):
            return None
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal

    def row(self) -> str:
        """The row of the table: name, measurement, goal, hit or miss."""
        sign = "≥" if self.at_least else "≤"
        shown = "not measured" if self.hit is None else f"{self.measured:.3g}{self.unit}"
        result = {True: "hit", False: "**miss**", None: "not measured"}[self.hit]
        return f"| {self.name} | {shown} | {sign} {self.goal:g}{self.unit} | {result} |"


def targets(results: Results) -> list[Target]:
    """All targets, in the order of the parts."""
    one_translator, two_translators = (_throughput(results, count) for count in (1, 2))
    idle, continuity = results.idle, results.continuity
    return [
        *(
            Target(
                f"CPU for a pair of frames, 16 kHz, {count} sessions",
                0.6,
                _cost_ratio(results.audio, RESAMPLED, RELAY, count),
                " × A",
                obstacle=obstacles.cost(results, count),
            )
            for count in (_SESSIONS, _MANY)
        ),
        *(
            Target(
                f"CPU for a pair of frames, 16 kHz, in bursts, {count} sessions",
                0.7,
                _cost_ratio(results.bursts, RESAMPLED, RELAY, count),
                " × A",
                obstacle=obstacles.burst(results, count),
            )
            for count in (_SESSIONS, _MANY)
        ),
        Target(
            f"latency of a frame, p99, 16 kHz, {_MANY} sessions",
            0.2,
            _slow(results, RESAMPLED, _MANY),
            " × A",
            obstacle=obstacles.slow(results, _MANY),
        ),
        Target(
            f"latency of a frame, p99, 16 kHz, {_SESSIONS} sessions", 1.5, _slow(results, RESAMPLED, _SESSIONS), " × A"
        ),
        Target(
            f"latency of a frame, p99, 24 kHz, {_SESSIONS} sessions", 1.5, _slow(results, SAME_RATE, _SESSIONS), " × A"
        ),
        Target(
            "sessions per core, p99 within 20 ms, 16 kHz",
            330,
            _capacity(results, RESAMPLED),
            "",
            at_least=True,
            obstacle=obstacles.capacity(results, RESAMPLED, _MANY),
        ),
        Target(
            "sessions per core, p99 within 20 ms, 24 kHz",
            200,
            _capacity(results, SAME_RATE),
            "",
            at_least=True,
            obstacle=obstacles.capacity(results, SAME_RATE, _MANY),
        ),
        Target(
            "a gateway's memory per silent session",
            100,
            idle.memory["gateway"] / 1024 if idle is not None else None,
            " KB",
            obstacle=obstacles.silent_memory(results),
        ),
        Target(
            "a gateway's memory per session that has talked",
            150,
            results.memory.talked["gateway"] / 1024 if results.memory is not None else None,
            " KB",
            obstacle=obstacles.memory(results),
        ),
        Target(
            f"CPU for a pair of frames against LiteLLM's proxy, plain upstream, {_SESSIONS} sessions",
            0.4,
            _cost_ratio(results.peers.audio, PLAIN, LITELLM_PLAIN, _SESSIONS) if results.peers is not None else None,
            " ×",
            obstacle=obstacles.litellm(results, _SESSIONS),
        ),
        Target(
            f"control, p99 of the slowest exchange with audio in {_MANY} sessions, against silent ones",
            2,
            _talking(results),
            " ×",
            obstacle=obstacles.talking(results, _MANY),
        ),
        Target(
            "control, idle, p50 of the slowest two-stream exchange",
            2.5,
            _control(results, 0),
            " × B",
            obstacle=obstacles.waking(results),
        ),
        Target("control, idle, p99 of the slowest two-stream exchange", 3.0, _control(results, 1), " × B"),
        Target(
            "control messages per second, two translators against one",
            1.7,
            two_translators / one_translator if one_translator and two_translators else None,
            " ×",
            at_least=True,
        ),
        Target(
            "control messages per second, two Redis servers against one, each with the same share of a core",
            1.8,
            servers.ratio(results.servers),
            " ×",
            at_least=True,
        ),
        Target(
            "sessions with two gateway workers against one, each on a core of its own, p99 within 20 ms, 16 kHz",
            1.8,
            workers.ratio(results.workers),
            " ×",
            at_least=True,
        ),
        Target(
            "p99 of a frame while another client floods (KeepAlive, texts of 1 MB), against without it",
            1.5,
            flood.worst(results.floods),
            " ×",
            obstacle=obstacles.FLOODED,
        ),
        Target(
            f"CPU of {idle.sessions if idle else 1_000:,} silent sessions, all processes",
            5,
            idle.cpu * 100 if idle is not None else None,
            " %",
            obstacle=obstacles.idle(results),
        ),
        Target(
            "silence heard at a loss in a reply, against dial + restore",
            1.5,
            continuity.heard_ratio if continuity is not None else None,
            " ×",
            obstacle=obstacles.THINKING,
        ),
        Target(
            "pause at a loss in a reply, against dial + restore + a reply's first audio",
            1.5,
            continuity.pause_ratio if continuity is not None else None,
            " ×",
        ),
        Target(
            "silence heard in a reply, with roll-overs",
            0,
            continuity.silences[1] * 1e3 if continuity is not None and continuity.roll_overs else None,
            " ms",
        ),
    ]


def _cost_ratio(samples: audio.Samples, ours: str, others: str, sessions: int) -> float | None:
    own, least = (audio.cost(samples.get((name, sessions), [])) for name in (ours, others))
    return own / least if own is not None and least else None


def _slow(results: Results, name: str, sessions: int) -> float | None:
    ours, baseline = results.audio.get((name, sessions)), results.audio.get((RELAY, sessions))
    return audio.latency(ours, "p99") / audio.latency(baseline, "p99") if ours and baseline else None


def _talking(results: Results) -> float | None:
    silent, talking = results.control.get(_MANY), results.talking.get(_MANY)
    return max(control.ratio(silent, talking, name, 1) for name in EXCHANGES) if silent and talking else None


def _capacity(results: Results, name: str) -> float | None:
    return float(results.capacities[name].sessions) if name in results.capacities else None


def _control(results: Results, which: int) -> float | None:
    samples = results.control.get(1)
    if not samples:
        return None
    slowest = max(control.middle(samples, name)[which] for name in _TWO_STREAMS)
    return slowest / control.middle(samples, control.BARE)[which]


def _throughput(results: Results, count: int) -> float | None:
    samples = results.translators.get(count)
    return median(sample.per_second for sample in samples) if samples else None
