"""Which parts run, how often, how long and with how much: for the report, and for a smoke test of all of it."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

PARTS = ("audio", "knee", "control", "restart", "translators", "idle", "startup")


@dataclass(frozen=True)
class Plan:
    """Times in seconds."""

    parts: Sequence[str] = PARTS
    rounds: int = 3
    audio_sessions: Sequence[int] = (1, 20, 50, 100, 200)
    audio_seconds: float = 2.5
    #: Numbers of sessions to find the most among.
    knee_sessions: Sequence[int] = tuple(range(20, 401, 20))
    knee_seconds: float = 1.5
    control_sessions: Sequence[int] = (1, 200)
    control_seconds: float = 9.0
    #: From one request of a kind to the next of one among many sessions.
    control_turn: float = 8.0
    #: By name: orderly, as in a deployment, and as a crash.
    restarts: Mapping[str, signal.Signals] = field(
        default_factory=lambda: {"restarted (SIGTERM)": signal.SIGTERM, "crashed (SIGKILL)": signal.SIGKILL}
    )
    restart_around: float = 3.0
    translators: Sequence[int] = (1, 2, 4)
    translators_seconds: float = 4.0
    idle_sessions: int = 1_000
    #: Everybody pings every 20 s.
    idle_seconds: float = 20.0
    #: In new processes, without which memory means nothing.
    idle_alone: bool = True
    #: Only then is an image built.
    image: bool = True


#: Every part, in less than 40 s: that they work, not how fast.
SMOKE = Plan(
    rounds=1,
    audio_sessions=(2,),
    audio_seconds=0.5,
    knee_sessions=(1,),
    knee_seconds=0.3,
    control_sessions=(1, 4),
    control_seconds=1.0,
    control_turn=0.8,
    restarts={"crashed (SIGKILL)": signal.SIGKILL},
    restart_around=0.6,
    translators=(2,),
    translators_seconds=0.5,
    idle_sessions=20,
    idle_seconds=1.0,
    idle_alone=False,
    image=False,
)


def narrowed(plan: Plan, parts: Sequence[str] | None, sessions: Sequence[int] | None, seconds: float | None) -> Plan:
    """The plan for these parts alone, with these numbers of sessions and this duration where they mean something."""
    if parts is not None:
        plan = replace(plan, parts=tuple(part for part in PARTS if part in parts))
    if sessions is not None:
        plan = replace(plan, audio_sessions=sessions, control_sessions=sessions, idle_sessions=max(sessions))
        plan = replace(plan, knee_sessions=sorted(sessions))
    if seconds is not None:
        plan = replace(plan, audio_seconds=seconds, knee_seconds=seconds, control_seconds=seconds)
        plan = replace(plan, translators_seconds=seconds, idle_seconds=seconds)
    return plan
