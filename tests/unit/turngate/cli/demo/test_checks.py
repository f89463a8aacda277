"""A correct run passes every check, and each fault is detected by the check that names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.turngate.cli.demo.correct_run import (
    SCRIPT,
    Fault,
    changed,
    correct_run,
    is_,
    recorded,
    twice,
    with_message,
    without,
)
from tests.unit.turngate.cli.demo.faults_in_continuity import CONTINUITY_FAULTS
from turngate.cli.demo.checks import run_checks
from turngate.cli.demo.continuity_checks import continuity_checks
from turngate.cli.demo.observations import DemoRun, UpstreamEvent, UpstreamRecord
from turngate.cli.demo.script import OPENING, prompt_of
from turngate.cli.demo.upstream_checks import NO_RECORD

HELD_STEP = "new settings in the middle of a reply"


def without_reply(demo_run: DemoRun) -> DemoRun:
    unwanted = {"AgentStartedSpeaking", "ConversationText", "AgentAudioDone", "AgentDone"}
    return without(
        demo_run,
        lambda one: (
            one.step == "text"
            and (one.source == "heard" or (one.type in unwanted and one.message.get("role") != "user"))
        ),
        only_first=False,
    )


def second_reply(demo_run: DemoRun) -> DemoRun:
    begun = next(one for one in demo_run.observations if is_("AgentDone", "speech again")(one))
    extra = (
        replace(begun, message={"type": "AgentStartedSpeaking"}),
        replace(begun, message={"type": "ConversationText", "role": "assistant", "content": "Again."}),
        begun,
    )
    return replace(demo_run, observations=(*demo_run.observations, *extra))


def update_sent_early(entries: list[UpstreamEvent]) -> list[UpstreamEvent]:
    """The held update is sent during the reply."""
    late = [entry for entry in entries if entry.type == "session.update"][-1]
    done = max(entry.at for entry in entries if entry.type == "response.done" and entry.at < late.at)
    return [entry for entry in entries if entry != late] + [replace(late, at=done - 0.015)]


def update_in_active_response(entries: list[UpstreamEvent]) -> list[UpstreamEvent]:
    late = [entry for entry in entries if entry.type == "session.update"][-1]
    return [replace(entry, active_response="resp_9") if entry == late else entry for entry in entries]


def create_in_active_response(entries: list[UpstreamEvent]) -> list[UpstreamEvent]:
    late = [entry for entry in entries if entry.type == "response.create"][-1]
    return [replace(entry, active_response="resp_9") if entry == late else entry for entry in entries]


def confirmed_late(entries: list[UpstreamEvent]) -> list[UpstreamEvent]:
    late = [entry for entry in entries if entry.type == "session.updated"][-1]
    return [replace(entry, at=entry.at + 1) if entry == late else entry for entry in entries]


def lost_prompt(entries: list[UpstreamEvent]) -> list[UpstreamEvent]:
    """The last configuration confirmed by the upstream is the first one again."""
    first, *_, last = [entry for entry in entries if entry.type == "session.updated"]
    return [*entries, replace(first, at=last.at + 0.005)]


def never_confirmed(entries: list[UpstreamEvent]) -> list[UpstreamEvent]:
    late = [entry for entry in entries if entry.type == "session.updated"][-1]
    return [entry for entry in entries if entry != late]


def without_last(kind: str) -> Callable[[list[UpstreamEvent]], list[UpstreamEvent]]:
    def change(entries: list[UpstreamEvent]) -> list[UpstreamEvent]:
        last = [entry for entry in entries if entry.type == kind][-1]
        return [entry for entry in entries if entry != last]

    return change


def cancelled(entries: list[UpstreamEvent]) -> list[UpstreamEvent]:
    last = [entry for entry in entries if entry.type == "response.done"][-1]
    event = last.event | {"response": last.event["response"] | {"status": "cancelled"}}
    return [replace(entry, event=event) if entry == last else entry for entry in entries]


def violation(demo_run: DemoRun) -> DemoRun:
    name = SCRIPT[0].name
    record = replace(demo_run.records[name], violations=({"type": "response.create"},))
    return replace(demo_run, records={**demo_run.records, name: record})


FAULTS: dict[str, tuple[str, Fault]] = {
    **CONTINUITY_FAULTS,
    "SettingsApplied lost": ("SettingsApplied", lambda good: without(good, is_("SettingsApplied", HELD_STEP))),
    "SettingsApplied twice": ("SettingsApplied", lambda good: twice(good, is_("SettingsApplied"))),
    "Settings not sent": ("SettingsApplied", lambda good: without(good, is_("Settings", HELD_STEP))),
    "PromptUpdated lost": ("PromptUpdated", lambda good: without(good, is_("PromptUpdated"))),
    "PromptUpdated twice": ("PromptUpdated", lambda good: twice(good, is_("PromptUpdated"))),
    "no reply": ("exactly one reply", without_reply),
    "two replies": ("exactly one reply", second_reply),
    "a reply without an end": (
        "exactly one reply",
        lambda good: without(
            good,
            lambda one: one.step == "speech again" and one.type in {"AgentAudioDone", "AgentDone"},
            only_first=False,
        ),
    ),
    "a reply without audio": (
        "text and as audio",
        lambda good: without(good, lambda one: one.source == "heard" and one.step == "text", only_first=False),
    ),
    "a reply without text": (
        "text and as audio",
        lambda good: without(good, is_("ConversationText", "text", role="assistant")),
    ),
    "a call lost": ("called as requested", lambda good: without(good, is_("FunctionCallRequest", "one function"))),
    "a call twice": ("called as requested", lambda good: twice(good, is_("FunctionCallRequest"))),
    "wrong arguments": (
        "called as requested",
        lambda good: changed(
            good,
            is_("FunctionCallRequest"),
            with_message(functions=[{"id": "c", "name": "get_time", "arguments": '{"city": "Lima"}'}]),
        ),
    ),
    "arguments that are not JSON": (
        "called as requested",
        lambda good: changed(
            good,
            is_("FunctionCallRequest"),
            with_message(functions=[{"id": "c", "name": "get_time", "arguments": '{"city'}]),
        ),
    ),
    "a result not given": (
        "began after the last",
        lambda good: without(good, is_("FunctionCallResponse", "two functions at once")),
    ),
    "a reply before the last result": (
        "began after the last",
        lambda good: changed(good, is_("FunctionCallResponse"), lambda one: replace(one, at=one.at + 0.1)),
    ),
    "a result not mentioned": (
        "mention every result",
        lambda good: changed(
            good,
            is_("ConversationText", "two functions at once", role="assistant"),
            with_message(content="There is snow."),
        ),
    ),
    "speech not heard": ("detected as one turn", lambda good: without(good, is_("UserStartedSpeaking"))),
    "speech heard twice": ("detected as one turn", lambda good: twice(good, is_("UserStartedSpeaking"))),
    "words of speech lost": (
        "detected as one turn",
        lambda good: without(good, is_("ConversationText", "speech", role="user")),
    ),
    "no greeting": (
        "greeting",
        lambda good: without(
            good,
            lambda one: one.step == OPENING and (one.source == "heard" or one.message.get("role") == "assistant"),
            only_first=False,
        ),
    ),
    "nothing shown as held": (
        "session-state showed",
        lambda good: without(good, lambda one: one.source == "held"),
    ),
    "an error": (
        "no error",
        lambda good: changed(
            good, is_("AgentDone"), with_message(type="Error", code="FAILED_TO_THINK", description="nobody thinks")
        ),
    ),
    "an update in a response": ("during an active response", lambda good: recorded(good, update_in_active_response)),
    "a create in a response": ("during an active response", lambda good: recorded(good, create_in_active_response)),
    "a violation that only the upstream saw": ("during an active response", violation),
    "an update before the reply's end": ("were sent only after", lambda good: recorded(good, update_sent_early)),
    "an update never sent": ("were sent only after", lambda good: recorded(good, without_last("session.update"))),
    "nothing to hold": (
        "were sent only after",
        lambda good: recorded(
            good, lambda entries: [entry for entry in entries if entry.type not in {"response.created"}], scenario=1
        ),
    ),
    "acknowledged too early": ("acknowledged only after", lambda good: recorded(good, confirmed_late)),
    "acknowledged, never confirmed": ("acknowledged only after", lambda good: recorded(good, never_confirmed)),
    "a prompt lost again": ("effective at the end", lambda good: recorded(good, lost_prompt)),
    "a response too few": ("one response per turn", lambda good: recorded(good, without_last("response.done"))),
    "a cancelled response": ("one response per turn", lambda good: recorded(good, cancelled)),
}


def test_a_correct_run_passes_every_check() -> None:
    results = run_checks(correct_run())
    assert [check_result for check_result in results if check_result.failed or check_result.unchecked] == []


@pytest.mark.parametrize(("expectation", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_detected(expectation: str, fault: Fault) -> None:
    failed = [check_result for check_result in run_checks(fault(correct_run())) if check_result.failed]
    assert any(expectation in check_result.expectation for check_result in failed), failed
    assert all(problem for check_result in failed for problem in check_result.problems)


def test_every_check_detects_a_fault() -> None:
    names = {name for name, _ in FAULTS.values()}
    for check_result in run_checks(correct_run()):
        assert any(name in check_result.expectation for name in names), check_result.expectation


def test_without_a_record_only_the_clients_observations_are_checked() -> None:
    results = run_checks(replace(correct_run(), records={}))
    unchecked = [check_result for check_result in results if check_result.unchecked]
    assert {check_result.unchecked for check_result in unchecked} == {NO_RECORD}
    assert len(unchecked) == 5
    assert not any(check_result.failed for check_result in results)


def test_without_session_state_held_requests_are_not_checked() -> None:
    good = correct_run()
    unseen = without(replace(good, watched=False), lambda one: one.source == "held", only_first=False)
    assert [check_result.expectation for check_result in run_checks(unseen) if check_result.unchecked] == [
        "session-state showed the held requests while they waited"
    ]
    assert not any(check_result.failed for check_result in run_checks(unseen))


def test_a_script_in_which_nothing_is_cut_has_no_checks_of_that() -> None:
    assert list(continuity_checks(SCRIPT[:2])) == []
    assert len(list(continuity_checks(SCRIPT))) == 3


def test_an_out_of_band_response_needs_no_free_slot() -> None:
    good = correct_run()
    beside = UpstreamEvent(
        1_001.0, "received", {"type": "response.create", "response": {"conversation": "none"}}, "resp_1"
    )
    assert not any(
        check_result.failed for check_result in run_checks(recorded(good, lambda entries: [*entries, beside]))
    )


def test_an_empty_run_fails() -> None:
    nothing = DemoRun(SCRIPT, (), {scenario.name: UpstreamRecord(()) for scenario in SCRIPT})
    assert sum(check_result.failed for check_result in run_checks(nothing)) >= 6


def test_the_prompts_of_the_script_are_distinguishable() -> None:
    """No prompt is a part of another one, since checks search for prompts in the instructions."""
    for scenario in SCRIPT:
        later = [prompt_of(update) for update in scenario.updates]
        for place, prompt in enumerate(later):
            assert not any(prompt in earlier for earlier in later[:place])
