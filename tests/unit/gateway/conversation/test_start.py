"""How a conversation starts, and what it makes of a client's mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from tests.unit.gateway.bench import SETTINGS, Bench, effective, types
from turngate.protocol.messages import Slot

# --- starting ---


def test_requests_are_published_once_there_is_an_upstream() -> None:
    """Row "component: Settings lost before the upstream opened"."""
    bench = Bench()
    assert bench.say(**SETTINGS).to_publish == []
    assert bench.wait(5).to_publish == [], "nor again"
    assert not bench.conversation.connected
    assert bench.event("session.created", session={}).to_publish == [1]
    assert bench.conversation.connected
    event = bench.conversation.client_event(1)
    assert event is not None
    assert (event.seq, event.attempt, event.repeated, event.dialect) == (1, 1, False, "component")
    assert event.turn.open_configuration == (1,)
    assert event.turn.slot is Slot.UNCONFIGURED
    assert bench.event("session.created", session={}).to_publish == []


def test_settings_are_acknowledged_when_the_upstream_confirms_them_and_not_before() -> None:
    bench = Bench()
    bench.event("session.created", session={})
    assert types(bench.say(**SETTINGS).messages) == []
    assert types(bench.translated(1).messages) == []
    sent = bench.release((1,), instructions="A")
    assert [(event["type"], event["session"]) for event in sent.to_upstream] == [
        ("session.update", {"type": "realtime", "instructions": "A"})
    ]
    assert sent.messages == []
    assert bench.conversation.record().configuring_seq == 1
    applied = bench.event("session.updated", session=effective())
    assert types(applied.messages) == ["SettingsApplied"]
    record = bench.conversation.record()
    assert (record.slot, record.configuring_seq, record.configured_seq) == (Slot.IDLE, None, 1)
    assert types(bench.event("session.updated", session=effective()).messages) == []


def test_text_before_settings_is_kept_in_order_until_the_session_is_configured() -> None:
    bench = Bench()
    bench.event("session.created", session={})
    bench.say(type="InjectUserMessage", content="early")
    bench.say(**SETTINGS)
    assert bench.translated(1, "item_1").to_upstream == []
    bench.translated(2, "history_1")
    assert types(bench.release((2,)).to_upstream) == ["session.update"]
    flushed = bench.event("session.updated", session=effective())
    assert [event["item"]["id"] for event in flushed.to_upstream] == ["item_1", "history_1"]
    assert types(bench.item("item_1").messages) == ["ConversationText"]


def test_a_greeting_is_shown_on_the_component_path_and_asked_for_on_the_agent_path() -> None:
    greeting = {"agent": {**SETTINGS["agent"], "greeting": "Hello!"}}
    bench = Bench().configured(**greeting)
    assert types(bench.out.messages) == ["SettingsApplied", "ConversationText", "AgentAudioDone", "AgentDone"]
    bench = Bench(AGENT).configured(**greeting)
    assert types(bench.out.messages) == ["SettingsApplied"]
    assert bench.out.to_publish == [2]
    event = bench.conversation.client_event(2)
    assert event is not None
    assert event.message == {"type": "InjectAgentMessage", "message": "Hello!"}


def test_a_greeting_finds_room_whatever_was_asked_before_it() -> None:
    bench = Bench(AGENT, Limits(requests=2, calls=1))
    bench.event("session.created", session={})
    bench.say(**{**SETTINGS, "agent": {**SETTINGS["agent"], "greeting": "Hello!"}})
    bench.say(type="InjectUserMessage", content="1")
    bench.event("response.created", response={"id": "resp_1", "conversation_id": "c"})
    bench.event("input_audio_buffer.committed", item_id="a")
    bench.done("resp_1")
    bench.translated(1)
    bench.release((1,))
    out = bench.event("session.updated", session=effective())
    assert types(out.messages) == ["SettingsApplied"]
    assert bench.conversation.record().open_responses == (2, 3, 4)


# --- the client's errors ---


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"{", "UNPARSABLE_CLIENT_MESSAGE"),
        (b"[]", "UNPARSABLE_CLIENT_MESSAGE"),
        (b'{"type":"Nonsense"}', "UNPARSABLE_CLIENT_MESSAGE"),
        (b'{"type":"UpdatePrompt"}', "UNPARSABLE_CLIENT_MESSAGE"),
        (b'{"type":"UpdatePrompt","prompt":7}', "UNPARSABLE_CLIENT_MESSAGE"),
        (b'{"type":"UpdatePrompt","prompt":"x","extra":1}', "UNPARSABLE_CLIENT_MESSAGE"),
        (b'{"type":"UserTurnEnded"}', "UNPARSABLE_CLIENT_MESSAGE"),
    ],
)
def test_bad_input_is_an_error_that_leaves_a_healthy_session_alone(frame: bytes, code: str) -> None:
    bench = Bench(AGENT).configured()
    out = bench.frame(frame)
    assert [(message["type"], message["code"]) for message in out.messages] == [("Error", code)]
    assert out.ending is None
    assert out.to_publish == []


def test_a_bad_start_ends_the_session_on_the_agent_path_only() -> None:
    bench = Bench(AGENT)
    out = bench.say(type="InjectUserMessage", content="x")
    assert out.messages[0]["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
    assert out.ending is not None
    assert out.ending.code == 1000
    bench = Bench()
    out = bench.say(type="UpdatePrompt", prompt="x")
    assert out.messages[0]["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
    assert out.ending is None
    assert Bench(AGENT).say(type="KeepAlive").messages == []


def test_unknown_types_and_fields_are_named_as_the_dialect_does() -> None:
    bench = Bench().configured()
    assert bench.say(type="Nonsense").messages[0]["code"] == "disallowed_client_message_type"
    out = bench.say(type="UpdatePrompt", prompt="x", colour="red")
    assert (out.messages[0]["type"], out.messages[0]["code"]) == ("Warning", "SETTINGS_FIELDS_IGNORED")
    assert "colour" in out.messages[0]["description"]
    assert out.to_publish == [2]
    assert bench.say(type="UpdatePrompt", prompt="y", colour="red").messages == [], "told once"


def test_audio_before_settings_is_an_error_told_once() -> None:
    bench = Bench()
    assert bench.conversation.client_audio(b"{}", 0) is None
    assert bench.conversation.client_audio(b"{}", 0) is None
    (error,) = bench.conversation.drain().messages
    assert error["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
    bench.say(**SETTINGS)
    assert bench.conversation.client_audio(b"\x01\x02", 0) == b"", "it is kept"


def test_second_settings_reconfigure_or_are_refused_as_the_dialect_says() -> None:
    bench = Bench(AGENT).configured()
    out = bench.say(**SETTINGS)
    assert out.messages[0]["code"] == "SETTINGS_ALREADY_APPLIED"
    assert out.ending is None
    bench = Bench().configured()
    assert bench.say(**SETTINGS).to_publish == [2]
    event = bench.conversation.client_event(2)
    assert event is not None
    assert event.repeated


@pytest.mark.parametrize(
    "audio", [{"input": {"encoding": "opus", "sample_rate": 48000}}, {"output": {"encoding": "mp3"}}]
)
def test_formats_that_are_not_supported_are_refused_by_name(audio: dict[str, Any]) -> None:
    bench = Bench(AGENT)
    out = bench.say(**{**SETTINGS, "audio": audio})
    assert out.messages[0]["code"] == "INVALID_SETTINGS"
    assert out.ending is not None
    assert bench.conversation.context.requests.last_seq == 0


def test_a_request_past_the_limit_is_refused_and_told() -> None:
    bench = Bench(limits=Limits(requests=1)).configured()
    bench.say(type="InjectUserMessage", content="1")
    out = bench.say(type="InjectUserMessage", content="2")
    assert (out.messages[0]["type"], out.messages[0]["code"]) == ("Warning", "TOO_MANY_REQUESTS")
    assert bench.conversation.context.requests.last_seq == 2


def test_settings_that_a_translator_refuses_may_be_sent_again() -> None:
    bench = Bench(AGENT)
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    out = bench.refused(1)
    assert out.messages[0]["code"] == "INVALID_SETTINGS"
    assert out.ending is not None
    bench = Bench()
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    assert bench.refused(1).ending is None
    bench.say(**SETTINGS)
    event = bench.conversation.client_event(2)
    assert event is not None
    assert not event.repeated


def test_settings_that_wait_behind_refused_ones_are_settings_all_the_same() -> None:
    bench = Bench()
    bench.event("session.created", session={})
    bench.say(**{**SETTINGS, "agent": {**SETTINGS["agent"], "greeting": "Never said."}})
    bench.say(**SETTINGS)
    bench.refused(1)
    assert bench.say(type="UpdatePrompt", prompt="x").messages == []
    bench.translated(2)
    bench.release((2,))
    assert types(bench.event("session.updated", session=effective()).messages) == ["SettingsApplied"]
    assert bench.refused(1).messages == [], "a refusal of what is settled is nothing"


def test_keep_alive_is_not_answered() -> None:
    bench = Bench().configured()
    out = bench.say(type="KeepAlive")
    assert (out.messages, out.to_publish, out.turn_changed) == ([], [], False)


def test_what_is_for_another_provider_is_answered_once() -> None:
    """Row "agent: `__customToThinkProvider`"."""
    bench = Bench(AGENT).configured()
    (warning,) = bench.say(type="__customToThinkProvider", content={"any": 1}).messages
    assert (warning["type"], warning["code"]) == ("Warning", "CUSTOM_MESSAGE_IGNORED")
    assert bench.say(type="__customToThinkProvider", content=2).messages == []
