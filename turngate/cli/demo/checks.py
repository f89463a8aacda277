"""Checks of the client's observations. Each takes a `DemoRun` and returns a `CheckResult`; `run_checks` runs all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from turngate.cli.agent_session import describe_error
from turngate.cli.demo.check_result import CheckResult, check_result_of
from turngate.cli.demo.continuity_checks import continuity_checks
from turngate.cli.demo.observations import DemoRun, Reply, replies
from turngate.cli.demo.script import OPENING, Scenario, Step
from turngate.cli.demo.selection import received, steps_of, where
from turngate.cli.demo.upstream_checks import UPSTREAM_CHECKS
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS


def run_checks(demo_run: DemoRun) -> list[CheckResult]:
    """Run all checks: those of the client's observations, then those of the upstream's record."""
    checks = (*CLIENT_CHECKS, *continuity_checks(demo_run.script), *UPSTREAM_CHECKS)
    return [check(demo_run) for check in checks]


def settings_applied(demo_run: DemoRun) -> CheckResult:
    return _acknowledged_once(demo_run, "Settings")


def prompts_updated(demo_run: DemoRun) -> CheckResult:
    return _acknowledged_once(demo_run, "UpdatePrompt")


def one_reply_per_turn(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario, step in steps_of(demo_run):
            found = replies(demo_run.select(scenario, step))
            if len(found) != 1:
                yield f"{where(scenario, step)}: {len(found)} replies"
            elif found[0].ended is None:
                yield f"{where(scenario, step)}: the reply has no AgentAudioDone"

    return check_result_of("every turn of the user got exactly one reply", problems())


def replies_spoken(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario, step in steps_of(demo_run):
            for reply in replies(demo_run.select(scenario, step)):
                if not reply.audio_bytes:
                    yield f"{where(scenario, step)}: no audio"
                if not reply.text:
                    yield f"{where(scenario, step)}: no text"

    return check_result_of("every reply came as text and as audio", problems())


def functions_called(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario, step in steps_of(demo_run):
            expected = sorted(_call(call.name, json.dumps(call.arguments)) for call in step.calls)
            called = sorted(
                _call(call["name"], call["arguments"])
                for request in received(demo_run, scenario, step, "FunctionCallRequest")
                for call in request.message["functions"]
            )
            if called != expected:
                calls = f"{', '.join(called) or 'no call'} instead of {', '.join(expected) or 'none'}"
                yield f"{where(scenario, step)}: {calls}"

    return check_result_of("functions were called as requested, once each, with the right arguments", problems())


def reply_after_all_results(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario, step, reply in _replies_with_results(demo_run):
            given = [
                seen.at
                for seen in demo_run.select(scenario, step)
                if seen.source == "sent" and seen.type == "FunctionCallResponse"
            ]
            if len(given) < len(step.calls):
                yield f"{where(scenario, step)}: {len(given)} results for {len(step.calls)} calls"
            elif reply.began < max(given):
                early = max(given) - reply.began
                yield f"{where(scenario, step)}: the reply began {early:.2f} s before the last result"

    return check_result_of("a reply to function results began after the last of them", problems())


def results_mentioned(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario, step, reply in _replies_with_results(demo_run):
            for word in step.mentions:
                if word.lower() not in reply.text.lower():
                    yield f"{where(scenario, step)}: no {word!r} in {reply.text!r}"

    return check_result_of("replies to function results mention every result", problems())


def speech_heard(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario, step in steps_of(demo_run):
            if step.recording is None:
                continue
            starts = len(received(demo_run, scenario, step, "UserStartedSpeaking"))
            words = [
                seen
                for seen in received(demo_run, scenario, step, "ConversationText")
                if seen.message["role"] == "user"
            ]
            if starts != 1:
                yield f"{where(scenario, step)}: {starts} UserStartedSpeaking"
            if len(words) != 1:
                yield f"{where(scenario, step)}: {len(words)} ConversationText of the user"

    return check_result_of("speech was detected as one turn, and transcribed", problems())


def greeted(demo_run: DemoRun) -> CheckResult:
    def problems() -> Iterator[str]:
        for scenario in demo_run.script:
            if not scenario.greeted:
                continue
            found = replies(seen for seen in demo_run.select(scenario) if seen.step == OPENING)
            if len(found) != 1 or not found[0].text:
                yield f"{scenario.name}: {len(found)} greetings"

    return check_result_of("a greeting was said once", problems())


def no_errors(demo_run: DemoRun) -> CheckResult:
    return check_result_of(
        "the server reported no error",
        (
            f"{seen.scenario}, {seen.step}: {describe_error(seen.message)}"
            for seen in demo_run.observations
            if seen.source == "received" and seen.type == "Error"
        ),
    )


def waiting_was_visible(demo_run: DemoRun) -> CheckResult:
    expectation = "session-state showed the held requests while they waited"
    if not demo_run.watched:
        return CheckResult(expectation, unchecked="no session-state to ask (--session-state-url)")

    def problems() -> Iterator[str]:
        for scenario, step in steps_of(demo_run):
            if step.updates and not any(seen.source == "held" for seen in demo_run.select(scenario, step)):
                yield f"{where(scenario, step)}: it showed nothing"

    return check_result_of(expectation, problems())


CLIENT_CHECKS: tuple[Callable[[DemoRun], CheckResult], ...] = (
    settings_applied,
    prompts_updated,
    one_reply_per_turn,
    replies_spoken,
    functions_called,
    reply_after_all_results,
    results_mentioned,
    speech_heard,
    greeted,
    waiting_was_visible,
    no_errors,
)


def _acknowledged_once(demo_run: DemoRun, request: str) -> CheckResult:
    acknowledgement = ACKNOWLEDGEMENTS[request]

    def problems() -> Iterator[str]:
        for scenario in demo_run.script:
            seen = demo_run.select(scenario)
            requested = sum(one.source == "sent" and one.type == request for one in seen)
            applied = sum(one.source == "received" and one.type == acknowledgement for one in seen)
            expected = sum(update["type"] == request for update in scenario.updates)
            if requested != expected:
                yield f"{scenario.name}: {requested} {request} were sent, not {expected}"
            if applied != expected:
                yield f"{scenario.name}: {applied} {acknowledgement} for {expected} {request}"

    return check_result_of(f"{acknowledgement} came once per {request}", problems())


def _replies_with_results(demo_run: DemoRun) -> Iterator[tuple[Scenario, Step, Reply]]:
    for scenario, step in steps_of(demo_run):
        if step.calls:
            for reply in replies(demo_run.select(scenario, step)):
                yield scenario, step, reply


def _call(name: str, arguments: str) -> str:
    """A call with normalized JSON arguments. Arguments that are not JSON stay unchanged."""
    try:
        return f"{name}({json.dumps(json.loads(arguments), sort_keys=True)})"
    except ValueError:
        return f"{name}({arguments})"
