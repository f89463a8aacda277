"""An upstream that answers in text once an assistant's message was restored."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.effects import UpstreamProblem
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from tests.unit.gateway.bench import Bench, effective, types
from turngate.protocol.messages import Slot


def restored(**session: Any) -> Bench:
    """A conversation with a reply and an open call, restored on another connection."""
    bench = Bench(AGENT, Limits(reconnect=30.0)).configured()
    bench.created("resp_1", bench.requested(2))
    delta = {"response_id": "resp_1", "item_id": "a1", "delta": "Hello there"}
    bench.event("response.output_audio_transcript.delta", **delta)
    bench.audio("resp_1", "a1", 1_000)
    bench.call("resp_1", "call_1")
    bench.done("resp_1")
    again(bench, **session)
    return bench


def again(bench: Bench, **session: Any) -> list[dict[str, Any]]:
    """Another connection takes the place of this one; the items that are restored there."""
    bench.conversation.upstream_closed(UpstreamProblem("upstream_closed", "gone", 1011), bench.now)
    bench.conversation.drain()
    bench.event("session.created", session={})
    out = bench.event("session.updated", session=effective(**session))
    items = [event["item"] for event in out.to_upstream if "item" in event]
    for item in items:
        bench.event("conversation.item.added", item=item)
    assert bench.conversation.context.turn.slot is Slot.IDLE
    return items


def text(bench: Bench, response_id: str) -> list[dict[str, Any]]:
    """The reply is text; all that the client is told of it."""
    told = bench.event("response.output_text.delta", response_id=response_id, item_id="t1", delta="Typed").messages
    told += bench.event("response.output_text.done", response_id=response_id, item_id="t1", text="Typed").messages
    message = {
        "id": "t1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Typed"}],
    }
    response = {"id": response_id, "status": "completed", "conversation_id": "conv", "output": [message]}
    return told + bench.event("response.done", response=response).messages


def test_the_reply_is_not_passed_on_and_asked_for_again_with_another_history() -> None:
    bench = restored()
    bench.created("resp_2", bench.requested(3))
    assert text(bench, "resp_2") == []
    out = bench.out
    deletes = [event["item_id"] for event in out.to_upstream if event["type"] == "conversation.item.delete"]
    assert sorted(deletes) == ["a1", "item_2", "t1"]
    (created,) = [event for event in out.to_upstream if event["type"] == "conversation.item.create"]
    assert created["previous_item_id"] == "root"
    history = created["item"]["content"][0]["text"]
    assert "User: Hi\nYou: Hello there" in history
    assert out.to_publish == [4]
    # The next one is audio, and another connection gets the message at once.
    bench.translated(4)
    (create,) = bench.release(responds=(4,), name="r4").to_upstream
    bench.created("resp_3", create["event_id"])
    assert "AgentStartedSpeaking" in types(bench.audio("resp_3", "a3", 100).messages)
    bench.done("resp_3")
    assert [item["id"] for item in again(bench)][:2] == ["history", "call_1"]


@pytest.mark.parametrize("session", [{"output_modalities": ["text"]}, {}])
def test_text_is_right_where_it_was_asked_for_or_the_upstream_has_spoken(session: dict[str, Any]) -> None:
    bench = restored(**session)
    if not session:
        bench.created("resp_2", bench.requested(3))
        bench.event("response.output_audio_transcript.delta", response_id="resp_2", item_id="a2", delta="Spoken")
        bench.audio("resp_2", "a2", 100)
        bench.done("resp_2")
    bench.created("resp_3")
    assert "ConversationText" in types(text(bench, "resp_3"))


@pytest.mark.parametrize("late", [False, True])
def test_text_is_right_where_audio_was_asked_for_after_the_reply_had_begun(late: bool) -> None:
    """The upstream's own reply begins while the change is on its way. ``late``: its beginning is announced after."""
    bench = restored(output_modalities=["text"])
    bench.say(type="UpdateThink", think={"provider": {"type": "open_ai", "model": "gpt-realtime"}})
    change = {"output_modalities": ["audio"]}
    if late:
        bench.event("session.updated", session=effective(**change))
    bench.created("resp_2")
    if not late:
        bench.event("session.updated", session=effective(**change))
    assert "ConversationText" in types(text(bench, "resp_2"))
    # It does not show that the upstream speaks.
    bench.created("resp_3")
    assert text(bench, "resp_3") == []


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_a_reply_without_words_proves_it_if_it_is_complete(status: str) -> None:
    bench = restored()
    bench.created("resp_2")
    bench.done("resp_2", status=status)
    bench.created("resp_3")
    assert ("ConversationText" in types(text(bench, "resp_3"))) == (status == "completed")


def test_without_an_assistants_message_nothing_is_wrong_with_text() -> None:
    bench = Bench(AGENT, Limits(reconnect=30.0)).configured()
    again(bench)
    bench.created("resp_1")
    assert "ConversationText" in types(text(bench, "resp_1"))


def test_items_of_open_requests_stay_by_themselves() -> None:
    bench = Bench(AGENT, Limits(reconnect=30.0, restore_as_message=True)).configured()
    assert again(bench) == []
    bench.say(type="InjectUserMessage", content="Hi")
    bench.translated(2, "item_2")
    bench.created("resp_1")
    bench.event("response.output_audio_transcript.delta", response_id="resp_1", item_id="a1", delta="Hello")
    bench.audio("resp_1", "a1", 1_000)
    bench.done("resp_1")
    assert [item["id"] for item in again(bench)] == ["history", "item_2"]
    request = bench.conversation.context.requests.get(2)
    assert request is not None
    assert request.in_conversation
