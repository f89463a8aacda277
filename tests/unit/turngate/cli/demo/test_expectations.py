"""A faultless performance meets every expectation; every fault is found by the one expectation that names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.turngate.cli.demo.stage import SCRIPT, changed, faultless, recorded, twice, without
from turngate.cli.demo.expectations import judge
from turngate.cli.demo.observations import Entry, Observation, Performance, Record
from turngate.cli.demo.script import OPENING, prompt_of
from turngate.cli.demo.wire import NO_RECORD

Fault = Callable[[Performance], Performance]

HELD_STEP = "new settings in the middle of a reply"


def is_(kind: str, step: str | None = None, **fields: Any) -> Callable[[Observation], bool]:
    return lambda one: (
        one.type == kind
        and (step is None or one.step == step)
        and all(one.message.get(name) == value for name, value in fields.items())
    )


def with_message(**fields: Any) -> Callable[[Observation], Observation]:
    return lambda one: replace(one, message=one.message | fields)


def without_reply(performance: Performance) -> Performance:
    unwanted = {"AgentStartedSpeaking", "ConversationText", "AgentAudioDone", "AgentDone"}
    return without(
        performance,
        lambda one: (
            one.step == "text"
            and (one.source == "heard" or (one.type in unwanted and one.message.get("role") != "user"))
        ),
        only_first=False,
    )


def second_reply(performance: Performance) -> Performance:
    begun = next(one for one in performance.observations if is_("AgentDone", "speech again")(one))
    extra = (
        replace(begun, message={"type": "AgentStartedSpeaking"}),
        replace(begun, message={"type": "ConversationText", "role": "assistant", "content": "Again."}),
        begun,
    )
    return replace(performance, observations=(*performance.observations, *extra))


def update_sent_early(entries: list[Entry]) -> list[Entry]:
    """The held update goes out in the middle of the reply, as a careless gateway does it."""
    late = [entry for entry in entries if entry.type == "session.update"][-1]
    done = max(entry.at for entry in entries if entry.type == "response.done" and entry.at < late.at)
    return [entry for entry in entries if entry != late] + [replace(late, at=done - 0.015)]


def update_in_active_response(entries: list[Entry]) -> list[Entry]:
    late = [entry for entry in entries if entry.type == "session.update"][-1]
    return [replace(entry, active_response="resp_9") if entry == late else entry for entry in entries]


def create_in_active_response(entries: list[Entry]) -> list[Entry]:
    late = [entry for entry in entries if entry.type == "response.create"][-1]
    return [replace(entry, active_response="resp_9") if entry == late else entry for entry in entries]


def confirmed_late(entries: list[Entry]) -> list[Entry]:
    late = [entry for entry in entries if entry.type == "session.updated"][-1]
    return [replace(entry, at=entry.at + 1) if entry == late else entry for entry in entries]


def lost_prompt(entries: list[Entry]) -> list[Entry]:
    """The last thing that the upstream confirms is the first configuration again."""
    first, *_, last = [entry for entry in entries if entry.type == "session.updated"]
    return [*entries, replace(first, at=last.at + 0.005)]


def never_confirmed(entries: list[Entry]) -> list[Entry]:
    late = [entry for entry in entries if entry.type == "session.updated"][-1]
    return [entry for entry in entries if entry != late]


def without_last(kind: str) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        last = [entry for entry in entries if entry.type == kind][-1]
        return [entry for entry in entries if entry != last]

    return change


def cancelled(entries: list[Entry]) -> list[Entry]:
    last = [entry for entry in entries if entry.type == "response.done"][-1]
    event = last.event | {"response": last.event["response"] | {"status": "cancelled"}}
    return [replace(entry, event=event) if entry == last else entry for entry in entries]


def violation(performance: Performance) -> Performance:
    name = SCRIPT[0].name
    record = replace(performance.records[name], violations=({"type": "response.create"},))
    return replace(performance, records={**performance.records, name: record})


FAULTS: dict[str, tuple[str, Fault]] = {
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
    "a call lost": ("called as asked", lambda good: without(good, is_("FunctionCallRequest", "one function"))),
    "a call twice": ("called as asked", lambda good: twice(good, is_("FunctionCallRequest"))),
    "wrong arguments": (
        "called as asked",
        lambda good: changed(
            good,
            is_("FunctionCallRequest"),
            with_message(functions=[{"id": "c", "name": "get_time", "arguments": '{"city": "Lima"}'}]),
        ),
    ),
    "arguments that are not JSON": (
        "called as asked",
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
    "speech not heard": ("heard as one turn", lambda good: without(good, is_("UserStartedSpeaking"))),
    "speech heard twice": ("heard as one turn", lambda good: twice(good, is_("UserStartedSpeaking"))),
    "words of speech lost": (
        "heard as one turn",
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
    "an update in a response": ("into an active response", lambda good: recorded(good, update_in_active_response)),
    "a create in a response": ("into an active response", lambda good: recorded(good, create_in_active_response)),
    "a violation that only the upstream saw": ("into an active response", violation),
    "an update before the reply's end": ("went out only after", lambda good: recorded(good, update_sent_early)),
    "an update never sent": ("went out only after", lambda good: recorded(good, without_last("session.update"))),
    "nothing to hold": (
        "went out only after",
        lambda good: recorded(
            good, lambda entries: [entry for entry in entries if entry.type not in {"response.created"}], scene=1
        ),
    ),
    "acknowledged too early": ("acknowledged only after", lambda good: recorded(good, confirmed_late)),
    "acknowledged, never confirmed": ("acknowledged only after", lambda good: recorded(good, never_confirmed)),
    "a prompt lost again": ("in force at the end", lambda good: recorded(good, lost_prompt)),
    "a response too few": ("one response per turn", lambda good: recorded(good, without_last("response.done"))),
    "a cancelled response": ("one response per turn", lambda good: recorded(good, cancelled)),
}


def test_a_faultless_performance_meets_every_expectation() -> None:
    verdicts = judge(faultless())
    assert [verdict for verdict in verdicts if verdict.failed or verdict.unchecked] == []


@pytest.mark.parametrize(("expectation", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_found(expectation: str, fault: Fault) -> None:
    failed = [verdict for verdict in judge(fault(faultless())) if verdict.failed]
    assert any(expectation in verdict.expectation for verdict in failed), failed
    assert all(problem for verdict in failed for problem in verdict.problems)


def test_every_expectation_has_a_fault_that_it_finds() -> None:
    names = {name for name, _ in FAULTS.values()}
    for verdict in judge(faultless()):
        assert any(name in verdict.expectation for name in names), verdict.expectation


def test_without_a_record_the_wire_is_not_checked_and_the_rest_is() -> None:
    verdicts = judge(replace(faultless(), records={}))
    unchecked = [verdict for verdict in verdicts if verdict.unchecked]
    assert {verdict.unchecked for verdict in unchecked} == {NO_RECORD}
    assert len(unchecked) == 5
    assert not any(verdict.failed for verdict in verdicts)


def test_without_session_state_its_view_is_not_checked() -> None:
    good = faultless()
    unseen = without(replace(good, watched=False), lambda one: one.source == "held", only_first=False)
    assert [verdict.expectation for verdict in judge(unseen) if verdict.unchecked] == [
        "session-state showed the held requests while they waited"
    ]
    assert not any(verdict.failed for verdict in judge(unseen))


def test_a_response_beside_the_conversation_needs_no_free_turn() -> None:
    good = faultless()
    beside = Entry(1_001.0, "received", {"type": "response.create", "response": {"conversation": "none"}}, "resp_1")
    assert not any(verdict.failed for verdict in judge(recorded(good, lambda entries: [*entries, beside])))


def test_an_empty_performance_fails() -> None:
    nothing = Performance(SCRIPT, (), {scene.name: Record(()) for scene in SCRIPT})
    assert sum(verdict.failed for verdict in judge(nothing)) >= 6


def test_the_prompts_of_the_script_can_be_told_apart() -> None:
    """A prompt that is part of another one would be found where it is not."""
    for scene in SCRIPT:
        later = [prompt_of(update) for update in scene.updates]
        for place, prompt in enumerate(later):
            assert not any(prompt in earlier for earlier in later[:place])
