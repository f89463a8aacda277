"""Runs the parts of a plan one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.environment import Environment, environment
from benchmarks.machine import Cores
from benchmarks.parts import (
    audio,
    bursts,
    capacity,
    continuity,
    control,
    flood,
    idle,
    memory,
    peers,
    restart,
    servers,
    startup,
    traces,
    translators,
    workers,
)
from benchmarks.parts.audio import Samples as AudioSamples
from benchmarks.parts.control import Samples as ControlSamples
from benchmarks.plan import PEERS, Plan

Say = Callable[[str], None]


@dataclass
class Results:
    """The measurements; a part that was not run is empty."""

    plan: Plan
    cores: Cores
    audio: AudioSamples = field(default_factory=dict)
    bursts: AudioSamples = field(default_factory=dict)
    peers: peers.PeersSample | None = None
    capacities: dict[str, capacity.Capacity] = field(default_factory=dict)
    control: ControlSamples = field(default_factory=dict)
    #: The same with audio in all sessions.
    talking: ControlSamples = field(default_factory=dict)
    restarts: dict[str, restart.RestartSample] = field(default_factory=dict)
    floods: flood.Samples = field(default_factory=dict)
    translators: translators.Samples = field(default_factory=dict)
    servers: servers.Samples = field(default_factory=dict)
    workers: workers.Samples = field(default_factory=dict)
    traces: traces.Samples = field(default_factory=dict)
    idle: idle.IdleSample | None = None
    memory: memory.MemorySample | None = None
    continuity: continuity.ContinuitySample | None = None
    startup: startup.StartUp | None = None
    image: str = "not measured"
    seconds: float = 0.0

    def failures(self) -> list[str]:
        """Failures that must not happen on any machine: lost frames and missing answers."""
        found = [
            f"{name}, {count} sessions: {sum(row.lost for row in rows)} frames lost"
            for (name, count), rows in (*self.audio.items(), *self.bursts.items())
            if any(row.lost for row in rows)
        ]
        found += [
            f"control, {count} sessions: {sum(sample.unanswered for sample in samples)} sessions without an answer"
            for count, samples in (*self.control.items(), *self.talking.items())
            if any(sample.unanswered for sample in samples)
        ]
        found += [f"{name}: {one.unanswered} unanswered" for name, one in self.restarts.items() if one.unanswered]
        return found


async def run(plan: Plan, cores: Cores, say: Say, begins: Callable[[int, str], None] = lambda _, __: None) -> Results:
    """Run the plan. ``say`` is called with a line for every measurement, and ``begins`` with the number of parts that
    are done and the name of the next one. A part that does not work raises."""
    began = time.monotonic()
    results = Results(plan, cores)
    wanted, parts = set(plan.parts), len(set(plan.parts))

    def begin(part: str) -> None:
        begins(parts - len(wanted), part)
        wanted.remove(part)
        say(f"\n{part}")

    for part in _IN_NEW_PROCESSES if plan.new_processes else ():
        if part in wanted:
            begin(part)
            async with environment(cores) as quiet:
                await _IN_ENVIRONMENT[part](quiet, results, say)
    if wanted - _ALONE:
        async with environment(cores) as busy:
            for part, measure in _IN_ENVIRONMENT.items():
                if part in wanted:
                    begin(part)
                    await measure(busy, results, say)
    if "continuity" in wanted:
        begin("continuity")
        results.continuity = await continuity.run(
            cores,
            plan.rounds,
            say,
            losses=plan.continuity_losses,
            turns=plan.continuity_turns,
            seconds=plan.continuity_seconds,
            parked=plan.continuity_parked,
        )
    if "startup" in wanted:
        begin("startup")
        results.startup = await startup.run(cores, plan.rounds, say)
        if plan.image:
            results.image = startup.image_size()
            say(f"image: {results.image}")
    results.seconds = time.monotonic() - began
    return results


async def _audio(on: Environment, results: Results, say: Say) -> None:
    plan = results.plan
    results.audio = await audio.run(on, plan.audio_sessions, plan.rounds, plan.audio_seconds, say)


async def _bursts(on: Environment, results: Results, say: Say) -> None:
    plan = results.plan
    results.bursts = await bursts.run(on, plan.burst_sessions, plan.rounds, plan.burst_seconds, say)


async def _capacity(on: Environment, results: Results, say: Say) -> None:
    results.capacities = await capacity.run(on, results.plan.capacity_sessions, results.plan.capacity_seconds, say)


async def _control(on: Environment, results: Results, say: Say) -> None:
    plan = results.plan
    results.control, results.talking = await control.run(
        on, plan.control_sessions, plan.rounds, plan.control_seconds, plan.control_turn, say
    )


async def _restart(on: Environment, results: Results, say: Say) -> None:
    results.restarts = await restart.run(on, results.plan.restarts, results.plan.restart_around, say)


async def _flood(on: Environment, results: Results, say: Say) -> None:
    results.floods = await flood.run(on, results.plan.rounds, results.plan.flood_seconds, say)


async def _translators(on: Environment, results: Results, say: Say) -> None:
    plan = results.plan
    results.translators = await translators.run(on, plan.translators, plan.rounds, plan.translators_seconds, say)


async def _servers(on: Environment, results: Results, say: Say) -> None:
    results.servers = await servers.run(on, results.plan.rounds, results.plan.servers_seconds, say)


async def _workers(on: Environment, results: Results, say: Say) -> None:
    results.workers = await workers.run(on, results.plan.workers_sessions, results.plan.capacity_seconds, say)


async def _traces(on: Environment, results: Results, say: Say) -> None:
    plan = results.plan
    results.traces = await traces.run(
        on, plan.traces_sessions, plan.rounds, plan.traces_seconds, plan.traces_seconds, say
    )


async def _idle(on: Environment, results: Results, say: Say) -> None:
    results.idle = await idle.run(on, results.plan.idle_sessions, results.plan.idle_seconds, say)


async def _memory(on: Environment, results: Results, say: Say) -> None:
    results.memory = await memory.run(on, results.plan.memory_sessions, results.plan.memory_seconds, say)


async def _peers(on: Environment, results: Results, say: Say) -> None:
    plan = results.plan
    results.peers = await peers.run(on, plan.peer_sessions, plan.rounds, plan.peer_seconds, say)


#: The parts that measure memory.
_IN_NEW_PROCESSES = ("idle", "memory")
#: The parts that start processes of their own.
_ALONE = {"continuity", "startup"}
#: The order matters: the translators part moves the translators to other cores.
_IN_ENVIRONMENT = {
    "idle": _idle,
    "memory": _memory,
    "audio": _audio,
    "bursts": _bursts,
    PEERS: _peers,
    "knee": _capacity,
    "control": _control,
    "restart": _restart,
    "flood": _flood,
    "servers": _servers,
    "workers": _workers,
    "traces": _traces,
    "translators": _translators,
}
