"""The performance targets of the project, compared with the measurements."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.environment import RELAY, RESAMPLED, SAME_RATE
from benchmarks.load.exchange import FUNCTION, SETTINGS, TEXT
from benchmarks.parts import audio, control, flood
from benchmarks.percentiles import median
from benchmarks.run import Results

#: The number of sessions to which the targets of the audio part apply.
_SESSIONS = 50
#: The exchanges that use two streams, like baseline B.
_TWO_STREAMS = (SETTINGS, TEXT, FUNCTION)

#: Explanations of missed targets, from profiles (py-spy) of a gateway and a translator on the machine of the report.
_KERNEL = (
    "At this load the gateway wakes up for nearly every frame. 60 % of its CPU time is the kernel's `send`, which "
    "sends 1.5 times as many bytes as A and wakes up the receiver on the other core; 9 % is waiting for events; 14 % "
    "is resampling, which takes 17 µs per frame with cold caches, as here, and 7 µs in a loop. With more sessions "
    "there are several frames per wake-up, and the ratio is below 1."
)
_WAKING = (
    "On an idle machine the number of processes to wake up on the one core determines the time, since each starts with "
    "cold caches; B itself takes several times as long as in a loop. A request wakes up the gateway, Redis, a "
    "translator, Redis, the gateway and the upstream; B wakes up four. More than half of a translator's CPU time is "
    "the event loop and its system calls, a fifth is the kernel's `send`, and less than a tenth is the translation."
)
_THINKING = (
    "The rest of the reply is another response, and the silence contains the upstream's time to its first audio, which "
    "dial + restore does not: 250 ms in the simulator. The next row has it on both sides."
)


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
        Target(
            f"CPU for a pair of frames, 16 kHz, {_SESSIONS} sessions",
            1.0,
            _cost_ratio(results),
            " × A",
            obstacle=_KERNEL,
        ),
        Target(f"latency of a frame, p99, 16 kHz, {_SESSIONS} sessions", 1.5, _slow_reply(results, RESAMPLED), " × A"),
        Target(f"latency of a frame, p99, 24 kHz, {_SESSIONS} sessions", 1.5, _slow_reply(results, SAME_RATE), " × A"),
        Target("sessions per core, p99 within 20 ms, 16 kHz", 200, _capacity(results, RESAMPLED), "", at_least=True),
        Target("sessions per core, p99 within 20 ms, 24 kHz", 200, _capacity(results, SAME_RATE), "", at_least=True),
        Target(
            "a gateway's memory per silent session",
            100,
            idle.memory["gateway"] / 1024 if idle is not None else None,
            " KB",
        ),
        Target(
            "control, idle, p50 of the slowest two-stream exchange",
            2.5,
            _control(results, 0),
            " × B",
            obstacle=_WAKING,
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
            "p99 of a frame while another client floods (KeepAlive, texts of 1 MB), against without it",
            1.5,
            flood.worst(results.floods),
            " ×",
        ),
        Target(
            f"CPU of {idle.sessions if idle else 1_000:,} silent sessions, all processes",
            5,
            idle.cpu * 100 if idle is not None else None,
            " %",
        ),
        Target(
            "silence heard at a loss in a reply, against dial + restore",
            1.5,
            continuity.heard_ratio if continuity is not None else None,
            " ×",
            obstacle=_THINKING,
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


def _cost_ratio(results: Results) -> float | None:
    ours = audio.cost(results.audio.get((RESAMPLED, _SESSIONS), []))
    baseline = audio.cost(results.audio.get((RELAY, _SESSIONS), []))
    return ours / baseline if ours is not None and baseline else None


def _slow_reply(results: Results, name: str) -> float | None:
    ours, baseline = results.audio.get((name, _SESSIONS)), results.audio.get((RELAY, _SESSIONS))
    return audio.latency(ours, "p99") / audio.latency(baseline, "p99") if ours and baseline else None


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
