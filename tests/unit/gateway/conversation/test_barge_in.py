"""Barge-in: the upstream's memory, the client's words and the open calls end where the user stopped listening."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialect import AGENT, COMPONENT, Dialect
from tests.unit.gateway.bench import Bench, types
from turngate.protocol.messages import Slot


def speaking(dialect: Dialect = AGENT, *, ms: float = 4000, words: str = "One two three four.") -> Bench:
    """A reply in progress, of which so much audio went to the client at second 10."""
    bench = Bench(dialect).configured()
    bench.wait(10)
    bench.created("resp_1")
    bench.event("response.output_audio_transcript.delta", **_part(), delta=words)
    bench.audio("resp_1", "item_1", ms)
    return bench


def _part(item_id: str = "item_1") -> dict[str, Any]:
    return {"response_id": "resp_1", "item_id": item_id, "output_index": 0, "content_index": 0}


def onset(bench: Bench) -> Any:
    return bench.event("input_audio_buffer.speech_started", item_id="user_1", audio_start_ms=0)


def truncations(bench: Bench) -> list[tuple[str, int]]:
    return [
        (event["item_id"], event["audio_end_ms"])
        for event in bench.out.to_upstream
        if event["type"] == "conversation.item.truncate"
    ]


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT])
def test_the_upstream_forgets_what_was_not_heard_and_the_client_gets_the_words_that_were(dialect: Dialect) -> None:
    bench = speaking(dialect)
    bench.now += 2
    out = onset(bench)
    assert truncations(bench) == [("item_1", 2000)]
    history = ["History"] if dialect is AGENT else []
    assert types(out.messages) == ["ConversationText", *history, "UserStartedSpeaking"]
    assert out.messages[0]["content"] == "One two"
    assert bench.conversation.downlink.audio("resp_1", "item_1", bench.now) is None


def test_a_finished_response_is_still_cut_while_it_plays() -> None:
    bench = speaking()
    bench.event("response.output_audio.done", **_part())
    bench.event("response.output_audio_transcript.done", **_part(), transcript="One two three four.")
    bench.done("resp_1")
    assert types(bench.out.messages) == ["ConversationText", "History", "AgentAudioDone"]
    bench.now += 1
    out = onset(bench)
    assert truncations(bench) == [("item_1", 1000)]
    assert types(out.messages) == ["UserStartedSpeaking"], "it was told all the words before"
    bench.now += 1
    onset(bench)
    assert truncations(bench) == []


def test_nothing_is_cut_from_a_reply_that_was_heard_or_that_had_no_sound() -> None:
    bench = speaking(ms=1000)
    bench.event("response.output_audio.done", **_part())
    bench.done("resp_1")
    bench.now += 1
    onset(bench)
    assert truncations(bench) == []
    bench.created("resp_2")
    onset(bench)
    assert truncations(bench) == []


def test_every_item_of_the_reply_is_cut_at_its_own_place() -> None:
    bench = speaking(ms=1000)
    bench.event("response.output_audio.done", **_part())
    bench.audio("resp_1", "item_2", 1000)
    bench.audio("resp_1", "item_3", 1000)
    bench.now += 1.5
    onset(bench)
    assert truncations(bench) == [("item_2", 500), ("item_3", 0)]


def test_a_truncation_that_the_upstream_refuses_is_not_the_clients_business() -> None:
    bench = speaking()
    (sent,) = onset(bench).to_upstream
    assert bench.error("invalid_value", sent["event_id"]).messages == []


def test_words_of_the_agents_own_that_interrupt_cut_in_the_same_way() -> None:
    bench = speaking()
    bench.now += 2
    out = bench.say(type="InjectAgentMessage", message="Stop!", behavior="interrupt")
    assert types(out.to_upstream) == ["response.cancel", "conversation.item.truncate"]
    assert truncations(bench) == [("item_1", 2000)]
    assert types(out.messages) == ["ConversationText", "History", "AgentAudioDone"]
    assert bench.conversation.downlink.audio("resp_1", "item_1", bench.now) is None
    assert bench.done("resp_1", status="cancelled").messages == []


def test_words_of_the_agents_own_that_interrupt_what_only_plays() -> None:
    bench = speaking()
    bench.event("response.output_audio.done", **_part())
    bench.done("resp_1")
    bench.now += 1
    out = bench.say(type="InjectAgentMessage", message="Stop!", behavior="interrupt")
    assert (types(out.to_upstream), out.messages) == (["conversation.item.truncate"], [])


# --- function calls of a reply that was interrupted ---


def calling(*call_ids: str) -> Bench:
    bench = Bench(AGENT).configured()
    bench.created("resp_1")
    for call_id in call_ids:
        bench.call("resp_1", call_id)
    return bench


def test_calls_of_a_cancelled_reply_are_void_and_the_model_is_told() -> None:
    bench = calling("call_1", "call_2")
    bench.say(type="FunctionCallResponse", id="call_1", name="f", content="1")
    assert types(onset(bench).messages) == ["UserStartedSpeaking"]
    out = bench.done("resp_1", status="cancelled")
    assert out.messages == [{"type": "FunctionCallCancelled", "functions": [{"id": "call_2", "name": "f"}]}]
    (told,) = out.to_upstream
    assert (told["item"]["type"], told["item"]["call_id"]) == ("function_call_output", "call_2")
    assert bench.conversation.record().open_calls == ("call_1",), "its result was given, and is on its way"
    assert bench.error("invalid_tool_call_id", told["event_id"]).messages == []
    late = bench.say(type="FunctionCallResponse", id="call_2", name="f", content="2")
    assert (late.messages, late.to_publish) == ([], [])
    assert bench.wait(31).messages == [], "nobody waits for it any more"


def test_calls_of_a_reply_that_ran_to_its_end_are_still_needed_whatever_the_user_says() -> None:
    bench = calling("call_1")
    onset(bench)
    assert bench.done("resp_1").messages == []
    assert bench.conversation.record().open_calls == ("call_1",)
    assert types(bench.say(type="FunctionCallResponse", id="call_1", name="f", content="1").messages) == [
        "FunctionCallResponse",
        "History",
    ]


def test_a_call_that_a_completed_reply_made_after_the_user_spoke_up_is_requested() -> None:
    bench = calling()
    onset(bench)
    assert bench.call("resp_1", "call_1").messages == []
    item = {"id": "fc", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "f"}
    response = {"id": "resp_1", "status": "completed", "conversation_id": "c", "output": [item]}
    out = bench.event("response.done", response=response)
    assert [message["type"] for message in out.messages if message["type"] != "LatencyReport"] == [
        "FunctionCallRequest"
    ]
    assert bench.conversation.record().open_calls == ("call_1",)
    assert bench.conversation.record().slot is Slot.IDLE


def test_a_piece_without_audio_is_nothing_that_could_be_heard() -> None:
    """It announces no speech, and its item is not truncated, which the upstream would refuse."""
    bench = Bench().configured()
    bench.created("resp_1")
    assert bench.audio("resp_1", "item_1", 0).to_client == []
    out = bench.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    assert "conversation.item.truncate" not in types(out.to_upstream)
