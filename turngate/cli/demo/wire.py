"""What must have happened on the upstream wire, judged by the upstream's own record.

Client and upstream keep the same clock when they run on one machine, as they do here, up to `CLOCK_TOLERANCE_S`; a
record from another machine would need its clock compared first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from turngate.cli.demo.correlation import (
    CLOCK_TOLERANCE_S,
    acknowledged_at,
    active_at,
    carried_by,
    confirmed_by,
    is_request,
)
from turngate.cli.demo.observations import Observation, Performance, Record, instructions
from turngate.cli.demo.script import OPENING, Scene, prompt_of
from turngate.cli.demo.verdict import Verdict, judged
from turngate.cli.messages import Message

NO_RECORD = "no complete simulator record"

#: Judges one scene with its record, and yields what is wrong.
SceneCheck = Callable[[Performance, Scene, Record], Iterator[str]]


def clean_wire(performance: Performance, scene: Scene, record: Record) -> Iterator[str]:
    for entry in record.of_type("session.update", "response.create"):
        out_of_band = entry.event.get("response", {}).get("conversation") == "none"
        if entry.active_response is not None and not out_of_band:
            yield f"{entry.type} while {entry.active_response} was active"
    for violation in record.violations:
        yield f"the upstream counts a violation: {violation}"


def held_to_the_end(performance: Performance, scene: Scene, record: Record) -> Iterator[str]:
    for request in _requests(performance, scene):
        if request.step == OPENING:
            continue
        active = active_at(record, request.at)
        sent = carried_by(record, request)
        if active is None:
            yield f"no response was active when {request.type} was asked for, so there was nothing to wait for"
        elif sent is None:
            yield f"{request.type} was never sent"
        elif active.ended is None or sent.at < active.ended:
            yield f"{request.type} was sent before the end of {active.id}"


def acknowledged_when_true(performance: Performance, scene: Scene, record: Record) -> Iterator[str]:
    for request in _requests(performance, scene):
        confirmed = confirmed_by(record, request)
        acknowledged = acknowledged_at(performance, request)
        if confirmed is None:
            yield f"no session.updated contains {request.type}"
        elif acknowledged is not None and acknowledged < confirmed.at - CLOCK_TOLERANCE_S:
            yield f"{request.type} was acknowledged {confirmed.at - acknowledged:.3f} s too early"


def took_effect(performance: Performance, scene: Scene, record: Record) -> Iterator[str]:
    updated = record.of_type("session.updated")
    in_force = instructions(updated[-1]) if updated else ""
    for update in _in_force_at_the_end(scene):
        if prompt_of(update) not in in_force:
            yield f"the instructions at the end lack {prompt_of(update)!r}"


def responses_needed(performance: Performance, scene: Scene, record: Record) -> Iterator[str]:
    # A greeting is a response only where it is spoken.
    greetings = any(seen.source == "heard" and seen.step == OPENING for seen in performance.select(scene))
    needed = greetings + sum(2 if step.calls else 1 for step in scene.steps)
    statuses = [entry.event["response"]["status"] for entry in record.of_type("response.done")]
    if len(statuses) != needed:
        yield f"{len(statuses)} responses instead of {needed}"
    for status in statuses:
        if status != "completed":
            yield f"a response ended {status}"


_EXPECTATIONS: dict[str, SceneCheck] = {
    "nothing was sent into an active response": clean_wire,
    "what was asked for during a reply went out only after that response's done": held_to_the_end,
    "configuration was acknowledged only after the upstream's session.updated": acknowledged_when_true,
    "the second Settings and every UpdatePrompt were in force at the end": took_effect,
    "the upstream made one response per turn, and one more for each round of calls": responses_needed,
}


def _check(expectation: str, check: SceneCheck) -> Callable[[Performance], Verdict]:
    def verdict(performance: Performance) -> Verdict:
        if any(scene.name not in performance.records for scene in performance.script):
            return Verdict(expectation, unchecked=NO_RECORD)
        return judged(
            expectation,
            (
                f"{scene.name}: {problem}"
                for scene in performance.script
                for problem in check(performance, scene, performance.records[scene.name])
            ),
        )

    return verdict


WIRE_CHECKS = tuple(_check(expectation, check) for expectation, check in _EXPECTATIONS.items())


def _requests(performance: Performance, scene: Scene) -> list[Observation]:
    return [seen for seen in performance.select(scene) if is_request(seen)]


def _in_force_at_the_end(scene: Scene) -> list[Message]:
    """The last `Settings` and what was added to it since: an earlier prompt is replaced, not kept."""
    last = max(place for place, update in enumerate(scene.updates) if update["type"] == "Settings")
    return list(scene.updates[last:])
