"""Checks of sessions whose connection to the upstream is cut, or whose gateway is killed, in the middle of a reply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from turngate.cli.demo.check_result import CheckResult, check_result_of
from turngate.cli.demo.observations import DemoRun, replies
from turngate.cli.demo.script import OPENING, Scenario, Step
from turngate.cli.demo.selection import received, steps_of, where
from turngate.cli.reply_tracker import is_assistant


def continuity_checks(script: Iterable[Scenario]) -> Iterator[Callable[[DemoRun], CheckResult]]:
    """The checks that this script needs."""
    steps = [step for scenario in script for step in scenario.steps]
    if any(step.cut for step in steps):
        yield went_on
    if any(step.kill for step in steps):
        yield went_on_elsewhere
    if any(step.cut or step.kill for step in steps):
        yield remembered


def went_on(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario, step in steps_of(demo_run):
            if step.cut:
                yield from _not_continued(demo_run, scenario, step)
                if received(demo_run, scenario, step, "Welcome"):
                    yield f"{where(scenario, step)}: the client lost its own connection"

    return check_result_of(
        "the connection to the upstream was lost in the middle of a sentence: one continued reply", problems()
    )


def went_on_elsewhere(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario, step in steps_of(demo_run):
            if step.kill:
                yield from _not_continued(demo_run, scenario, step)
                welcomes = [one.message.get("resumed") for one in received(demo_run, scenario, step, "Welcome")]
                if welcomes != [True]:
                    yield f"{where(scenario, step)}: Welcome with resumed {welcomes}"

    return check_result_of(
        "the gateway was killed in the middle of a sentence: the reply went on at another gateway", problems()
    )


def remembered(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario in demo_run.script:
            if scenario.cut:
                yield from _forgotten(demo_run, scenario)
                yield from _greeted_again(demo_run, scenario)

    return check_result_of("after that, the conversation was remembered, and nobody was greeted again", problems())


def _not_continued(demo_run: DemoRun, scenario: Scenario, step: Step) -> Iterator[str]:
    """What is wrong with a reply that was cut off and should have gone on. That there is one, other checks say."""
    seen = demo_run.select(scenario, step)
    place = next((place for place, one in enumerate(seen) if one.source == "fault"), None)
    if place is None:
        yield f"{where(scenario, step)}: nothing was cut"
        return
    for moment, part in (("before", seen[:place]), ("after", seen[place:])):
        if not any(one.source == "heard" for one in part):
            yield f"{where(scenario, step)}: no audio {moment} it was cut"
    if scenario.name in demo_run.records:
        said = sum(len(reply.text.split()) for reply in replies(seen))
        if said != step.words:
            yield f"{where(scenario, step)}: {said} words instead of {step.words}"


def _forgotten(demo_run: DemoRun, scenario: Scenario) -> Iterator[str]:
    for step in scenario.steps:
        text = " ".join(reply.text for reply in replies(demo_run.select(scenario, step)))
        for word in step.mentions:
            if word.lower() not in text.lower():
                yield f"{where(scenario, step)}: no {word!r} in {text!r}"


def _greeted_again(demo_run: DemoRun, scenario: Scenario) -> Iterator[str]:
    greeting = scenario.opening["agent"].get("greeting")
    for one in demo_run.select(scenario):
        if greeting and one.step != OPENING and is_assistant(one.message) and greeting in one.message["content"]:
            yield f"{scenario.name}, {one.step}: the greeting again"
