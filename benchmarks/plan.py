"""The parameters of a run: parts, rounds, durations and numbers of sessions, for the report and for a smoke test."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

PARTS = (
    *("audio", "bursts", "knee", "control", "restart", "flood", "translators", "servers", "workers"),
    *("idle", "memory", "continuity", "startup"),
)
#: Parts that run only if asked for.
PEERS, TRACES = "peers", "traces"
EVERY_PART = (*PARTS, PEERS, TRACES)


@dataclass(frozen=True)
class Plan:
    """The parameters of a run. Times are in seconds."""

    parts: Sequence[str] = PARTS
    rounds: int = 3
    audio_sessions: Sequence[int] = (1, 20, 50, 100, 200)
    audio_seconds: float = 2.5
    burst_sessions: Sequence[int] = (50, 200)
    burst_seconds: float = 3.0
    peer_sessions: Sequence[int] = (50, 200)
    peer_seconds: float = 2.5
    #: The candidate numbers of sessions for the capacity part.
    capacity_sessions: Sequence[int] = tuple(range(30, 451, 30))
    capacity_seconds: float = 1.5
    control_sessions: Sequence[int] = (1, 200)
    control_seconds: float = 9.0
    #: With many sessions: time between two exchanges of one kind in a session.
    control_turn: float = 8.0
    #: The signals by name: a regular stop, as in a deployment, and a crash.
    restarts: Mapping[str, signal.Signals] = field(
        default_factory=lambda: {"restarted (SIGTERM)": signal.SIGTERM, "crashed (SIGKILL)": signal.SIGKILL}
    )
    restart_around: float = 3.0
    flood_seconds: float = 4.0
    translators: Sequence[int] = (1, 2, 4)
    translators_seconds: float = 4.0
    servers_seconds: float = 4.0
    #: The candidate numbers of sessions for each worker.
    workers_sessions: Sequence[int] = tuple(range(40, 401, 20))
    traces_sessions: int = 50
    traces_seconds: float = 8.0
    idle_sessions: int = 1_000
    #: Covers a ping interval, which is 20 s.
    idle_seconds: float = 20.0
    memory_sessions: int = 100
    memory_seconds: float = 5.0
    #: Whether the idle part and the memory part use new processes, without which memory values are meaningless.
    new_processes: bool = True
    #: In a round: connections lost while idle, and as many in a reply; turns of each session that talks.
    continuity_losses: int = 5
    continuity_turns: int = 7
    #: How long a session talks with roll-overs, and without; sessions that are parked.
    continuity_seconds: float = 20.0
    continuity_parked: int = 200
    #: Whether to build an image and measure its size.
    image: bool = True


#: A smoke test of every part, in less than a minute. Its figures are meaningless.
SMOKE = Plan(
    parts=EVERY_PART,
    rounds=1,
    audio_sessions=(2,),
    audio_seconds=0.5,
    burst_sessions=(2,),
    burst_seconds=1.0,
    peer_sessions=(2,),
    peer_seconds=0.5,
    capacity_sessions=(1,),
    capacity_seconds=0.3,
    control_sessions=(1, 4),
    control_seconds=1.0,
    control_turn=0.8,
    restarts={"crashed (SIGKILL)": signal.SIGKILL},
    restart_around=0.6,
    flood_seconds=0.5,
    translators=(2,),
    translators_seconds=0.5,
    servers_seconds=0.5,
    workers_sessions=(1,),
    traces_sessions=4,
    traces_seconds=1.0,
    idle_sessions=20,
    idle_seconds=1.0,
    memory_sessions=4,
    memory_seconds=0.5,
    new_processes=False,
    continuity_losses=1,
    continuity_turns=1,
    continuity_seconds=1.0,
    continuity_parked=5,
    image=False,
)


def narrowed(plan: Plan, parts: Sequence[str] | None, sessions: Sequence[int] | None, seconds: float | None) -> Plan:
    """The plan restricted to these parts, with these numbers of sessions and this duration where they apply."""
    if parts is not None:
        plan = replace(plan, parts=tuple(part for part in EVERY_PART if part in parts))
    if sessions is not None:
        plan = replace(
            plan,
            audio_sessions=sessions,
            control_sessions=sessions,
            idle_sessions=max(sessions),
            memory_sessions=max(sessions),
        )
        plan = replace(plan, capacity_sessions=sorted(sessions), burst_sessions=sessions, peer_sessions=sessions)
        plan = replace(plan, workers_sessions=sorted(sessions))
    if seconds is not None:
        plan = replace(plan, audio_seconds=seconds, capacity_seconds=seconds, control_seconds=seconds)
        plan = replace(
            plan, translators_seconds=seconds, servers_seconds=seconds, idle_seconds=seconds, burst_seconds=seconds
        )
        plan = replace(plan, peer_seconds=seconds)
    return plan
