from __future__ import annotations

from dataclasses import replace

from tests.unit.turngate.cli.demo.stage import SCRIPT, START, faultless
from turngate.cli.demo.timeline import Line, render, timeline

COMPONENT, AGENT = SCRIPT
HELD = "new settings in the middle of a reply"


def told(lines: list[Line]) -> list[tuple[bool, str, str]]:
    return [(line.active, line.who, line.words) for line in lines]


def test_what_is_held_is_told_when_asked_for_released_and_acknowledged() -> None:
    assert told(timeline(faultless(), COMPONENT, HELD)) == [
        (False, "you", "“Tell me a story of about forty words. [say 40 words]”"),
        (True, "model", "response begins"),
        (True, "agent", "“Well:”"),
        (True, "client", "Settings, to be held: a response is active"),
        (True, "client", "UpdatePrompt “Never mention the sea.”, to be held: a response is active"),
        (True, "held", "session-state shows configuration #7 waiting"),
        (False, "model", "response done (completed, 0.08 s)"),
        (False, "agent", "has sent 0.2 s of audio"),
        (
            False,
            "released",
            "session.update with Settings and UpdatePrompt: held 0.08 s, 0.07 s, 30 ms after the response's end",
        ),
        (False, "upstream", "session.updated"),
        (False, "server", "SettingsApplied, 0.10 s after it was asked for"),
        (False, "server", "PromptUpdated, 0.10 s after it was asked for"),
    ]


def test_speech_and_its_words_are_told() -> None:
    assert told(timeline(faultless(), COMPONENT, "speech"))[:3] == [
        (False, "you", "speaking: hello.wav"),
        (False, "server", "hears you speak"),
        (False, "you", "“(speech)”"),
    ]


def test_calls_and_results_are_told() -> None:
    lines = told(timeline(faultless(), COMPONENT, "one function"))
    assert (True, "agent", 'asks for get_weather {"city": "Oslo"}') in lines
    assert (True, "function", "get_weather answers {}") in lines
    assert [words for _, who, words in lines if who == "you"] == [
        '“What is the sky like in Oslo? [call get_weather {"city": "Oslo"}]”'
    ]


def test_without_a_record_the_clients_view_shows_when_a_response_is_active() -> None:
    lines = told(timeline(replace(faultless(), records={}), COMPONENT, HELD))
    assert (True, "client", "Settings") in lines
    assert (False, "server", "PromptUpdated, 0.10 s after it was asked for") in lines
    assert not any(who in {"model", "released", "upstream"} for _, who, _ in lines)


def test_every_line_of_the_record_belongs_to_one_step() -> None:
    performance = faultless()
    steps = ["settings", *(step.name for step in COMPONENT.steps)]
    lines = [line for step in steps for line in timeline(performance, COMPONENT, step)]
    begun = [line for line in lines if line.words == "response begins"]
    assert len(begun) == len(performance.records[COMPONENT.name].of_type("response.created"))
    assert lines == sorted(lines, key=lambda line: line.at)


def test_a_step_in_which_nothing_was_seen_is_empty() -> None:
    assert timeline(replace(faultless(), observations=()), AGENT, "settings") == []


def test_a_line_has_seconds_a_bar_while_active_who_and_what() -> None:
    assert render(Line(START + 1.234, "agent", "“Hi.”", active=True), START).plain == "   1.23 ┃    agent  “Hi.”"
    assert render(Line(START, "you", "“Hi.”"), START).plain == "   0.00        you  “Hi.”"
