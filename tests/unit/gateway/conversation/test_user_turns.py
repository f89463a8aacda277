"""The user's audio turns in a conversation: who owes them an answer, and what answers them."""

from __future__ import annotations

from gateway.conversation.limits import Limits
from tests.unit.gateway.bench import RACE, SETTINGS, Bench, committed, effective, types
from turngate.protocol.messages import Slot


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
    assert bench.conversation.context.requests.answerable() == []
    bench.item("audio_1")
    assert bench.conversation.context.requests.answerable() == [3]


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
    assert bench.out.messages[-1]["code"] == "TOO_MANY_REQUESTS"


def test_a_turn_that_the_upstream_owes_an_answer_is_asked_for_when_none_comes() -> None:
    bench = Bench().configured()
    committed(bench)
    bench.item("audio_1")
    assert bench.out.to_publish == []
    assert bench.wait(3).to_publish == [2]
    assert bench.conversation.context.requests.answerable() == [2]
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
    assert out.messages == []
    assert bench.conversation.record().open_configuration == (2,)
    assert bench.conversation.record().configuring_seq is None


def test_an_update_that_met_a_response_which_is_not_announced_waits_for_it() -> None:
    bench = Bench().configured()
    bench.say(type="UpdateSpeak", speak={"provider": {"type": "open_ai", "speed": 1.2}})
    bench.translated(2)
    (sent,) = bench.release((2,), audio={"output": {"speed": 1.2}}).to_upstream
    out = bench.error("invalid_value", sent["event_id"], param="session.audio.output.speed")
    assert out.messages == []
    assert bench.conversation.record().slot is Slot.PROMISED
    assert bench.conversation.record().open_configuration == (2,)


def test_a_commit_without_an_item_needs_no_acknowledgement() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.event("input_audio_buffer.committed")
    assert bench.conversation.context.requests.answerable() == [2]


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


def test_the_silence_after_a_turn_that_was_ended_by_hand_is_not_taken_for_that_turn() -> None:
    bench = Bench().configured()
    bench.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    bench.say(type="ForceEndTurn")
    # The commit of ours ends the speech: it does not cross one of the upstream's own.
    bench.event("input_audio_buffer.speech_stopped", item_id="audio_1", audio_end_ms=900)
    bench.event("input_audio_buffer.committed", item_id="audio_1")
    bench.item("audio_1")
    bench.translated(2)
    bench.created("resp_1", bench.release(responds=(2,)).to_upstream[-1]["event_id"])
    bench.done("resp_1")
    bench.event("input_audio_buffer.timeout_triggered", item_id="idle", audio_start_ms=0, audio_end_ms=1)
    assert bench.event("input_audio_buffer.committed", item_id="idle").to_publish == []
    assert bench.conversation.record().slot is Slot.PROMISED


def test_an_interrupted_answer_to_the_first_of_two_turns_leaves_the_second_unanswered() -> None:
    bench = Bench().configured()
    create = bench.requested(2)
    for audio in ("audio_1", "audio_2"):
        committed(bench, audio)
        bench.item(audio)
    bench.error(RACE, create)
    bench.created("resp_1")
    assert bench.conversation.record().open_responses == (), "from here it looks like the answer to all of it"
    interrupted = {"id": "resp_1", "status": "cancelled", "conversation_id": "conv", "output": []}
    bench.event("response.done", response=interrupted | {"status_details": {"reason": "turn_detected"}})
    assert bench.wait(3).to_publish == [5]
    assert bench.conversation.context.requests.answerable() == [5]


def test_a_later_turn_whose_answer_may_have_met_our_create_is_asked_for() -> None:
    """Two turns are committed while our create is out; the answer to the first is cancelled by the second."""
    bench = Bench().configured()
    create = bench.requested(2)
    committed(bench, "audio_1")
    committed(bench, "audio_2")
    bench.created("resp_1")
    response: dict[str, object] = {
        "id": "resp_1",
        "status": "cancelled",
        "status_details": {"type": "cancelled", "reason": "turn_detected"},
        "conversation_id": "conv",
        "metadata": None,
        "output": [],
    }
    bench.event("response.done", response=response)
    assert bench.conversation.record().slot is Slot.REQUESTED
    bench.error(RACE, create)
    assert bench.conversation.record().open_responses != (), "somebody asks for the answer to the second turn"
