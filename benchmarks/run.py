"""A whole run: the parts of a plan, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.arena import Arena, arena
from benchmarks.machine import Cores
from benchmarks.parts import audio, control, idle, knee, restart, startup, translators
from benchmarks.plan import Plan

Say = Callable[[str], None]


@dataclass
class Results:
    """What was measured; what is empty was not."""

    plan: Plan
    cores: Cores
    audio: audio.Samples = field(default_factory=dict)
    knees: dict[str, knee.Knee] = field(default_factory=dict)
    control: control.Samples = field(default_factory=dict)
    restarts: dict[str, restart.RestartSample] = field(default_factory=dict)
    translators: translators.Samples = field(default_factory=dict)
    idle: idle.IdleSample | None = None
    startup: startup.StartUp | None = None
    image: str = "not measured"
    seconds: float = 0.0

    def failures(self) -> list[str]:
        """What must not happen in any run, however slow the machine."""
        found = [
            f"{name}, {count} sessions: {sum(row.lost for row in rows)} frames lost"
            for (name, count), rows in self.audio.items()
            if any(row.lost for row in rows)
        ]
        found += [
            f"control, {count} sessions: {sum(sample.unanswered for sample in samples)} sessions without an answer"
            for count, samples in self.control.items()
            if any(sample.unanswered for sample in samples)
        ]
        found += [f"{name}: {one.unanswered} unanswered" for name, one in self.restarts.items() if one.unanswered]
        return found


async def run(plan: Plan, cores: Cores, say: Say) -> Results:
    """Run the plan. ``say`` gets a line for every measurement. A part that does not work raises."""
    began = time.monotonic()
    results = Results(plan, cores)
    wanted = set(plan.parts)
    if "idle" in wanted and plan.idle_alone:
        async with arena(cores) as quiet:
            await _idle(quiet, results, say)
        wanted.remove("idle")
    if wanted - {"startup"}:
        async with arena(cores) as busy:
            for part, measure in _ON_ARENA.items():
                if part in wanted:
                    say(f"\n{part}")
                    await measure(busy, results, say)
    if "startup" in wanted:
        say("\nstart-up")
        results.startup = await startup.run(cores, plan.rounds, say)
        if plan.image:
            results.image = startup.image_size()
            say(f"image: {results.image}")
    results.seconds = time.monotonic() - began
    return results


async def _audio(on: Arena, results: Results, say: Say) -> None:
    plan = results.plan
    results.audio = await audio.run(on, plan.audio_sessions, plan.rounds, plan.audio_seconds, say)


async def _knee(on: Arena, results: Results, say: Say) -> None:
    results.knees = await knee.run(on, results.plan.knee_sessions, results.plan.knee_seconds, say)


async def _control(on: Arena, results: Results, say: Say) -> None:
    plan = results.plan
    results.control = await control.run(
        on, plan.control_sessions, plan.rounds, plan.control_seconds, plan.control_turn, say
    )


async def _restart(on: Arena, results: Results, say: Say) -> None:
    results.restarts = await restart.run(on, results.plan.restarts, results.plan.restart_around, say)


async def _translators(on: Arena, results: Results, say: Say) -> None:
    plan = results.plan
    results.translators = await translators.run(on, plan.translators, plan.rounds, plan.translators_seconds, say)


async def _idle(on: Arena, results: Results, say: Say) -> None:
    results.idle = await idle.run(on, results.plan.idle_sessions, results.plan.idle_seconds, say)


#: In this order: the last one leaves the translators on other cores.
_ON_ARENA = {
    "idle": _idle,
    "audio": _audio,
    "knee": _knee,
    "control": _control,
    "restart": _restart,
    "translators": _translators,
}
