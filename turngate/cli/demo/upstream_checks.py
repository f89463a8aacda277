"""Checks of the upstream's record.

They compare times of the client and the upstream, which must run on the same machine; their clocks may differ by
`CLOCK_TOLERANCE_S`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from turngate.cli.demo.check_result import CheckResult, check_result_of
from turngate.cli.demo.correlation import (
    CLOCK_TOLERANCE_S,
    acknowledged_at,
    active_at,
    confirmation_of,
    is_request,
    update_with,
)
from turngate.cli.demo.observations import DemoRun, Observation, UpstreamRecord, instructions
from turngate.cli.demo.script import OPENING, Scenario, prompt_of
from turngate.cli.messages import Message

NO_RECORD = "no complete simulator record"

#: Checks one scenario with its record, and yields the problems.
ScenarioCheck = Callable[[DemoRun, Scenario, UpstreamRecord], Iterator[str]]


def nothing_sent_during_a_response(demo_run: DemoRun, scenario: Scenario, record: UpstreamRecord) -> Iterator[str]:
    for entry in record.of_type("session.update", "response.create"):
        out_of_band = entry.event.get("response", {}).get("conversation") == "none"
        if entry.active_response is not None and not out_of_band:
            yield f"{entry.type} while {entry.active_response} was active"
    for violation in record.violations:
        yield f"the upstream counts a violation: {violation}"


def held_to_the_end(demo_run: DemoRun, scenario: Scenario, record: UpstreamRecord) -> Iterator[str]:
    for request in _requests(demo_run, scenario):
        if request.step == OPENING:
            continue
        active = active_at(record, request.at)
        sent = update_with(record, request)
        if active is None:
            yield f"no response was active when {request.type} was sent, so it was not held"
        elif sent is None:
            yield f"{request.type} was never sent"
        elif active.ended is None or sent.at < active.ended:
            yield f"{request.type} was sent before the end of {active.id}"


def acknowledged_after_confirmation(demo_run: DemoRun, scenario: Scenario, record: UpstreamRecord) -> Iterator[str]:
    for request in _requests(demo_run, scenario):
        confirmed = confirmation_of(record, request)
        acknowledged = acknowledged_at(demo_run, request)
        if confirmed is None:
            yield f"no session.updated contains {request.type}"
        elif acknowledged is not None and acknowledged < confirmed.at - CLOCK_TOLERANCE_S:
            yield f"{request.type} was acknowledged {confirmed.at - acknowledged:.3f} s too early"


def took_effect(demo_run: DemoRun, scenario: Scenario, record: UpstreamRecord) -> Iterator[str]:
    updated = record.of_type("session.updated")
    in_force = instructions(updated[-1]) if updated else ""
    for update in _effective_at_the_end(scenario):
        if prompt_of(update) not in in_force:
            yield f"the instructions at the end lack {prompt_of(update)!r}"


def number_of_responses(demo_run: DemoRun, scenario: Scenario, record: UpstreamRecord) -> Iterator[str]:
    # A greeting is a response only where it is spoken.
    greetings = any(seen.source == "heard" and seen.step == OPENING for seen in demo_run.select(scenario))
    needed = greetings + sum(2 if step.calls else 1 for step in scenario.steps)
    statuses = [entry.event["response"]["status"] for entry in record.of_type("response.done")]
    if len(statuses) != needed:
        yield f"{len(statuses)} responses instead of {needed}"
    for status in statuses:
        if status != "completed":
            yield f"a response ended {status}"


_EXPECTATIONS: dict[str, ScenarioCheck] = {
    "no update or response was requested during an active response": nothing_sent_during_a_response,
    "updates requested during a reply were sent only after its response.done": held_to_the_end,
    "configuration was acknowledged only after the upstream's session.updated": acknowledged_after_confirmation,
    "the second Settings and every UpdatePrompt were effective at the end": took_effect,
    "the upstream created one response per turn, and one more for each set of calls": number_of_responses,
}


def _check(expectation: str, check: ScenarioCheck) -> Callable[[DemoRun], CheckResult]:
    def check_result(demo_run: DemoRun) -> CheckResult:
        whole = [scenario for scenario in demo_run.script if not scenario.cut]
        if any(scenario.name not in demo_run.records for scenario in whole):
            return CheckResult(expectation, unchecked=NO_RECORD)
        return check_result_of(
            expectation,
            (
                f"{scenario.name}: {problem}"
                for scenario in whole
                for problem in check(demo_run, scenario, demo_run.records[scenario.name])
            ),
        )

    return check_result


UPSTREAM_CHECKS = tuple(_check(expectation, check) for expectation, check in _EXPECTATIONS.items())


def _requests(demo_run: DemoRun, scenario: Scenario) -> list[Observation]:
    return [seen for seen in demo_run.select(scenario) if is_request(seen)]


def _effective_at_the_end(scenario: Scenario) -> list[Message]:
    """The last `Settings` and the requests after it; `Settings` replace the earlier prompt."""
    last = max(place for place, update in enumerate(scenario.updates) if update["type"] == "Settings")
    return list(scenario.updates[last:])
