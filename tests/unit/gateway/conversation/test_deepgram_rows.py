"""Deepgram's Voice Agent protocol, incoming message by incoming message: what a compatible server must do.

Rows about the socket itself are in `tests.end_to_end`; fields of ``Settings`` in `tests.unit.translator`. All of them:
`tests.rows`.
"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialect import AGENT
from tests.unit.gateway.bench import SETTINGS, Bench, effective, types
from turngate.protocol.messages import Slot

PROGRESS = {"LatencyReport"}
THINK = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": "New."}


def agent() -> Bench:
    return Bench(AGENT).configured()


def told(bench: Bench) -> list[str]:
    return [kind for kind in types(bench.out.messages) if kind not in PROGRESS]


@pytest.mark.parametrize("first", ["UpdatePrompt", "InjectUserMessage", "ForceEndTurn"])
def test_anything_but_settings_first(first: str) -> None:
    """Rows "agent: any non-Settings first", "agent: Error `NON_SETTINGS_MESSAGE_BEFORE_SETTINGS`": an error, and the
    end. `KeepAlive` is let pass."""
    bench = Bench(AGENT)
    assert bench.say(type="KeepAlive").messages == []
    out = bench.say(type=first, prompt="x") if first == "UpdatePrompt" else bench.say(type=first, content="x")
    # A frame that has its own mistake is named for that instead.
    code = "UNPARSABLE_CLIENT_MESSAGE" if first == "ForceEndTurn" else "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
    assert [message["code"] for message in out.messages] == [code]
    assert out.ending is not None
    assert out.ending.code == 1000


def test_audio_first() -> None:
    """Row "agent: any non-Settings first", binary too."""
    bench = Bench(AGENT)
    assert bench.conversation.client_audio(bytes(960), 0.0) is None
    out = bench.conversation.drain()
    assert out.messages[0]["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
    assert bench.conversation.ending is not None


def test_settings_and_greeting() -> None:
    """Row "agent: `Settings`": applied, then the greeting as an assistant's turn in its exact words; history is seeded
    without replaying it, and then nothing greets."""
    bench = Bench(AGENT).configured(agent={**SETTINGS["agent"], "greeting": "Hello there!"})
    assert told(bench) == ["SettingsApplied"]
    greeting = bench.conversation.client_event(2)
    assert greeting is not None
    assert greeting.message == {"type": "InjectAgentMessage", "message": "Hello there!"}
    past = {"messages": [{"type": "History", "role": "user", "content": "Hi"}]}
    bench = Bench(AGENT).configured(agent={**SETTINGS["agent"], "greeting": "Hello there!", "context": past})
    assert told(bench) == ["SettingsApplied"]
    assert bench.conversation.client_event(2) is None


@pytest.mark.parametrize(("flags", "told_again"), [({}, True), ({"history": True}, True), ({"history": False}, False)])
def test_who_wants_no_history_gets_none(flags: dict[str, bool], told_again: bool) -> None:
    """Row "agent: `Settings`": ``flags.history``, on unless it is turned off."""
    bench = Bench(AGENT).configured(flags=flags)
    bench.asked(2)
    assert types(bench.out.messages) == ["ConversationText", *(["History"] if told_again else [])]


def test_settings_twice() -> None:
    """Rows "agent: second `Settings`", "agent: Error `SETTINGS_ALREADY_APPLIED`"."""
    bench = agent()
    assert [message["code"] for message in bench.say(**SETTINGS).messages] == ["SETTINGS_ALREADY_APPLIED"]
    assert bench.out.ending is None


def test_user_speech_onset() -> None:
    """Row "agent: user speech onset": told at once; the reply and its audio end there."""
    bench = agent()
    bench.created("resp_1")
    bench.audio("resp_1", "item_1", 1000)
    bench.now += 0.5
    bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert told(bench) == ["UserStartedSpeaking"]
    assert bench.conversation.downlink.audio("resp_1", "item_1", bench.now) is None


def test_user_turn_end() -> None:
    """Row "agent: user turn end": the user's words, thinking, the start with its latencies, the agent's words, the
    end."""
    bench = agent()
    heard: list[str] = []
    transcription = {
        "item_id": "u",
        "content_index": 0,
        "transcript": "Hi",
        "usage": {"type": "duration", "seconds": 1},
    }
    part = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
    item = {"id": "item_1", "type": "message", "role": "assistant", "status": "completed"}
    spoken = item | {"content": [{"type": "output_audio", "transcript": "Hello."}]}
    for kind, fields in (
        ("input_audio_buffer.speech_started", {"item_id": "u", "audio_start_ms": 0}),
        ("input_audio_buffer.speech_stopped", {"item_id": "u", "audio_end_ms": 900}),
        ("input_audio_buffer.committed", {"item_id": "u"}),
        ("conversation.item.input_audio_transcription.completed", transcription),
    ):
        bench.event(kind, **fields)
        heard += types(bench.out.messages)
    bench.created("resp_1")
    heard += types(bench.out.messages)
    bench.event("response.output_audio_transcript.delta", **part, delta="Hello.")
    heard += types(bench.out.messages)
    bench.audio("resp_1", "item_1", 20)
    heard += types(bench.out.messages)
    bench.event("response.output_audio.done", **part)
    bench.event("response.output_item.done", response_id="resp_1", output_index=0, item=spoken)
    heard += types(bench.out.messages)
    bench.done("resp_1")
    heard += types(bench.out.messages)
    assert [kind for kind in heard if kind not in PROGRESS] == [
        "UserStartedSpeaking",
        "ConversationText",
        "History",
        "AgentThinking",
        "AgentStartedSpeaking",
        "ConversationText",
        "History",
        "AgentAudioDone",
    ]
    assert heard.count("LatencyReport") == 4


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ({"type": "UpdateListen", "listen": {"provider": {"type": "deepgram", "language": "de"}}}, "ListenUpdated"),
        ({"type": "UpdateThink", "think": THINK}, "ThinkUpdated"),
        ({"type": "UpdateSpeak", "speak": {"provider": {"type": "open_ai", "voice": "ash"}}}, "SpeakUpdated"),
        ({"type": "UpdatePrompt", "prompt": "More."}, "PromptUpdated"),
    ],
)
def test_updates(message: dict[str, Any], answer: str) -> None:
    """Rows "agent: `UpdateListen`", "agent: `UpdateThink`", "agent: `UpdateSpeak`", "agent: `UpdatePrompt`": answered
    when in force."""
    bench = agent()
    assert bench.say(**message).messages == []
    bench.translated(2)
    assert bench.release((2,), instructions="x").messages == []
    bench.event("session.updated", session=effective())
    assert told(bench) == [answer]


def test_update_think_live() -> None:
    """Row "agent: `UpdateThink_Live`": what accounts get that do not take part in it."""
    (error,) = agent().say(type="UpdateThink_Live", think_live={"provider": {"type": "deepgram"}}).messages
    assert error["code"] == "UNPARSABLE_CLIENT_MESSAGE"
    assert "UpdateThink_Live" in error["description"]


def test_inject_user_message() -> None:
    """Row "agent: `InjectUserMessage`": a turn as text, echoed; without content an error. In the middle of a reply it
    waits for its end: nothing that was asked is lost, and nothing that the agent says is."""
    bench = agent()
    (error,) = bench.say(type="InjectUserMessage").messages
    assert error["code"] == "UNPARSABLE_CLIENT_MESSAGE"
    assert "content" in error["description"]
    bench.created("resp_1")
    bench.asked(2, "And now?")
    assert [(m["role"], m["content"]) for m in bench.out.messages] == [("user", "And now?")] * 2
    assert bench.release(responds=(2,)).to_upstream == []
    bench.done("resp_1")
    assert types(bench.release(responds=(2,)).to_upstream) == ["response.create"]


@pytest.mark.parametrize(
    ("behavior", "busy", "expected"),
    [
        ("default", "", "taken"),
        ("default", "agent", "refused"),
        ("default", "user", "refused"),
        ("queue", "agent", "taken"),
        ("queue", "user", "refused"),
        ("interrupt", "agent", "taken"),
        ("interrupt", "user", "taken"),
    ],
)
def test_inject_agent_message(behavior: str, busy: str, expected: str) -> None:
    """Rows "agent: `InjectAgentMessage` default", "agent: `InjectAgentMessage` queue", "agent: `InjectAgentMessage`
    interrupt"."""
    bench = agent()
    if busy == "agent":
        bench.created("resp_1")
    elif busy == "user":
        bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    out = bench.say(type="InjectAgentMessage", message="x", behavior=behavior)
    assert ("taken" if out.to_publish else "refused") == expected
    assert [message["message"] for message in out.messages if message["type"] == "InjectionRefused"] != [] or (
        expected == "taken"
    )
    cancelled = behavior == "interrupt" and busy == "agent"
    assert types(out.to_upstream) == (["response.cancel"] if cancelled else [])


def test_function_calls() -> None:
    """Rows "agent: `FunctionCallResponse`", "agent: tool call, client function": matched by id, echoed and in the
    history; an unknown id is a Warning; arguments are JSON in a string; no answer in time tells the model and the
    client."""
    bench = agent()
    bench.created("resp_1")
    (request,) = [m for m in bench.call("resp_1", "call_1").messages if m["type"] == "FunctionCallRequest"]
    (call,) = request["functions"]
    assert (call["id"], call["arguments"], call["client_side"]) == ("call_1", "{}", True)
    bench.call("resp_1", "call_2")
    bench.done("resp_1")
    assert bench.say(type="FunctionCallResponse", id="call_9", name="f", content="x").messages[0]["type"] == "Warning"
    out = bench.say(type="FunctionCallResponse", id="call_1", name="f", content="42")
    assert types(out.messages) == ["FunctionCallResponse", "History"]
    assert out.messages[1]["function_calls"][0]["response"] == "42"
    late = bench.wait(30)
    assert [m["code"] for m in late.messages if m["type"] == "Warning"] == ["FUNCTION_CALL_TIMEOUT"]
    assert len(late.to_publish) >= 1


def test_force_end_turn() -> None:
    """Row "agent: `ForceEndTurn`": closes the open turn; without one it is ignored."""
    bench = agent()
    assert bench.say(type="ForceEndTurn").to_upstream == []
    bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert types(bench.say(type="ForceEndTurn").to_upstream) == ["input_audio_buffer.commit"]


def test_keep_alive() -> None:
    """Row "agent: `KeepAlive`": no reply."""
    out = agent().say(type="KeepAlive")
    assert (out.messages, out.to_upstream, out.to_publish) == ([], [], [])


@pytest.mark.parametrize(
    ("frame", "named"),
    [(b"{", "JSON"), (b'{"type":"Sing"}', "Sing"), (b'{"type":"KeepAlive","colour":1}', "colour")],
)
def test_what_cannot_be_read(frame: bytes, named: str) -> None:
    """Rows "agent: unknown type, bad JSON, extra field", "agent: Error `UNPARSABLE_CLIENT_MESSAGE`"."""
    bench = agent()
    (error,) = bench.frame(frame).messages
    assert error["code"] == "UNPARSABLE_CLIENT_MESSAGE"
    assert named in error["description"]
    assert bench.conversation.record().slot is Slot.IDLE
