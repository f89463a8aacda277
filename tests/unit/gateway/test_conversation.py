"""The conversation: what each thing that happens does to the turn, to the requests, and to what the client hears."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.broker import Slot
from gateway.conversation import UpstreamProblem
from gateway.counters import Counters
from gateway.dialect import AGENT
from gateway.ledger import Patience
from gateway.limits import Limits
from tests.unit.gateway.bench import SETTINGS, Bench, effective, types

RACE = "conversation_already_has_active_response"


# --- starting ---


def test_requests_are_published_once_there_is_an_upstream() -> None:
    bench = Bench()
    assert bench.say(**SETTINGS).to_publish == []
    assert bench.event("session.created", session={}).to_publish == [1]
    event = bench.conversation.client_event(1)
    assert event is not None
    assert (event.seq, event.attempt, event.repeated, event.dialect) == (1, 1, False, "component")
    assert event.turn.open_configuration == (1,)
    assert event.turn.slot is Slot.UNCONFIGURED
    assert bench.event("session.created", session={}).to_publish == []


def test_settings_are_acknowledged_when_the_upstream_confirms_them_and_not_before() -> None:
    bench = Bench()
    bench.event("session.created", session={})
    assert types(bench.say(**SETTINGS).to_client) == []
    assert types(bench.translated(1).to_client) == []
    sent = bench.release((1,), instructions="A")
    assert [(event["type"], event["session"]) for event in sent.to_upstream] == [
        ("session.update", {"type": "realtime", "instructions": "A"})
    ]
    assert sent.to_client == []
    assert bench.conversation.record().configuring_seq == 1
    applied = bench.event("session.updated", session=effective())
    assert types(applied.to_client) == ["SettingsApplied"]
    record = bench.conversation.record()
    assert (record.slot, record.configuring_seq, record.configured_seq) == (Slot.IDLE, None, 1)
    assert types(bench.event("session.updated", session=effective()).to_client) == []


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
    assert types(bench.item("item_1").to_client) == ["ConversationText"]


def test_a_greeting_is_shown_on_the_component_path_and_asked_for_on_the_agent_path() -> None:
    greeting = {"agent": {**SETTINGS["agent"], "greeting": "Hello!"}}
    bench = Bench().configured(**greeting)
    assert types(bench.out.to_client) == ["SettingsApplied", "ConversationText", "AgentAudioDone", "AgentDone"]
    bench = Bench(AGENT).configured(**greeting)
    assert types(bench.out.to_client) == ["SettingsApplied"]
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
    assert types(out.to_client) == ["SettingsApplied"]
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
    assert [(message["type"], message["code"]) for message in out.to_client] == [("Error", code)]
    assert out.ending is None
    assert out.to_publish == []


def test_a_bad_start_ends_the_session_on_the_agent_path_only() -> None:
    bench = Bench(AGENT)
    out = bench.say(type="InjectUserMessage", content="x")
    assert out.to_client[0]["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
    assert out.ending is not None
    assert out.ending.code == 1000
    bench = Bench()
    out = bench.say(type="UpdatePrompt", prompt="x")
    assert out.to_client[0]["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
    assert out.ending is None
    assert Bench(AGENT).say(type="KeepAlive").to_client == []


def test_unknown_types_and_fields_are_named_as_the_dialect_does() -> None:
    bench = Bench().configured()
    assert bench.say(type="Nonsense").to_client[0]["code"] == "disallowed_client_message_type"
    out = bench.say(type="UpdatePrompt", prompt="x", colour="red")
    assert (out.to_client[0]["type"], out.to_client[0]["code"]) == ("Warning", "SETTINGS_FIELDS_IGNORED")
    assert "colour" in out.to_client[0]["description"]
    assert out.to_publish == [2]
    assert bench.say(type="UpdatePrompt", prompt="y", colour="red").to_client == [], "told once"


def test_audio_before_settings_is_an_error_told_once() -> None:
    bench = Bench()
    assert bench.conversation.client_audio(b"{}", 0) is None
    assert bench.conversation.client_audio(b"{}", 0) is None
    (error,) = bench.conversation.drain().to_client
    assert error["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
    bench.say(**SETTINGS)
    assert bench.conversation.client_audio(b"\x01\x02", 0) == b"\x01\x02"


def test_second_settings_reconfigure_or_are_refused_as_the_dialect_says() -> None:
    bench = Bench(AGENT).configured()
    out = bench.say(**SETTINGS)
    assert out.to_client[0]["code"] == "SETTINGS_ALREADY_APPLIED"
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
    assert out.to_client[0]["code"] == "INVALID_SETTINGS"
    assert out.ending is not None
    assert bench.conversation.ledger.last_seq == 0


def test_a_request_past_the_limit_is_refused_and_told() -> None:
    bench = Bench(limits=Limits(requests=1)).configured()
    bench.say(type="InjectUserMessage", content="1")
    out = bench.say(type="InjectUserMessage", content="2")
    assert (out.to_client[0]["type"], out.to_client[0]["code"]) == ("Warning", "TOO_MANY_REQUESTS")
    assert bench.conversation.ledger.last_seq == 2


def test_settings_that_a_translator_refuses_may_be_sent_again() -> None:
    bench = Bench(AGENT)
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    out = bench.refused(1)
    assert out.to_client[0]["code"] == "INVALID_SETTINGS"
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
    assert bench.say(type="UpdatePrompt", prompt="x").to_client == []
    bench.translated(2)
    bench.release((2,))
    assert types(bench.event("session.updated", session=effective()).to_client) == ["SettingsApplied"]
    assert bench.refused(1).to_client == [], "a refusal of what is settled is nothing"


def test_keep_alive_is_not_answered() -> None:
    bench = Bench().configured()
    out = bench.say(type="KeepAlive")
    assert (out.to_client, out.to_publish, out.turn_changed) == ([], [], False)


def test_what_is_for_another_provider_is_answered_once() -> None:
    bench = Bench(AGENT).configured()
    (warning,) = bench.say(type="__customToThinkProvider", content={"any": 1}).to_client
    assert (warning["type"], warning["code"]) == ("Warning", "CUSTOM_MESSAGE_IGNORED")
    assert bench.say(type="__customToThinkProvider", content=2).to_client == []


# --- configuration ---


def test_configuration_in_the_middle_of_a_reply_waits_for_its_end() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(2)
    out = bench.release((2,), name="early", append="B")
    assert out.to_upstream == []
    assert bench.conversation.record().dropped_release == "early"
    bench.event("response.output_audio.done", response_id="resp_1", item_id="i", output_index=0, content_index=0)
    assert bench.release((2,), append="B").to_upstream == [], "the end of its audio is not the end of a response"
    bench.done("resp_1")
    sent = bench.release((2,), append="B")
    assert sent.to_upstream[0]["session"]["instructions"] == "Be kind.\n\nB"
    assert types(bench.event("session.updated", session=effective()).to_client) == ["PromptUpdated"]


def test_acknowledgements_come_once_per_request_and_in_order() -> None:
    bench = Bench().configured()
    bench.say(type="UpdatePrompt", prompt="B")
    bench.say(**SETTINGS)
    bench.translated(2)
    bench.translated(3)
    bench.release((2, 3))
    bench.release((2, 3), name="again")
    assert types(bench.event("session.updated", session=effective()).to_client) == ["PromptUpdated", "SettingsApplied"]
    assert bench.event("session.updated", session=effective()).to_client == []


def test_a_refused_update_is_reported_and_settled() -> None:
    bench = Bench().configured()
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(2)
    event_id = bench.release((2,)).to_upstream[0]["event_id"]
    out = bench.error("invalid_value", event_id, param="session.instructions")
    assert [(m["type"], m["code"]) for m in out.to_client] == [("Error", "invalid_value")]
    assert "session.instructions" in out.to_client[0]["description"]
    assert bench.conversation.record().open_configuration == ()


def test_a_refusal_without_our_id_is_known_by_the_field_it_names() -> None:
    bench = Bench().configured()
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(2)
    bench.release((2,))
    assert bench.error("invalid_value", None, param="session.instructions").to_client[0]["type"] == "Error"
    assert bench.conversation.record().open_configuration == ()


def test_a_voice_that_cannot_change_is_left_out_and_the_rest_is_applied() -> None:
    bench = Bench().configured()
    bench.say(**SETTINGS)
    bench.translated(2)
    change: dict[str, Any] = {"instructions": "B", "audio": {"output": {"voice": "ash"}}}
    event_id = bench.release((2,), **change).to_upstream[0]["event_id"]
    out = bench.error("cannot_update_voice", event_id)
    assert out.to_client == []
    assert bench.conversation.record().open_configuration == (2,)
    again = bench.release((2,), name="r2", **change)
    assert again.to_upstream[0]["session"] == {"type": "realtime", "instructions": "B", "audio": {"output": {}}}
    assert [(m["type"], m["code"]) for m in again.to_client] == [("Warning", "SETTING_CANNOT_CHANGE")]
    assert types(bench.event("session.updated", session=effective()).to_client) == ["SettingsApplied"]


def test_an_update_of_which_nothing_is_left_is_answered_by_the_warning_alone() -> None:
    bench = Bench().configured()
    for seq in (2, 3):
        bench.say(type="UpdateThink", think={"provider": {"type": "open_ai", "model": "gpt-realtime"}})
        bench.translated(seq)
        sent = bench.release((seq,), reasoning={"effort": "low"})
        if seq == 2:
            bench.error("unknown_parameter", sent.to_upstream[0]["event_id"], param="session.reasoning")
            sent = bench.release((2,), name="r2", reasoning={"effort": "low"})
        assert (types(sent.to_client), sent.to_upstream) == (["Warning"], [])
    assert bench.conversation.record().open_configuration == ()


def test_an_update_that_is_never_answered_is_reported() -> None:
    bench = Bench()
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    bench.translated(1)
    bench.release((1,))
    assert bench.wait(14.9).to_client == []
    assert bench.wait(0.1).to_client[0]["code"] == "upstream_timeout"


# --- responses ---


def test_a_text_turn() -> None:
    bench = Bench().configured()
    assert bench.say(type="InjectUserMessage", content="Hi").to_publish == [2]
    assert types(bench.translated(2, "item_2").to_upstream) == ["conversation.item.create"]
    echoed = bench.item("item_2")
    assert [(m["role"], m["content"]) for m in echoed.to_client] == [("user", "Hi")]
    (create,) = bench.release(responds=(2,)).to_upstream
    assert create["response"]["metadata"] == {"turngate": create["event_id"]}
    assert bench.conversation.record().slot is Slot.REQUESTED
    bench.created("resp_1", create["event_id"])
    record = bench.conversation.record()
    assert (record.slot, record.response_id, record.answered_seq) == (Slot.ACTIVE, "resp_1", 2)
    bench.done("resp_1")
    assert bench.conversation.record().slot is Slot.IDLE


def test_configuration_and_a_response_released_together_go_in_that_order() -> None:
    bench = Bench().configured().asked(2)
    bench.say(type="UpdatePrompt", prompt="B")
    bench.translated(3)
    assert types(bench.release((3,), (2,)).to_upstream) == ["session.update", "response.create"]


def test_a_create_that_lost_the_race_waits_for_the_winner_and_the_client_never_knows() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    out = bench.error(RACE, event_id)
    assert out.to_client == []
    assert bench.conversation.record().slot is Slot.PROMISED
    assert bench.conversation.record().open_responses == (2,)
    assert bench.conversation.counters.collisions_absorbed == 1
    assert bench.release(responds=(2,)).to_upstream == []
    bench.wait(3)
    assert types(bench.release(responds=(2,)).to_upstream) == ["response.create"], "the winner never showed"


def test_the_servers_own_response_answers_what_was_asked_before_it() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    bench.created("resp_vad")
    assert bench.conversation.record().open_responses == ()
    assert bench.conversation.counters.answered_by_another == 1
    assert bench.error(RACE, event_id).to_client == []
    bench.done("resp_vad")
    assert bench.conversation.record().slot is Slot.IDLE
    assert bench.release(responds=(2,)).to_upstream == []


def test_a_create_that_the_upstream_accepts_after_all_is_cancelled_when_another_answered() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    bench.created("resp_vad")
    bench.done("resp_vad")
    assert bench.conversation.record().slot is Slot.REQUESTED
    out = bench.created("resp_2", event_id)
    assert [(event["type"], event["response_id"]) for event in out.to_upstream] == [("response.cancel", "resp_2")]
    assert bench.conversation.record().slot is Slot.CANCELLING
    text = bench.event(
        "response.output_text.done", response_id="resp_2", item_id="i", output_index=0, content_index=0, text="twice"
    )
    assert text.to_client == []
    bench.done("resp_2", event_id, status="cancelled")
    assert bench.conversation.record().slot is Slot.IDLE


def test_an_item_that_came_after_a_response_began_is_not_answered_by_it() -> None:
    bench = Bench().configured()
    bench.created("resp_vad")
    bench.asked(2)
    assert bench.conversation.record().open_responses == (2,)
    bench.done("resp_vad")
    assert types(bench.release(responds=(2,)).to_upstream) == ["response.create"]


def test_a_create_that_is_refused_for_another_reason_is_settled_and_reported() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    out = bench.error("invalid_value", event_id)
    assert [(m["type"], m["code"]) for m in out.to_client] == [("Error", "invalid_value")]
    record = bench.conversation.record()
    assert (record.slot, record.open_responses) == (Slot.IDLE, ())


def test_a_create_that_is_never_answered_is_tried_again() -> None:
    bench = Bench().configured()
    bench.requested(2)
    bench.wait(15)
    record = bench.conversation.record()
    assert (record.slot, record.open_responses) == (Slot.IDLE, (2,))


def test_a_done_without_created_answers_what_it_was_asked_for() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    bench.done("resp_1", event_id)
    record = bench.conversation.record()
    assert (record.slot, record.open_responses) == (Slot.IDLE, ())


def test_out_of_band_responses_touch_nothing() -> None:
    bench = Bench().configured().asked(2)
    before = bench.conversation.record()
    bench.created("resp_side", conversation=None)
    bench.done("resp_side", conversation=None)
    assert bench.conversation.record() == before


def test_an_item_that_is_refused_settles_its_request() -> None:
    bench = Bench().configured()
    bench.say(type="InjectUserMessage", content="Hi")
    bench.translated(2, "item_2")
    out = bench.error("invalid_value", "item_2")
    assert [(m["type"], m["code"]) for m in out.to_client] == [("Error", "invalid_value")]
    assert bench.conversation.record().open_responses == ()


def test_other_errors_pass_through_and_races_of_nobody_do_not() -> None:
    bench = Bench().configured()
    assert bench.error("server_error").to_client[0]["code"] == "server_error"
    assert bench.error(RACE).to_client == []
    assert bench.error("response_cancel_not_active").to_client == []


# --- the user's audio turns ---


def committed(bench: Bench, item_id: str = "audio_1") -> None:
    bench.event("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
    bench.event("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=900)
    bench.event("input_audio_buffer.committed", item_id=item_id)


def test_the_promised_response_holds_the_slot_until_it_comes_or_never_comes() -> None:
    bench = Bench().configured().asked(2)
    bench.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
    assert bench.conversation.record().user_speaking
    assert bench.release(responds=(2,)).to_upstream == []
    bench.event("input_audio_buffer.speech_stopped", item_id="a", audio_end_ms=1)
    bench.event("input_audio_buffer.committed", item_id="a")
    assert bench.conversation.record().slot is Slot.PROMISED
    assert bench.wait(2.9).turn_changed is False
    bench.wait(0.1)
    assert bench.conversation.record().slot is Slot.IDLE


def test_who_has_turned_the_servers_responses_off_has_them_asked_for() -> None:
    bench = Bench().configured()
    bench.say(**SETTINGS)
    bench.translated(2)
    bench.release((2,))
    bench.event("session.updated", session=effective(audio={"input": {"turn_detection": {"create_response": False}}}))
    committed(bench)
    assert bench.conversation.record().slot is Slot.IDLE
    assert bench.out.to_publish == [3]
    event = bench.conversation.client_event(3)
    assert event is not None
    assert event.message == {"type": "UserTurnEnded"}
    assert bench.conversation.ledger.answerable() == []
    bench.item("audio_1")
    assert bench.conversation.ledger.answerable() == [3]


def test_a_turn_that_the_server_cannot_answer_because_of_another_response_is_asked_for() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    committed(bench)
    assert bench.conversation.record().slot is Slot.ACTIVE
    assert bench.conversation.record().open_responses == (2,)
    bench.item("audio_1")
    bench.done("resp_1")
    bench.created("resp_2")
    assert bench.conversation.record().open_responses == (), "the server answered after all"


def test_the_gateways_own_requests_have_a_reserve_and_past_it_the_client_is_told() -> None:
    bench = Bench(limits=Limits(requests=1, calls=1)).configured()
    bench.say(type="InjectUserMessage", content="1")
    bench.created("resp_1")
    committed(bench)
    assert bench.conversation.record().open_responses == (2, 3)
    committed(bench, "audio_2")
    assert bench.conversation.record().open_responses == (2, 3)
    assert bench.out.to_client[-1]["code"] == "TOO_MANY_REQUESTS"


def test_a_turn_that_the_upstream_owes_an_answer_is_asked_for_when_none_comes() -> None:
    bench = Bench().configured()
    committed(bench)
    bench.item("audio_1")
    assert bench.out.to_publish == []
    assert bench.wait(3).to_publish == [2]
    assert bench.conversation.ledger.answerable() == [2]
    assert bench.wait(3).to_publish == [2], "once is enough: this is its retransmission"


def test_a_turn_whose_answer_lost_against_another_response_is_asked_for_at_once() -> None:
    bench = Bench().configured()
    committed(bench)
    assert bench.error(RACE).to_publish == [2]
    assert bench.error(RACE).to_publish == []


def test_an_answer_that_was_interrupted_before_it_was_announced_leaves_the_later_turn_unanswered() -> None:
    bench = Bench().configured()
    committed(bench)
    committed(bench, "audio_2")
    bench.created("resp_1")
    interrupted = {"id": "resp_1", "status": "cancelled", "conversation_id": "conv", "output": []}
    bench.event("response.done", response=interrupted | {"status_details": {"reason": "turn_detected"}})
    assert bench.conversation.record().slot is Slot.PROMISED
    assert bench.wait(3).to_publish == [2]


def test_an_answer_that_the_user_talks_over_is_an_answer() -> None:
    bench = Bench().configured()
    committed(bench)
    bench.created("resp_1")
    bench.event("input_audio_buffer.speech_started", item_id="audio_2", audio_start_ms=0)
    interrupted = {"id": "resp_1", "status": "cancelled", "conversation_id": "conv", "output": []}
    bench.event("response.done", response=interrupted | {"status_details": {"reason": "turn_detected"}})
    assert bench.conversation.record().slot is Slot.IDLE


def test_the_upstream_answers_a_long_silence_by_itself_whoever_owns_turns() -> None:
    bench = Bench().configured()
    bench.say(**SETTINGS)
    bench.translated(2)
    bench.release((2,))
    bench.event("session.updated", session=effective(audio={"input": {"turn_detection": {"create_response": False}}}))
    bench.event("input_audio_buffer.timeout_triggered", item_id="idle", audio_start_ms=0, audio_end_ms=1)
    assert bench.event("input_audio_buffer.committed", item_id="idle").to_publish == []
    assert bench.conversation.record().slot is Slot.PROMISED


def test_a_response_does_not_answer_what_came_after_its_create() -> None:
    bench = Bench().configured()
    create = bench.requested(2)
    bench.asked(3, "And you?")
    bench.created("resp_1", create)
    assert bench.conversation.record().open_responses == (3,)


def test_the_upstreams_own_response_answers_what_was_there_when_the_turn_ended_and_no_more() -> None:
    bench = Bench().configured().asked(2)
    committed(bench)
    bench.asked(3, "And you?")
    bench.created("resp_1")
    assert bench.conversation.record().open_responses == (3,)


def test_an_update_that_met_an_unexpected_response_waits_for_its_end() -> None:
    bench = Bench().configured()
    bench.say(type="UpdateSpeak", speak={"provider": {"type": "open_ai", "speed": 1.2}})
    bench.translated(2)
    (sent,) = bench.release((2,), audio={"output": {"speed": 1.2}}).to_upstream
    committed(bench)
    out = bench.error("invalid_value", sent["event_id"], param="session.audio.output.speed")
    assert out.to_client == []
    assert bench.conversation.record().open_configuration == (2,)
    assert bench.conversation.record().configuring_seq is None


def test_an_update_that_met_a_response_which_is_not_announced_waits_for_it() -> None:
    bench = Bench().configured()
    bench.say(type="UpdateSpeak", speak={"provider": {"type": "open_ai", "speed": 1.2}})
    bench.translated(2)
    (sent,) = bench.release((2,), audio={"output": {"speed": 1.2}}).to_upstream
    out = bench.error("invalid_value", sent["event_id"], param="session.audio.output.speed")
    assert out.to_client == []
    assert bench.conversation.record().slot is Slot.PROMISED
    assert bench.conversation.record().open_configuration == (2,)


def test_a_commit_without_an_item_needs_no_acknowledgement() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.event("input_audio_buffer.committed")
    assert bench.conversation.ledger.answerable() == [2]


# --- function calls ---


def called(*call_ids: str, limits: Limits | None = None) -> Bench:
    bench = Bench(limits=limits).configured()
    bench.created("resp_1")
    for call_id in call_ids:
        bench.call("resp_1", call_id)
    bench.done("resp_1")
    return bench


def test_a_function_call_is_open_until_the_upstream_has_its_result() -> None:
    bench = called("call_1")
    assert bench.conversation.record().open_calls == ("call_1",)
    out = bench.say(type="FunctionCallResponse", id="call_1", name="f", content="42")
    assert types(out.to_client) == ["AgentThinking"]
    assert bench.conversation.record().open_calls == ("call_1",)
    bench.translated(2, "out_1")
    bench.item("out_1", "function_call_output", call_id="call_1")
    assert bench.conversation.record().open_calls == ()
    assert bench.conversation.ledger.answerable() == [2]


def test_results_nobody_asked_for_are_told_and_not_used() -> None:
    bench = called("call_1")
    assert (
        bench.say(type="FunctionCallResponse", id="call_9", content="").to_client[0]["code"] == "UNKNOWN_FUNCTION_CALL"
    )
    bench.say(type="FunctionCallResponse", name="f", content="1")
    event = bench.conversation.client_event(2)
    assert event is not None
    assert event.message["id"] == "call_1"
    twice = bench.say(type="FunctionCallResponse", id="call_1", content="2")
    assert twice.to_client[0]["code"] == "UNKNOWN_FUNCTION_CALL"
    assert twice.to_publish == []


def test_a_call_that_is_not_answered_in_time_is_answered_for_the_client() -> None:
    bench = called("call_1", "call_2")
    bench.say(type="FunctionCallResponse", id="call_1", content="1")
    out = bench.wait(30)
    assert [(m["type"], m["code"]) for m in out.to_client] == [("Warning", "FUNCTION_CALL_TIMEOUT")]
    event = bench.conversation.client_event(3)
    assert event is not None
    assert (event.message["id"], "error" in event.message) == ("call_2", True)
    assert bench.say(type="FunctionCallResponse", id="call_2", content="late").to_client[0]["type"] == "Warning"


def test_a_timeout_past_the_limit_and_its_reserve_closes_the_call() -> None:
    bench = called("call_1", "call_2", "call_3", limits=Limits(requests=1, calls=3))
    for item_id in ("audio_1", "audio_2"):
        committed(bench, item_id)
        bench.error(RACE)
    out = bench.wait(30)
    assert bench.conversation.record().open_calls == ("call_1", "call_2")
    told = [message["description"] for message in out.to_client if message["type"] == "Warning"]
    assert [text.partition("; ")[2] for text in told] == [
        "the model is told.",
        "the model is told.",
        "too many requests are waiting to tell the model.",
    ]


def test_a_result_that_is_refused_closes_its_call() -> None:
    bench = called("call_1")
    bench.say(type="FunctionCallResponse", id="call_1", content="1")
    bench.translated(2, "out_1")
    bench.error("invalid_tool_call_id", "out_1")
    assert bench.conversation.record().open_calls == ()


# --- the agent's given words ---


def test_inject_agent_message_is_refused_in_a_turn_queued_or_interrupts() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    assert types(bench.say(type="InjectAgentMessage", message="x").to_client) == ["InjectionRefused"]
    assert bench.say(type="InjectAgentMessage", message="x", behavior="queue").to_publish == [2]
    out = bench.say(type="InjectAgentMessage", message="x", behavior="interrupt")
    assert (out.to_publish, types(out.to_upstream)) == ([3], ["response.cancel"])
    assert bench.conversation.record().slot is Slot.CANCELLING
    again = bench.say(type="InjectAgentMessage", message="x", behavior="interrupt")
    assert (again.to_publish, again.to_upstream) == ([4], [])
    bench.done("resp_1", status="cancelled")
    assert types(bench.say(type="InjectAgentMessage", message="x").to_client) == ["InjectionRefused"], "one waits"


def test_inject_agent_message_at_rest_is_accepted_and_only_its_own_response_answers_it() -> None:
    bench = Bench().configured()
    assert bench.say(type="InjectAgentMessage", message="x").to_publish == [2]
    bench.translated(2)
    bench.created("resp_vad")
    assert bench.conversation.record().open_responses == (2,)


def test_the_user_speaking_refuses_all_but_an_interruption() -> None:
    bench = Bench().configured()
    bench.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
    for behavior in ("default", "queue"):
        out = bench.say(type="InjectAgentMessage", message="x", behavior=behavior)
        assert types(out.to_client) == ["InjectionRefused"]
    assert bench.say(type="InjectAgentMessage", message="x", behavior="interrupt").to_publish == [2]


# --- time, loss and the end ---


def test_what_no_translator_answers_is_published_again_with_the_record_of_that_moment() -> None:
    bench = Bench().configured()
    bench.say(type="InjectUserMessage", content="Hi")
    bench.created("resp_1")
    assert bench.wait(0.9).to_publish == []
    assert bench.wait(0.1).to_publish == [2]
    event = bench.conversation.client_event(2)
    assert event is not None
    assert (event.attempt, event.turn.slot) == (2, Slot.ACTIVE)
    assert bench.conversation.counters.republished == 1


def test_a_lost_release_is_asked_for_again_while_the_turn_is_free() -> None:
    bench = Bench().configured().asked(2)
    assert bench.wait(3.9).to_publish == []
    assert bench.wait(0.1).to_publish == [2]


def test_what_nobody_can_carry_out_is_told_and_does_not_block_what_follows() -> None:
    bench = Bench(limits=Limits(patience=Patience(give_up=5))).configured()
    bench.say(type="InjectUserMessage", content="lost")
    bench.wait(4)
    bench.say(type="InjectUserMessage", content="next")
    assert bench.translated(3, "item_3").to_upstream == []
    out = bench.wait(1)
    assert [(m["type"], m["code"]) for m in out.to_client] == [("Error", "REQUEST_TIMED_OUT")]
    assert types(out.to_upstream) == ["conversation.item.create"]
    assert bench.translated(2, "item_2").to_upstream == [], "too late"
    assert bench.conversation.client_event(2) is None


def test_notices_are_told_once() -> None:
    bench = Bench().configured()
    warning = {"type": "Warning", "code": "W", "description": "d"}
    for seq in (2, 3):
        bench.say(type="UpdatePrompt", prompt="x")
        out = bench.translated(seq, notices=(warning,))
        assert out.to_client == ([warning] if seq == 2 else [])
    for n in range(70):
        bench.conversation.tell_once({"type": "Warning", "code": str(n)})
    bench.conversation.tell_once(warning)
    assert bench.conversation.drain().to_client[-1] == warning, "what is remembered is bounded"


def test_the_record_grows_by_one_for_every_change_and_is_repeated_as_a_heartbeat() -> None:
    bench = Bench().configured()
    version = bench.conversation.record().version
    assert bench.event("rate_limits.updated", rate_limits=[]).turn_changed is False
    assert bench.created("resp_1").turn_changed
    assert bench.conversation.record().version == version + 1
    assert bench.wait(10).turn_changed
    assert bench.conversation.record().version == version + 1


def test_the_deadline_is_the_next_moment_at_which_something_happens() -> None:
    bench = Bench().configured()
    assert bench.conversation.deadline() == 10
    bench.event("input_audio_buffer.committed", item_id="a")
    assert bench.conversation.deadline() == 3
    bench.created("resp_1")
    bench.done("resp_1")
    bench.requested(2)
    assert bench.conversation.deadline() == 10
    bench.wait(9)
    bench.created("resp_2")
    bench.call("resp_2", "call_1")
    bench.wait(10)
    assert bench.conversation.deadline() == 29
    bench.conversation.closed(bench.now)
    assert bench.conversation.deadline() == float("inf")
    bench.wait(100)
    assert bench.out.to_publish == []


def test_the_upstreams_end_is_told_with_its_reason_and_closes_the_session() -> None:
    problem = UpstreamProblem("upstream_closed", "gone", 1011, early=True)
    bench = Bench()
    bench.conversation.upstream_closed(problem, 0)
    out = bench.conversation.drain()
    assert out.to_client[0]["code"] == "upstream_closed_before_session_ready"
    assert out.ending is not None
    assert out.ending.code == 1011
    bench = Bench().configured()
    bench.conversation.upstream_closed(problem, 0)
    out = bench.conversation.drain()
    assert out.to_client[0]["code"] == "upstream_closed"
    assert bench.conversation.record().slot is Slot.CLOSED
    bench.conversation.upstream_closed(problem, 0)
    bench.conversation.end(1000, "first stands")
    assert bench.conversation.drain().ending is not None


def test_an_ending_that_was_decided_before_stands() -> None:
    bench = Bench().configured()
    bench.conversation.end(1012, "SERVER_GOING_AWAY")
    bench.conversation.upstream_closed(UpstreamProblem("upstream_closed", "gone", 1011), 0)
    out = bench.conversation.drain()
    assert out.ending is not None
    assert (out.ending.code, out.to_client) == (1012, [])


def test_events_that_mean_nothing_are_ignored_and_those_nobody_knows_are_counted_and_named_once() -> None:
    named: list[str] = []
    bench = Bench(counters=Counters(first_unknown=named.append)).configured()
    for kind in ("rate_limits.updated", "something.new", "something.new", *(f"other.{n}" for n in range(100))):
        out = bench.event(kind, x=1)
        assert (out.to_client, out.to_upstream, out.turn_changed) == ([], [], False)
    assert bench.conversation.counters.unknown_events == 102
    assert named[:2] == ["something.new", "other.0"]
    assert len(named) == 64, "what is remembered is bounded"


def test_a_cancel_that_is_never_answered_gives_the_slot_back_in_the_end() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.say(type="InjectAgentMessage", message="x", behavior="interrupt")
    assert bench.error("response_cancel_not_active").to_client == []
    assert bench.conversation.record().slot is Slot.CANCELLING, "its done may be on the wire"
    assert bench.conversation.deadline() <= 15
    bench.wait(15)
    assert bench.conversation.record().slot is Slot.IDLE


def test_the_next_response_answers_the_turn_before_the_one_that_the_upstream_could_not_answer() -> None:
    bench = Bench().configured()
    event_id = bench.requested(2)
    committed(bench, "audio_1")
    bench.item("audio_1")
    committed(bench, "audio_2")
    bench.item("audio_2")
    assert bench.conversation.record().open_responses == (2, 3, 4)
    bench.error(RACE, None)
    bench.error(RACE, event_id)
    bench.created("resp_vad")
    assert bench.conversation.record().open_responses == (4,), "it was accepted before the second turn ended"
    bench.done("resp_vad")
    bench.translated(3)
    bench.translated(4)
    assert types(bench.release(responds=(4,)).to_upstream) == ["response.create"]


def test_a_commit_of_ours_that_crosses_the_upstreams_own_is_answered_too() -> None:
    bench = Bench().configured()
    bench.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    assert types(bench.say(type="ForceEndTurn").to_upstream) == ["input_audio_buffer.commit"]
    bench.event("input_audio_buffer.speech_stopped", item_id="audio_1", audio_end_ms=900)
    bench.event("input_audio_buffer.committed", item_id="audio_1")
    bench.item("audio_1")
    bench.event("input_audio_buffer.committed", item_id="audio_2")
    bench.item("audio_2")
    assert bench.conversation.record().open_responses == (2, 3)
    bench.created("resp_vad")
    assert bench.conversation.record().open_responses == (3,), "it answers what the upstream committed by itself"
