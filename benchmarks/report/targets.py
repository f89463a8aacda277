"""What the project has set itself, beside what was measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.arena import RELAY, RESAMPLED, SAME_RATE
from benchmarks.load.exchange import FUNCTION, SETTINGS, TEXT
from benchmarks.parts import audio, control
from benchmarks.percentiles import median
from benchmarks.run import Results

#: The number of sessions for which the targets of the audio part are.
_SESSIONS = 50
#: What goes over two streams and back, as baseline B does.
_TWO_STREAMS = (SETTINGS, TEXT, FUNCTION)

#: From samples of the stacks of a gateway and of a translator at work (py-spy), on the machine of the page.
_KERNEL = (
    "At this load a gateway wakes for nearly every frame. Of its CPU 60 % is the kernel's `send`, which carries half "
    "as many bytes again as A's and wakes the receiver on the other core, 9 % is waiting for events, and 14 % is "
    "resampling: 7 µs a frame in a loop, 17 µs with the caches full of something else, as they are here. With more "
    "sessions there are several frames to each wake-up, and the ratio is below 1."
)
_WAKING = (
    "On an idle machine what counts is how many processes have to be woken on the one core, each with cold caches: B "
    "itself takes several times as long here as it does in a loop. A request wakes the gateway, Redis, a translator, "
    "Redis, the gateway and the upstream, where B wakes four. Of a translator's CPU more than half is the event loop "
    "and its system calls, a fifth the kernel's `send`; what it does with a request is less than a tenth."
)


@dataclass(frozen=True)
class Target:
    """``measured`` is None where the run did not measure it. ``at_least``: the goal is the least, not the most."""

    name: str
    goal: float
    measured: float | None
    unit: str
    at_least: bool = False
    #: What a profile shows to be in the way, where it is missed.
    obstacle: str = ""

    @property
    def hit(self) -> bool | None:
        if self.measured is None or math.isnan(self.measured):
            return None
        return self.measured >= self.goal if self.at_least else self.measured <= self.goal

    def row(self) -> str:
        """A line of the table: what, measured, goal, hit or miss."""
        sign = "≥" if self.at_least else "≤"
        shown = "not measured" if self.hit is None else f"{self.measured:.3g}{self.unit}"
        verdict = {True: "hit", False: "**miss**", None: "not measured"}[self.hit]
        return f"| {self.name} | {shown} | {sign} {self.goal:g}{self.unit} | {verdict} |"


def targets(results: Results) -> list[Target]:
    """All of them, in the order of the parts."""
    one_translator, two_translators = (_capacity(results, count) for count in (1, 2))
    idle = results.idle
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
        Target("sessions per core, p99 within 20 ms, 16 kHz", 200, _knee(results, RESAMPLED), "", at_least=True),
        Target("sessions per core, p99 within 20 ms, 24 kHz", 200, _knee(results, SAME_RATE), "", at_least=True),
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
            f"CPU of {idle.sessions if idle else 1_000:,} silent sessions, all processes",
            5,
            idle.cpu * 100 if idle is not None else None,
            " %",
        ),
    ]


def _cost_ratio(results: Results) -> float | None:
    ours = audio.cost(results.audio.get((RESAMPLED, _SESSIONS), []))
    baseline = audio.cost(results.audio.get((RELAY, _SESSIONS), []))
    return ours / baseline if ours is not None and baseline else None


def _slow_reply(results: Results, name: str) -> float | None:
    ours, baseline = results.audio.get((name, _SESSIONS)), results.audio.get((RELAY, _SESSIONS))
    return audio.latency(ours, "p99") / audio.latency(baseline, "p99") if ours and baseline else None


def _knee(results: Results, name: str) -> float | None:
    return float(results.knees[name].sessions) if name in results.knees else None


def _control(results: Results, which: int) -> float | None:
    samples = results.control.get(1)
    if not samples:
        return None
    slowest = max(control.middle(samples, name)[which] for name in _TWO_STREAMS)
    return slowest / control.middle(samples, control.BARE)[which]


def _capacity(results: Results, count: int) -> float | None:
    samples = results.translators.get(count)
    return median(sample.per_second for sample in samples) if samples else None
