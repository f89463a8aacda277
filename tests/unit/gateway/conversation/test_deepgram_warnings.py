"""Deepgram's warnings, code by code: when each is sent, and that the session goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT, Dialect
from gateway.timers import Timer
from tests.unit.gateway.bench import SETTINGS, Bench, committed, effective, types

PART = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}


def agent(limits: Limits | None = None, dialect: Dialect = AGENT) -> Bench:
    return Bench(dialect, limits).configured()


def warnings(bench: Bench) -> list[tuple[str, str]]:
    return [(m["code"], m["description"]) for m in bench.out.messages if m["type"] == "Warning"]


# --- SLOW_THINK_REQUEST ---


def test_a_reply_that_is_slow_to_come_is_told_every_five_seconds() -> None:
    """Row "agent: Warning `SLOW_THINK_REQUEST`"."""
    bench = agent()
    bench.requested(2)
    assert bench.conversation.deadline() == 5
    assert bench.wait(4.9).messages == []
    bench.wait(0.1)
    assert warnings(bench) == [("SLOW_THINK_REQUEST", "The model has not replied for 5 s.")]
    bench.created("resp_1")
    bench.wait(5)
    assert warnings(bench) == [("SLOW_THINK_REQUEST", "The model has not replied for 10 s.")]
    assert bench.out.ending is None


def say_a_word(bench: Bench) -> None:
    bench.event("response.output_audio_transcript.delta", **PART, delta="Well")


def end_the_response(bench: Bench) -> None:
    bench.done("resp_1")


def speak_up(bench: Bench) -> None:
    bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)


@pytest.mark.parametrize(
    "happens",
    [
        say_a_word,
        lambda bench: bench.audio("resp_1", "item_1", 20),
        lambda bench: bench.call("resp_1", "call_1"),
        end_the_response,
        speak_up,
    ],
    ids=["a word", "audio", "a call", "its end", "the user"],
)
def test_what_has_come_or_is_not_awaited_any_more_is_not_slow(happens: Callable[[Bench], Any]) -> None:
    bench = agent()
    committed(bench)
    assert bench.conversation.deadline() == 3, "the promise"
    bench.created("resp_1")
    bench.now += 4
    happens(bench)
    bench.wait(2)
    assert warnings(bench) == []
    assert bench.conversation.context.timers.pop_due(9.9) in ([], [Timer.AUDIO_GAP]), "nothing is awaited any more"


@pytest.mark.parametrize(("limits", "dialect"), [(Limits(slow_think=0), AGENT), (None, COMPONENT)])
def test_who_is_not_told(limits: Limits | None, dialect: Dialect) -> None:
    bench = agent(limits, dialect)
    bench.requested(2)
    bench.wait(14)
    assert warnings(bench) == []


# --- PROMPT_TOO_LONG ---


def test_a_prompt_that_is_too_long_is_truncated_and_said_once() -> None:
    """Row "agent: Warning `PROMPT_TOO_LONG`"."""
    bench = agent()
    bench.say(type="UpdateThink", think={"provider": {"type": "open_ai"}, "prompt": "x" * 25_001})
    bench.translated(2)
    change: dict[str, Any] = {"instructions": "x" * 25_001, "audio": {"output": {"voice": "ash"}}}
    (sent,) = bench.release((2,), **change).to_upstream
    assert sent["session"]["instructions"] == "x" * 25_000
    said = ("PROMPT_TOO_LONG", "The prompt has 25001 characters; the model gets the first 25000.")
    assert warnings(bench) == [said]
    bench.error("cannot_update_voice", sent["event_id"])
    bench.release((2,), name="again", **change)
    assert [code for code, _ in warnings(bench)] == ["SETTING_CANNOT_CHANGE"]
    assert types(bench.event("session.updated", session=effective()).messages) == ["ThinkUpdated"]


def test_a_prompt_of_the_longest_length_is_left_alone() -> None:
    bench = agent()
    bench.say(type="UpdatePrompt", prompt="More.")
    bench.translated(2)
    (sent,) = bench.release((2,), instructions="x" * 25_000).to_upstream
    assert len(sent["session"]["instructions"]) == 25_000
    assert warnings(bench) == []


def test_the_component_leaves_it_to_the_upstream() -> None:
    bench = agent(dialect=COMPONENT)
    bench.say(**SETTINGS)
    bench.translated(2)
    (sent,) = bench.release((2,), instructions="x" * 30_000).to_upstream
    assert len(sent["session"]["instructions"]) == 30_000
    assert warnings(bench) == []


# --- NON_EXISTENT_FUNCTION_CALLED ---


def calling(*tools: str, dialect: Dialect = AGENT) -> Bench:
    """A response has begun, of a model that has these functions."""
    bench = agent(dialect=dialect)
    given = [{"type": "function", "name": name} for name in tools]
    bench.event("session.updated", session=effective(tools=given))
    bench.created("resp_1")
    return bench


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT])
def test_a_function_that_does_not_exist_is_not_requested_and_the_model_is_told(dialect: Dialect) -> None:
    """Row "agent: Warning `NON_EXISTENT_FUNCTION_CALLED`"."""
    bench = calling("f", dialect=dialect)
    bench.call("resp_1", "call_1", "g")
    assert "FunctionCallRequest" not in types(bench.out.messages)
    assert [code for code, _ in warnings(bench)] == ["NON_EXISTENT_FUNCTION_CALLED"]
    assert "g (call_1)" in warnings(bench)[0][1]
    told = bench.conversation.client_event(2)
    assert told is not None
    assert told.message["id"] == "call_1"
    assert told.message["error"] == "There is no function of this name."
    bench.call("resp_1", "call_2", "f")
    assert types(bench.out.messages)[-1] == "FunctionCallRequest"
    assert bench.conversation.record().open_calls == ("call_1", "call_2"), "one response will know both results"


def test_the_client_cannot_answer_for_a_function_that_does_not_exist() -> None:
    bench = calling("f")
    bench.call("resp_1", "call_1", "g")
    assert [m["code"] for m in bench.say(type="FunctionCallResponse", id="call_1", content="1").messages] == [
        "UNKNOWN_FUNCTION_CALL"
    ]


# --- refused formats ---


@pytest.mark.parametrize("field", ["format", "format.rate"])
def test_a_format_that_the_upstream_refuses_is_reported_and_never_left_out(field: str) -> None:
    """Audio in another format than the client's is noise."""
    bench = Bench(AGENT)
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    bench.translated(1)
    audio = {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}
    (sent,) = bench.release((1,), audio=audio).to_upstream
    out = bench.error("unknown_parameter", sent["event_id"], param=f"session.audio.input.{field}")
    (told,) = out.messages
    assert (told["type"], told["code"]) == ("Error", "unknown_parameter")
    assert f"session.audio.input.{field}" in told["description"]
    assert out.ending is not None
    assert bench.conversation.record().open_configuration == ()
