from __future__ import annotations

from dataclasses import replace

from tests.unit.turngate.cli.demo.correct_run import SCRIPT, START, correct_run
from turngate.cli.demo.timeline import Line, render, timeline

COMPONENT, AGENT, _, KILLED = SCRIPT
HELD = "new settings in the middle of a reply"


def told(lines: list[Line]) -> list[tuple[bool, str, str]]:
    return [(line.active, line.who, line.words) for line in lines]


def test_a_held_request_is_shown_when_sent_held_released_and_acknowledged() -> None:
    assert told(timeline(correct_run(), COMPONENT, HELD)) == [
        (False, "you", "“Tell me a story of about forty words. [say 40 words]”"),
        (True, "model", "response begins"),
        (True, "agent", "“Well:”"),
        (True, "client", "Settings, to be held: a response is active"),
        (True, "client", "UpdatePrompt “Never mention the sea.”, to be held: a response is active"),
        (True, "held", "session-state shows configuration #7 waiting"),
        (False, "model", "response done (completed, 0.08 s)"),
        (False, "agent", "sent 0.2 s of audio"),
        (
            False,
            "released",
            "session.update with Settings and UpdatePrompt: held 0.08 s, 0.07 s, 30 ms after the response's end",
        ),
        (False, "upstream", "session.updated"),
        (False, "server", "SettingsApplied, 0.10 s after the request"),
        (False, "server", "PromptUpdated, 0.10 s after the request"),
    ]


def test_speech_and_its_transcript_are_shown() -> None:
    assert told(timeline(correct_run(), COMPONENT, "speech"))[:3] == [
        (False, "you", "speaking: hello.wav"),
        (False, "server", "UserStartedSpeaking"),
        (False, "you", "“(speech)”"),
    ]


def test_calls_and_results_are_shown() -> None:
    lines = told(timeline(correct_run(), COMPONENT, "one function"))
    assert (True, "agent", 'calls get_weather {"city": "Oslo"}') in lines
    assert (True, "function", "get_weather answers {}") in lines
    assert [words for _, who, words in lines if who == "you"] == [
        '“What is the sky like in Oslo? [call get_weather {"city": "Oslo"}]”'
    ]


def test_without_a_record_the_client_determines_when_a_response_is_active() -> None:
    lines = told(timeline(replace(correct_run(), records={}), COMPONENT, HELD))
    assert (True, "client", "Settings") in lines
    assert (False, "server", "PromptUpdated, 0.10 s after the request") in lines
    assert not any(who in {"model", "released", "upstream"} for _, who, _ in lines)


def test_every_event_of_the_record_is_in_one_step() -> None:
    demo_run = correct_run()
    steps = ["settings", *(step.name for step in COMPONENT.steps)]
    lines = [line for step in steps for line in timeline(demo_run, COMPONENT, step)]
    begun = [line for line in lines if line.words == "response begins"]
    assert len(begun) == len(demo_run.records[COMPONENT.name].of_type("response.created"))
    assert lines == sorted(lines, key=lambda line: line.at)


def test_a_step_without_observations_is_empty() -> None:
    assert timeline(replace(correct_run(), observations=()), AGENT, "settings") == []


def test_format_of_a_line() -> None:
    assert render(Line(START + 1.234, "agent", "“Hi.”", active=True), START).plain == "   1.23 ┃    agent  “Hi.”"
    assert render(Line(START, "you", "“Hi.”"), START).plain == "   0.00        you  “Hi.”"


def test_what_was_killed_and_what_the_client_says_of_it_are_shown() -> None:
    step = KILLED.steps[0].name
    run = correct_run()
    fault = next(one for one in run.observations if (one.step, one.source) == (step, "fault"))
    notice = replace(fault, source="notice", message={"description": "connecting again"})
    shown = timeline(replace(run, observations=(*run.observations, notice)), KILLED, step)
    assert [(line.who, line.words) for line in shown if line.at == fault.at] == [
        ("fault", "it is lost"),
        ("client", "connecting again"),
    ]
