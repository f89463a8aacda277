"""What becomes of everything under way when the upstream's connection is lost: the table of `upstream_legs`, by row."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.counters import Counters
from gateway.conversation.effects import SESSION_OVER, Ending, UpstreamProblem
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT, Dialect
from tests.unit.gateway.bench import SETTINGS, Bench, Out, committed, effective, types
from turngate.protocol.messages import ResponseRequest, SendRelease, Slot

CLOSED = UpstreamProblem("upstream_closed", "gone", 1011, early=True)
LIMITS = Limits(reconnect=30.0, retry=0.0)


class Legs(Bench):
    """A bench whose connections may be lost."""

    def __init__(self, dialect: Dialect = COMPONENT, limits: Limits = LIMITS, counters: Counters | None = None) -> None:
        super().__init__(dialect, limits, counters)

    def lost(self, problem: UpstreamProblem = CLOSED) -> Out:
        self.conversation.upstream_closed(problem, self.now)
        return self._drain()

    def connect(self) -> Out:
        """Another connection has begun a session."""
        return self.event("session.created", session={})

    def restored(self) -> list[dict[str, Any]]:
        """Another connection is where the conversation is. Returns the items that were replayed."""
        (update,) = self.connect().to_upstream
        assert update["type"] == "session.update"
        out = self.event("session.updated", session=effective())
        items = [event["item"] for event in out.to_upstream if "item" in event]
        for item in items:
            self.event("conversation.item.added", item=item)
        assert self.slot is not Slot.RECONNECTING
        return items

    @property
    def slot(self) -> Slot:
        return self.conversation.context.turn.slot

    @property
    def open(self) -> list[dict[str, Any]]:
        """The messages of the open requests."""
        return [request.message for request in self.conversation.context.requests]


def ready(dialect: Dialect = COMPONENT) -> Legs:
    legs = Legs(dialect)
    legs.configured()
    return legs


def words(legs: Legs, response_id: str, item_id: str, text: str, ms: float) -> None:
    """The agent says this; so much of its audio has arrived."""
    legs.event(
        "response.output_audio_transcript.delta",
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=0,
        delta=text,
    )
    legs.audio(response_id, item_id, ms)


# --- the rows


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


# --- what the client is told, and when it is over


def test_the_client_hears_of_it_after_a_second_and_when_it_is_over() -> None:
    times: list[float] = []
    counters = Counters(restore_time=times.append)
    legs = Legs(counters=counters)
    legs.configured()
    assert legs.lost().messages == []
    assert [message["code"] for message in legs.wait(1.0).messages] == ["UPSTREAM_RECONNECTING"]
    legs.now += 2.0
    legs.connect()
    out = legs.event("session.updated", session=effective())
    assert "3.0 s" in out.messages[-1]["description"]
    assert (counters.restored, counters.legs_lost, times) == (1, {"upstream_closed": 1}, [3.0])


def test_it_is_given_up_when_it_takes_too_long() -> None:
    legs = ready()
    legs.lost()
    legs.wait(1.0)
    out = legs.wait(29.0)
    assert (out.messages[-1]["code"], out.ending) == ("upstream_closed", Ending(1011, "upstream_closed"))
    assert legs.slot is Slot.CLOSED


def test_a_connection_that_does_not_answer_is_replaced() -> None:
    legs = ready()
    legs.lost()
    legs.connect()
    out = legs.wait(LIMITS.reply)
    assert out.renew_upstream
    assert legs.slot is Slot.RECONNECTING
    legs.restored()


def test_a_connection_that_cannot_be_had_is_dialled_again_without_being_counted() -> None:
    legs = ready()
    for _ in range(10):
        assert legs.lost().renew_upstream
    legs.connect()
    # A server that does not show its configuration has it all the same.
    legs.event("session.updated", session={})
    assert (legs.slot, legs.conversation.context.upstream_config.confirmed) == (Slot.IDLE, effective())


def test_a_connection_that_refuses_the_configuration_is_replaced() -> None:
    legs = ready()
    legs.lost()
    (update,) = legs.connect().to_upstream
    out = legs.error("server_error", update["event_id"])
    assert (out.renew_upstream, out.messages) == (True, [])
    legs.restored()


def test_an_item_that_is_refused_is_left_out_and_its_request_is_told() -> None:
    counters = Counters()
    legs = Legs(counters=counters)
    legs.configured()
    legs.asked(2)
    legs.created("resp_1", str(legs.release(responds=(2,)).to_upstream[-1]["event_id"]))
    legs.done("resp_1")
    legs.say(type="InjectUserMessage", content="Second")
    legs.translated(3, "item_3")
    legs.lost()
    legs.connect()
    legs.event("session.updated", session=effective())
    assert legs.error("invalid_value", "item_2").messages == []
    out = legs.error("invalid_value", "item_3")
    assert out.messages[0]["code"] == "invalid_value"
    assert (legs.slot, counters.items_left_out) == (Slot.IDLE, 2)


@pytest.mark.parametrize(
    "problem",
    [UpstreamProblem("insufficient_quota", "no", 1000), UpstreamProblem("invalid_api_key", "no", 1000)],
)
def test_a_refusal_that_cannot_heal_ends_the_session(problem: UpstreamProblem) -> None:
    legs = ready()
    legs.lost()
    out = legs.lost(problem)
    assert (out.messages[-1]["code"], out.ending) == (problem.code, Ending(1000, problem.code))


def test_the_end_of_the_upstreams_session_is_a_loss_like_any_other() -> None:
    legs = ready()
    assert legs.lost(SESSION_OVER).renew_upstream
    legs.restored()
    legs.created("resp_1", legs.requested(2))
    assert not legs.error("session_expired").renew_upstream, "the reply may come to its end"
    assert legs.done("resp_1").renew_upstream
    assert legs.slot is Slot.RECONNECTING


def test_connections_that_die_of_what_is_replayed_are_not_dialled_for_ever() -> None:
    legs = ready()
    for _ in range(6):
        assert legs.lost().renew_upstream
        legs.restored()
    assert legs.lost().ending == Ending(1011, "upstream_closed")


def test_a_completed_response_and_time_allow_more() -> None:
    legs = ready()
    for _ in range(6):
        legs.lost()
        legs.restored()
    legs.created("resp_1", legs.requested(2))
    legs.done("resp_1")
    for _ in range(6):
        assert legs.lost().renew_upstream
        legs.restored()
    legs.now += 61.0
    assert legs.lost().renew_upstream


def test_without_a_first_session_and_after_the_end_no_other_connection_is_opened() -> None:
    assert Legs().lost().ending is not None
    legs = ready()
    legs.conversation.end(1000, "")
    assert not legs.lost().renew_upstream
    never = Legs(limits=Limits(reconnect=0.0))
    never.configured()
    assert never.lost().ending is not None


def test_reasons_are_counted_by_name_up_to_a_number() -> None:
    counters = Counters()
    legs = Legs(counters=counters)
    legs.configured()
    for number in range(40):
        legs.lost(UpstreamProblem(f"code_{number}", "x", 1011))
        legs.restored()
        legs.now += 61.0
    assert len(counters.legs_lost) == 33
    assert counters.legs_lost["other"] == 8


def test_the_rest_of_a_reply_that_cannot_be_asked_for_is_over() -> None:
    legs = Legs(limits=Limits(reconnect=30.0, requests=1, calls=0))
    legs.configured()
    legs.created("resp_1")
    words(legs, "resp_1", "a1", "One two three", 1_000)
    legs.say(type="InjectUserMessage", content="Fills the limit")
    out = legs.lost()
    assert types(out.messages)[-2:] == ["AgentAudioDone", "AgentDone"]
    assert "TOO_MANY_REQUESTS" in [message.get("code") for message in out.messages]


def test_a_rest_that_is_refused_ends_the_reply() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    words(legs, "resp_1", "a1", "One two three", 1_000)
    legs.lost()
    legs.restored()
    legs.translated(3)
    (create,) = legs.release(responds=(3,), name="r2").to_upstream
    out = legs.error("server_error", create["event_id"])
    assert types(out.messages) == ["AgentAudioDone", "AgentDone", "Error"]
    assert out.messages[-1]["description"].startswith("The rest of the reply")


def test_a_reply_whose_audio_was_not_closed_is_ended() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    words(legs, "resp_1", "a1", "One", 1_000)
    legs.done("resp_1")
    assert types(legs.lost().messages) == ["AgentAudioDone", "AgentDone"]
    assert legs.open == []


def test_a_greeting_that_was_lost_is_still_the_greeting() -> None:
    legs = Legs(AGENT)
    legs.configured(agent={**SETTINGS["agent"], "greeting": "Welcome."})
    legs.translated(2)
    create = legs.release(responds=(2,), exclusive=True, name="r2").to_upstream[-1]
    legs.created("resp_1", create["event_id"])
    legs.lost()
    legs.restored()
    legs.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    assert legs.open == [], "the user was faster"


def test_a_greeting_that_was_heard_is_over() -> None:
    legs = Legs(AGENT)
    legs.configured(agent={**SETTINGS["agent"], "greeting": "Welcome."})
    legs.translated(2)
    create = legs.release(responds=(2,), exclusive=True, name="r2").to_upstream[-1]
    legs.created("resp_1", create["event_id"])
    words(legs, "resp_1", "a1", "Welcome.", 2_000)
    legs.lost()
    assert legs.open == []


def test_what_was_heard_of_a_reply_whose_text_is_complete_is_all_of_it() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    words(legs, "resp_1", "a1", "One two three.", 2_000)
    legs.event("response.output_audio_transcript.done", response_id="resp_1", item_id="a1", transcript="One two three.")
    legs.event("response.output_audio.done", response_id="resp_1", item_id="a1")
    legs.now += 5.0
    legs.lost()
    assert legs.open == [{"type": "ReplyCutOff", "heard": "One two three.", "rest": None}]


def test_a_reply_that_ended_meanwhile_is_not_gone_on_with() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    words(legs, "resp_1", "a1", "One two three", 1_000)
    legs.lost()
    legs.restored()
    assert types(legs.created("resp_2").messages)[:1] == ["AgentAudioDone"] or legs.open == []
    legs.conversation.context.downlink.end()
    legs.conversation.context.downlink.replies.go_on("resp_3", legs.now)
    assert not legs.conversation.context.downlink.replies.mutes("resp_3")


def test_an_injected_message_is_refused_with_the_reason() -> None:
    legs = ready()
    legs.lost()
    (refused,) = legs.say(type="InjectAgentMessage", message="Hello").messages
    assert "being renewed" in refused["message"]


def test_calls_that_are_cancelled_meanwhile_have_an_output_in_the_transcript() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    legs.call("resp_1", "call_1")
    legs.done("resp_1", status="cancelled")
    legs.lost()
    assert [item["type"] for item in legs.restored()] == ["message", "function_call", "function_call_output"]


def test_a_reply_that_failed_without_a_word_leaves_nothing() -> None:
    legs = Legs(limits=Limits(reconnect=30.0))
    legs.configured()
    legs.created("resp_1", legs.requested(2))
    legs.event(
        "response.output_audio_transcript.delta",
        response_id="resp_1",
        item_id="a1",
        output_index=0,
        content_index=0,
        delta="Unheard",
    )
    response = {
        "id": "resp_1",
        "status": "failed",
        "conversation_id": "conv",
        "output": [],
        "status_details": {"type": "failed", "error": {"type": "server_error", "code": "server_error"}},
    }
    legs.event("response.done", response=response)
    legs.lost()
    assert [item["id"] for item in legs.restored()] == ["item_2"]


def test_texts_are_kept_however_the_upstream_sends_them() -> None:
    legs = ready()
    legs.created("resp_1", legs.requested(2))
    legs.event("response.output_text.delta", response_id="resp_1", item_id="a1", delta="On")
    legs.event("response.output_text.done", response_id="resp_1", item_id="a1", text="One.")
    spoken = {"response_id": "resp_1", "item_id": "a2", "transcript": "Two."}
    legs.event("response.output_audio_transcript.done", **spoken)
    message = {"id": "a3", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "3."}]}
    legs.event("response.output_item.done", response_id="resp_1", item=message)
    legs.event("response.output_text.delta", response_id="resp_0", item_id="a4", delta="Of another response")
    legs.done("resp_1")
    legs.lost()
    assert [item["content"][0]["text"] for item in legs.restored()[1:]] == ["One.", "Two.", "3."]
