"""Replies in the middle of which the upstream's connection is lost: what is left of them."""

from __future__ import annotations

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from tests.unit.gateway.bench import SETTINGS, types, words
from tests.unit.gateway.legs_bench import Legs, ready


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
