"""What may go wrong where the connection to the upstream is cut, or a gateway killed, in the middle of a reply.

By name: what the check expects that detects it, and the fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.unit.turngate.cli.demo.correct_run import SCRIPT, Fault, changed, is_, with_message, without
from turngate.cli.demo.observations import DemoRun, Observation

_LOST, _KILLED = SCRIPT[2:]
_CUT_STEP, _KILL_STEP = _LOST.steps[0].name, _KILLED.steps[0].name
_ONE_REPLY, _ELSEWHERE, _REMEMBERED = "one continued reply", "at another gateway", "the conversation was remembered"


def of(step: str, source: str) -> Callable[[Observation], bool]:
    return lambda one: (one.step, one.source) == (step, source)


def fault_at(step: str, *, late: bool) -> Fault:
    """Nothing of the reply is heard before the fault; or, if ``late``, it comes when the reply has ended."""

    def moved(demo_run: DemoRun) -> DemoRun:
        seen = list(demo_run.observations)
        fault = next(one for one in seen if of(step, "fault")(one))
        in_step = [place for place, one in enumerate(seen) if one.step == step and one is not fault]
        seen.remove(fault)
        seen.insert(in_step[-1] if late else in_step[0], fault)
        return replace(demo_run, observations=tuple(seen))

    return moved


def welcomed(step: str) -> Fault:
    def added(demo_run: DemoRun) -> DemoRun:
        seen = list(demo_run.observations)
        place = next(place for place, one in enumerate(seen) if of(step, "fault")(one))
        seen.insert(place + 1, replace(seen[place], source="received", message={"type": "Welcome", "resumed": True}))
        return replace(demo_run, observations=tuple(seen))

    return added


def said(step: str, text: str, scenario: str = "") -> Fault:
    """The last words of this step are others."""

    def words(one: Observation) -> bool:
        return is_("ConversationText", step, role="assistant")(one) and scenario in ("", one.scenario)

    return lambda good: changed(good, words, with_message(content=text))


def _in_the_reply(step: str, expectation: str) -> dict[str, tuple[str, Fault]]:
    return {
        f"{step}: it was not": (expectation, lambda good: without(good, of(step, "fault"))),
        f"{step}: before the reply": (expectation, fault_at(step, late=False)),
        f"{step}: after the reply": (expectation, fault_at(step, late=True)),
        f"{step}: the rest is not said": (expectation, said(step, "word")),
        f"{step}: said from the beginning": (expectation, said(step, " ".join(["word"] * 60))),
    }


CONTINUITY_FAULTS: dict[str, tuple[str, Fault]] = {
    **_in_the_reply(_CUT_STEP, _ONE_REPLY),
    **_in_the_reply(_KILL_STEP, _ELSEWHERE),
    "the client was cut off too": (_ONE_REPLY, welcomed(_CUT_STEP)),
    "the client was not cut off": (_ELSEWHERE, lambda good: without(good, is_("Welcome", _KILL_STEP))),
    "welcomed twice": (_ELSEWHERE, welcomed(_KILL_STEP)),
    "another conversation": (
        _ELSEWHERE,
        lambda good: changed(good, is_("Welcome", _KILL_STEP), with_message(resumed=False)),
    ),
    "forgotten after a lost connection": (_REMEMBERED, said("after it", "Who are you?", _LOST.name)),
    "forgotten at another gateway": (_REMEMBERED, said("after it", "Who are you?", _KILLED.name)),
    "greeted again": (_REMEMBERED, said(_KILL_STEP, f"{_KILLED.opening['agent']['greeting']} word")),
}
