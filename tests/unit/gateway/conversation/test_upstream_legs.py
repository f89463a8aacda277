"""What becomes of everything under way when the upstream's connection is lost: the table of `upstream_legs`, by row."""

from __future__ import annotations

import pytest

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT, Dialect
from tests.unit.gateway.bench import SETTINGS, committed, effective, types, words
from tests.unit.gateway.legs_bench import LIMITS, Legs, ready
from turngate.protocol.messages import ResponseRequest, SendRelease, Slot


def test_first_settings_not_confirmed_wait_again() -> None:
    legs = Legs()
    legs.connect()
    legs.say(**SETTINGS)
    legs.translated(1)
    legs.release((1,))
    out = legs.lost()
    assert (out.renew_upstream, out.messages, legs.slot) == (True, [], Slot.RECONNECTING)
    assert legs.connect().to_upstream == []
    assert legs.slot is Slot.UNCONFIGURED
    assert types(legs.release((1,), name="r2").to_upstream) == ["session.update"]
    assert legs.event("session.updated", session=effective()).messages[0]["type"] == "SettingsApplied"


def test_an_update_in_flight_waits_again_and_what_was_confirmed_is_restored() -> None:
    legs = ready()
    legs.say(type="UpdatePrompt", prompt="More.")
    legs.translated(2)
    legs.release((2,), append="More.")
    legs.lost()
    (update,) = legs.connect().to_upstream
    assert "instructions" not in update["session"], "the first Settings of the bench sets none"
    legs.event("session.updated", session=effective())
    assert [message["type"] for message in legs.open] == ["UpdatePrompt"]
    (sent,) = legs.release((2,), append="More.", name="r2").to_upstream
    assert sent["session"]["instructions"] == "Be kind.\n\nMore."


def test_confirmed_updates_are_restored_together_and_resets_are_left_out() -> None:
    legs = ready()
    for seq, session in ((2, {"instructions": "A"}), (3, {"audio": {"output": {"speed": 1.2}}})):
        legs.say(type="UpdatePrompt", prompt="?")
        legs.translated(seq)
        legs.release((seq,), name=f"r{seq}", **session)
        legs.event("session.updated", session=effective(instructions="A", audio={"output": {"speed": 1.2}}))
    legs.say(type="UpdatePrompt", prompt="?")
    legs.translated(4)
    legs.release((4,), name="r4", audio={"output": {"speed": 1.0, "voice": "cedar"}})
    legs.event("session.updated", session=effective(instructions="A"))
    legs.lost()
    (update,) = legs.connect().to_upstream
    assert update["session"] == {"type": "realtime", "instructions": "A", "audio": {"output": {"voice": "cedar"}}}


def test_items_that_were_not_acknowledged_are_sent_again_and_others_as_they_were() -> None:
    legs = ready()
    legs.asked(2)
    legs.say(type="InjectUserMessage", content="Second")
    legs.translated(3, "item_3")
    legs.lost()
    assert [item["id"] for item in legs.restored()] == ["item_2", "item_3"]
    assert [message["content"] for message in legs.open] == ["Hi", "Second"]
    assert all(request.in_conversation for request in legs.conversation.context.requests)


def test_items_that_arrive_meanwhile_are_sent_once_after_the_transcript() -> None:
    legs = ready()
    legs.lost()
    legs.say(type="InjectUserMessage", content="Meanwhile")
    assert legs.out.to_publish == [2]
    assert legs.translated(2, "item_2").to_upstream == []
    assert legs.connect().to_upstream[0]["type"] == "session.update"
    assert [event["item"]["id"] for event in legs.event("session.updated", session=effective()).to_upstream] == [
        "item_2"
    ]
    request = legs.conversation.context.requests.get(2)
    assert request is not None
    assert not request.in_conversation


def test_a_create_without_a_response_waits_again() -> None:
    legs = ready()
    legs.requested(2)
    legs.lost()
    legs.restored()
    assert types(legs.release(responds=(2,), name="r2").to_upstream) == ["response.create"]


def test_a_create_that_somebody_wanted_to_cancel_is_not_sent_again() -> None:
    legs = ready()
    legs.requested(2)
    legs.say(type="InjectAgentMessage", message="Stop.", behavior="interrupt")
    legs.lost()
    assert [message["type"] for message in legs.open] == ["InjectAgentMessage"]


def test_a_response_of_which_nothing_was_heard_is_asked_for_again() -> None:
    legs = ready()
    event_id = legs.requested(2)
    legs.created("resp_1", event_id)
    assert legs.lost().messages == []
    assert [message["type"] for message in legs.open] == ["UserTurnEnded"]
    assert [item["id"] for item in legs.restored()] == ["item_2"]


def test_given_words_of_which_nothing_was_heard_are_said_again() -> None:
    legs = ready()
    legs.say(type="InjectAgentMessage", message="Good news.", behavior="queue")
    legs.translated(2)
    create = legs.release(responds=(2,), exclusive=True).to_upstream[-1]
    legs.created("resp_1", create["event_id"])
    legs.lost()
    assert [message["message"] for message in legs.open] == ["Good news."]


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT])
def test_a_reply_of_which_a_part_was_heard_is_gone_on_with(dialect: Dialect) -> None:
    legs = ready(dialect)
    legs.created("resp_1", legs.requested(2))
    words(legs, "resp_1", "a1", "One two three four five", 1_000)
    out = legs.lost()
    (text,) = [message for message in out.messages if message["type"] == "ConversationText"]
    assert text["content"] == "One two three", "as much as a second of audio has"
    assert "AgentAudioDone" not in types(out.messages)
    assert legs.open == [{"type": "ReplyCutOff", "heard": "One two three", "rest": None}]
    replayed = legs.restored()
    assert (replayed[-1]["role"], replayed[-1]["content"][0]["text"]) == ("assistant", "One two three")
    legs.translated(3)
    legs.conversation.command(
        SendRelease(
            session="s", release="r2", response=ResponseRequest(append_instructions="Go on.", first=True), responds=(3,)
        ),
        legs.now,
    )
    (create,) = legs.conversation.drain().to_upstream
    assert create["response"]["instructions"] == "Be kind.\n\nGo on."
    out = legs.created("resp_2", create["event_id"])
    assert out.messages == [], "for the client it is the same reply"
    words(legs, "resp_2", "a2", "four five.", 500)
    assert "AgentStartedSpeaking" not in types(legs.out.messages)
    legs.event("response.output_audio.done", response_id="resp_2", item_id="a2")
    assert types(legs.done("resp_2", create["event_id"]).messages).count("AgentAudioDone") == 1


def test_the_rest_of_given_words_is_said() -> None:
    legs = ready()
    legs.say(type="InjectAgentMessage", message="One two three four.", behavior="queue")
    legs.translated(2)
    create = legs.release(responds=(2,), exclusive=True).to_upstream[-1]
    legs.created("resp_1", create["event_id"])
    words(legs, "resp_1", "a1", "One two three", 520)
    legs.lost()
    assert legs.open == [{"type": "ReplyCutOff", "heard": "One two", "rest": "three four."}]
    # It is lost again, with nothing of it heard, and then with a part.
    legs.restored()
    legs.translated(3)
    create = legs.release(responds=(3,), exclusive=True, name="r2").to_upstream[-1]
    legs.created("resp_2", create["event_id"])
    legs.lost()
    assert legs.open == [{"type": "ReplyCutOff", "heard": "One two", "rest": "three four."}]
    legs.restored()
    legs.translated(4)
    create = legs.release(responds=(4,), exclusive=True, name="r3").to_upstream[-1]
    legs.created("resp_3", create["event_id"])
    words(legs, "resp_3", "a3", "three", 1_000)
    legs.lost()
    assert legs.open == [{"type": "ReplyCutOff", "heard": "three", "rest": "four."}]


def test_given_words_that_were_heard_to_their_end_are_over() -> None:
    legs = ready()
    legs.say(type="InjectAgentMessage", message="One.", behavior="queue")
    legs.translated(2)
    create = legs.release(responds=(2,), exclusive=True).to_upstream[-1]
    legs.created("resp_1", create["event_id"])
    words(legs, "resp_1", "a1", "One.", 1_000)
    assert types(legs.lost().messages)[-2:] == ["AgentAudioDone", "AgentDone"]
    assert legs.open == []


def test_words_that_were_not_said_as_given_are_gone_on_with_by_the_model() -> None:
    legs = ready()
    legs.say(type="InjectAgentMessage", message="One two.", behavior="queue")
    legs.translated(2)
    create = legs.release(responds=(2,), exclusive=True).to_upstream[-1]
    legs.created("resp_1", create["event_id"])
    words(legs, "resp_1", "a1", "Well, one", 1_000)
    legs.lost()
    assert legs.open == [{"type": "ReplyCutOff", "heard": "Well, one", "rest": None}]


def test_a_reply_that_had_called_functions_is_over_and_its_calls_stay_open() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    legs.call("resp_1", "call_1")
    legs.lost()
    assert legs.open == []
    replayed = legs.restored()
    assert [item.get("call_id") for item in replayed[1:]] == ["call_1"]
    legs.say(type="FunctionCallResponse", id="call_1", name="f", content="ok")
    item = {"id": "out_1", "type": "function_call_output", "call_id": "call_1", "output": "ok"}
    assert list(legs.conversation.context.calls.open) == ["call_1"]
    legs.conversation.context.add_item(item)
    legs.item("out_1", "function_call_output", call_id="call_1")
    assert list(legs.conversation.context.calls.open) == []


def test_a_call_whose_arguments_were_not_complete_was_never_made() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    item = {"id": "fc_1", "type": "function_call", "status": "in_progress", "call_id": "call_1", "name": "f"}
    legs.event("response.output_item.added", response_id="resp_1", item=item)
    legs.lost()
    assert [message["type"] for message in legs.open] == ["UserTurnEnded"]
    assert [item["id"] for item in legs.restored()] == ["item_2"]


def test_a_committed_turn_that_waits_for_its_answer_is_answered() -> None:
    legs = ready()
    committed(legs)
    assert legs.slot is Slot.PROMISED
    assert legs.lost().to_publish == [2]
    assert legs.open == [{"type": "UserTurnEnded"}]
    legs.restored()
    legs.translated(2)
    assert types(legs.release(responds=(2,), name="r2").to_upstream) == ["response.create"]


def test_what_the_user_said_is_replayed_as_text_or_as_audio() -> None:
    legs = ready()
    legs.conversation.client_audio(bytes(48 * 900), legs.now)
    committed(legs, "audio_1")
    legs.event(
        "conversation.item.input_audio_transcription.completed", item_id="audio_1", content_index=0, transcript="Hello"
    )
    legs.created("resp_1")
    legs.done("resp_1")
    legs.conversation.client_audio(bytes(48 * 900), legs.now)
    legs.event("input_audio_buffer.speech_started", item_id="audio_2", audio_start_ms=900)
    legs.event("input_audio_buffer.speech_stopped", item_id="audio_2", audio_end_ms=1_000)
    legs.event("input_audio_buffer.committed", item_id="audio_2")
    legs.lost()
    first, second = legs.restored()
    assert first["content"] == [{"type": "input_text", "text": "Hello"}]
    assert (second["content"][0]["type"], len(second["content"][0]["audio"])) == ("input_audio", 48 * 100 * 4 // 3)


def test_speech_goes_on_with_its_audio_and_is_not_announced_again() -> None:
    legs = ready()
    audio = bytes(range(240)) * 20
    legs.conversation.client_audio(audio, legs.now)
    legs.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    legs.lost()
    assert legs.conversation.context.turn.user_speaking
    assert legs.conversation.client_audio(b"\1\2", legs.now) == b""
    legs.connect()
    out = legs.event("session.updated", session=effective())
    assert types(out.to_upstream) == ["input_audio_buffer.append"] * 2, "what was said, and what came since"
    out = legs.event("input_audio_buffer.speech_started", item_id="audio_9", audio_start_ms=0)
    assert out.messages == []
    legs.event("input_audio_buffer.speech_stopped", item_id="audio_9", audio_end_ms=50)
    legs.event("input_audio_buffer.committed", item_id="audio_9")
    assert legs.slot is Slot.PROMISED
    assert types(legs.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=90).messages) == [
        "UserStartedSpeaking"
    ]


def test_a_turn_that_had_ended_and_was_not_committed_goes_on() -> None:
    legs = ready()
    legs.conversation.client_audio(bytes(48 * 100), legs.now)
    legs.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    legs.event("input_audio_buffer.speech_stopped", item_id="audio_1", audio_end_ms=90)
    legs.lost()
    assert legs.conversation.context.turn.user_speaking


def test_speech_that_the_next_connection_does_not_hear_is_committed() -> None:
    legs = ready()
    legs.conversation.client_audio(bytes(48 * 100), legs.now)
    legs.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    legs.lost()
    legs.restored()
    assert types(legs.wait(LIMITS.promise).to_upstream) == ["input_audio_buffer.commit"]
    legs.event("input_audio_buffer.committed", item_id="audio_9")
    assert legs.open == [{"type": "UserTurnEnded"}]


def test_a_turn_that_the_client_has_ended_meanwhile_is_committed() -> None:
    legs = ready()
    legs.conversation.client_audio(bytes(48 * 100), legs.now)
    legs.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    legs.lost()
    assert legs.say(type="ForceEndTurn").to_upstream == []
    legs.connect()
    out = legs.event("session.updated", session=effective())
    assert types(out.to_upstream) == ["input_audio_buffer.append", "input_audio_buffer.commit"]


def test_of_speech_that_is_too_long_the_client_is_told() -> None:
    legs = Legs(limits=Limits(reconnect=30.0, early_audio=4_800))
    legs.configured()
    legs.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    for _ in range(3):
        legs.conversation.client_audio(bytes(2_400), legs.now)
    legs.lost()
    legs.connect()
    out = legs.event("session.updated", session=effective())
    assert [message["code"] for message in out.messages] == ["AUDIO_DROPPED"]


def test_an_interruption_while_there_is_no_connection_is_true_of_the_transcript() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    words(legs, "resp_1", "a1", "One two three four five six seven", 2_000)
    legs.lost()
    legs.now += 0.5
    out = legs.say(type="InjectAgentMessage", message="Stop.", behavior="interrupt")
    assert out.to_upstream == []
    assert types(out.messages)[-2:] == ["AgentAudioDone", "AgentDone"]
    assert [message["type"] for message in legs.open] == ["InjectAgentMessage"], "nothing goes on with that reply"
    assert legs.restored()[-1]["content"][0]["text"] == "One"
