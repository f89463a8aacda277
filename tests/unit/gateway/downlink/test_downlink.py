"""Replies: the client hears each once, in order, and nothing of one that is dead."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialect import AGENT, COMPONENT, Dialect
from tests.unit.gateway import upstream
from tests.unit.gateway.client import Client
from turngate.protocol.openai.server_events import ServerEvent, parse_server_event

# --- a reply ---------------------------------------------------------------------------------------------------------


def test_a_spoken_reply_from_beginning_to_end() -> None:
    client = Client()
    empty = upstream.spoken() | {"content": [], "status": "in_progress"}
    assert client.hears(upstream.created(), upstream.item_added(empty)) == []
    assert client.hears(upstream.output("output_audio_transcript.delta", delta="Hel")) == []
    assert client.audio() == ["AgentStartedSpeaking"]
    assert client.audio() == []
    assert client.hears(upstream.output("output_audio.done")) == []
    assert client.hears(upstream.output("output_audio_transcript.done", transcript="Hello.")) == []
    assert client.hears(upstream.item_done(upstream.spoken())) == ["ConversationText"]
    assert client.hears(upstream.output_item_done(upstream.spoken())) == []
    assert client.hears(upstream.done(output=[upstream.spoken()])) == ["AgentAudioDone"]
    assert client.texts() == [("assistant", "Hello.")]


def test_audio_may_be_what_comes_first() -> None:
    client = Client(COMPONENT)
    client.hears(upstream.created())
    assert client.audio() == ["AgentStartedSpeaking"]
    assert client.audio() == []
    assert client.hears(upstream.output("output_audio_transcript.delta", delta="Hel")) == []


def test_a_written_reply() -> None:
    client = Client(COMPONENT)
    item = upstream.spoken() | {"content": [{"type": "output_text", "text": "Hello."}]}
    client.hears(upstream.created(), upstream.item_added(item))
    assert client.hears(upstream.output("output_text.delta", delta="He")) == ["AgentStartedSpeaking"]
    assert client.hears(upstream.output("output_text.done", text="Hello."), upstream.item_done(item)) == [
        "ConversationText"
    ]
    assert client.hears(upstream.done(output=[item])) == ["AgentAudioDone", "AgentDone"]


def test_latency_counts_from_the_end_of_the_users_turn() -> None:
    measured: list[float] = []
    client = Client(reply_latency=measured.append)
    client.hears(upstream.speech_started(), upstream.speech_stopped(), upstream.created())
    client.audio()
    assert client.last("AgentStartedSpeaking") == {
        "type": "AgentStartedSpeaking",
        "total_latency": 2.0,
        "ttt_latency": 1.0,
        "tts_latency": 0.0,
    }
    client.hears(upstream.done(), upstream.created("resp_2"))
    client.audio(response_id="resp_2")
    assert client.last("AgentStartedSpeaking")["total_latency"] == 1.0, "one turn of the user counts for one reply"
    assert measured == [2.0]


def test_the_end_of_the_response_is_not_the_end_of_its_audio() -> None:
    client = Client(COMPONENT)
    client.hears(upstream.created())
    client.audio("item_1")
    client.audio("item_2")
    assert client.hears(upstream.output("output_audio.done", "item_1")) == []
    assert client.hears(upstream.done()) == []
    assert client.audio("item_2") == []
    assert client.hears(upstream.output("output_audio.done", "item_2")) == ["AgentAudioDone", "AgentDone"]
    assert client.audio("item_2") is None
    assert client.hears(upstream.output("output_audio.done", "item_2"), upstream.done()) == []


def test_audio_that_was_never_ended_ends_with_the_next_reply() -> None:
    client = Client()
    client.hears(upstream.created())
    client.audio()
    assert client.hears(upstream.done()) == []
    assert client.hears(upstream.created("resp_2")) == ["AgentAudioDone"]
    assert client.hears(upstream.created("resp_3")) == []


@pytest.mark.parametrize(
    ("status", "told"), [("completed", []), ("incomplete", ["Warning"]), ("failed", ["Error"]), (None, [])]
)
def test_a_reply_that_says_nothing_is_not_announced_but_ends(status: Any, told: list[str]) -> None:
    ended = Client(COMPONENT).hears(upstream.created(), upstream.done(status=status))
    assert ended == [*told, "AgentAudioDone", "AgentDone"]


def test_the_end_of_a_response_that_nobody_knows_is_no_end() -> None:
    assert Client(COMPONENT).hears(upstream.done("resp_9")) == []


def test_a_reply_that_was_cut_by_the_user_is_not_ended_twice() -> None:
    client = Client(COMPONENT)
    assert client.hears(upstream.created(), upstream.speech_started(), upstream.done(status="cancelled")) == [
        "UserStartedSpeaking"
    ]


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"reason": "max_output_tokens"}, "it reached the maximum number of output tokens"),
        ({"reason": "content_filter"}, "the upstream's content filter stopped it"),
        (None, "no reason given"),
    ],
)
def test_a_reply_that_was_cut_off_says_why(details: Any, reason: str) -> None:
    client = Client()
    client.hears(upstream.created())
    client.audio()
    client.hears(upstream.output("output_audio.done"))
    assert client.hears(upstream.done(status="incomplete", status_details=details)) == ["Warning", "AgentAudioDone"]
    assert client.last("Warning")["code"] == "REPLY_INCOMPLETE"
    assert client.last("Warning")["description"] == f"The reply was cut off: {reason}."


@pytest.mark.parametrize(
    ("modalities", "audio", "warned"),
    [(["audio"], False, True), (["audio"], True, False), (["text"], False, False), ([], False, False)],
)
def test_a_reply_without_audio_is_said(modalities: list[str], audio: bool, warned: bool) -> None:
    client = Client()
    client.hears(upstream.created())
    if audio:
        client.audio()
    client.hears(upstream.output_item_done(upstream.spoken()))
    told = client.hears(upstream.done(output_modalities=modalities))
    assert ("Warning" in told) is warned
    assert not warned or client.last("Warning")["code"] == "REPLY_WITHOUT_AUDIO"


@pytest.mark.parametrize("name", ["search", None])
def test_an_approval_that_nobody_can_give_is_said_once(name: str | None) -> None:
    client = Client()
    item = {"id": "item_m", "type": "mcp_approval_request", "name": name, "arguments": "{}", "server_label": "s"}
    request = parse_server_event({"type": "response.output_item.done", "response_id": "resp_1", "item": item})
    again = parse_server_event({"type": "response.done", "response": {"id": "resp_1", "output": [item]}})
    assert request is not None
    assert again is not None
    assert client.hears(upstream.created(), request, again) == ["Warning", "AgentAudioDone"]
    assert client.last("Warning")["code"] == "MCP_APPROVAL_NOT_SUPPORTED"
    assert (name or "a tool") in client.last("Warning")["description"]


@pytest.mark.parametrize(
    "source",
    [
        upstream.output_item_done(upstream.spoken()),
        upstream.done(output=[upstream.spoken()]),
        upstream.done(output=[upstream.spoken() | {"id": None}]),
    ],
)
def test_the_text_is_told_whatever_event_brings_it(source: ServerEvent) -> None:
    client = Client()
    client.hears(upstream.created(), source)
    assert client.texts() == [("assistant", "Hello.")]


@pytest.mark.parametrize("item_id", ["item_1", None])
def test_text_that_no_item_carried_is_told_at_the_end(item_id: str | None) -> None:
    client = Client()
    client.hears(upstream.created(), upstream.output("output_audio_transcript.done", transcript="Hello."))
    assert client.texts() == []
    client.hears(upstream.done(output=[upstream.spoken() | {"id": item_id}]))
    assert client.texts() == [("assistant", "Hello.")]


def test_an_item_without_words_takes_those_that_came_by_themselves() -> None:
    client = Client()
    bare = upstream.spoken() | {"content": []}
    client.hears(
        upstream.created(),
        upstream.item_added(bare),
        upstream.output("output_text.done", text="One."),
        upstream.output("output_text.done", text="Two."),
        upstream.item_done(bare),
    )
    assert client.texts() == [("assistant", "One. Two.")]


def test_every_item_of_a_reply_is_told_once() -> None:
    client = Client()
    items = [upstream.spoken("item_1", "One."), upstream.spoken("item_2", "Two.")]
    client.hears(upstream.created(), *(upstream.item_added(item) for item in items))
    for item in items:
        client.hears(upstream.item_done(item), upstream.output_item_done(item), upstream.item_done(item))
    client.hears(upstream.done(output=items))
    assert client.texts() == [("assistant", "One."), ("assistant", "Two.")]


def test_a_call_within_a_message_reads_as_one() -> None:
    """Row "component: `function_call` content part"."""
    data = {
        "type": "response.output_item.done",
        "response_id": "resp_1",
        "item": {"id": "i", "content": [{"type": "function_call", "name": "f", "arguments": "1"}, {"type": "text"}]},
    }
    event = parse_server_event(data)
    assert event is not None
    client = Client()
    client.hears(upstream.created(), event)
    assert client.texts() == [("assistant", "Function call: f(1)")]


# --- what is not told ------------------------------------------------------------------------------------------------


def test_items_that_the_gateway_put_there_are_not_told() -> None:
    client = Client()
    own = [upstream.spoken("own_1_0"), upstream.call() | {"id": "own_1_1"}]
    assert client.hears(upstream.created(), *(upstream.item_done(item) for item in own)) == []


def test_out_of_band_responses_are_not_told() -> None:
    client = Client(COMPONENT)
    side: dict[str, Any] = {"conversation_id": None}
    client.hears(upstream.created(), upstream.created("resp_2", **side))
    client.audio("item_1")
    assert client.audio("item_2", "resp_2") is None
    assert (
        client.hears(
            upstream.item_added(upstream.spoken("item_2"), "resp_2"),
            upstream.output("output_text.delta", "item_2", "resp_2", delta="x"),
            upstream.output("output_text.done", "item_2", "resp_2", text="x"),
            upstream.output_item_done(upstream.call(), "resp_2"),
            upstream.done("resp_2", output=[upstream.spoken("item_2"), upstream.call()], **side),
            upstream.done("resp_3", output=[upstream.spoken("item_3")], **side),
        )
        == []
    )
    assert client.hears(upstream.output("output_audio.done"), upstream.done()) == ["AgentAudioDone", "AgentDone"]


def test_a_response_without_a_conversation_is_told_where_servers_leave_it_out() -> None:
    client = Client()
    created = parse_server_event({"type": "response.created", "response": {"id": "resp_1"}})
    assert created is not None
    client.hears(created)
    assert client.audio() == ["AgentStartedSpeaking"]


def test_a_reply_whose_beginning_was_not_seen_is_told() -> None:
    client = Client()
    assert client.audio() == ["AgentStartedSpeaking"]
    assert client.hears(upstream.output("output_audio.done"), upstream.done()) == ["AgentAudioDone"]


def test_events_about_configuration_mean_nothing_to_the_client() -> None:
    client = Client()
    for kind in ("session.created", "session.updated"):
        event = parse_server_event({"type": kind, "session": {}})
        assert event is not None
        assert client.hears(event) == []


# --- interruption ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT])
def test_nothing_of_an_interrupted_reply_follows(dialect: Dialect) -> None:
    client = Client(dialect)
    client.hears(upstream.created(), upstream.item_added(upstream.spoken()))
    client.audio()
    assert client.hears(upstream.speech_started()) == ["UserStartedSpeaking"]
    assert client.audio() is None
    assert (
        client.hears(
            upstream.output("output_audio_transcript.delta", delta="x"),
            upstream.output("output_audio_transcript.done", transcript="Hello."),
            upstream.output("output_audio.done"),
            upstream.item_done(upstream.spoken(status="incomplete")),
            upstream.arguments_done(upstream.call()),
            upstream.output_item_done(upstream.call()),
            upstream.done(
                status="cancelled",
                output=[upstream.spoken(status="incomplete")],
                status_details={"type": "cancelled", "reason": "turn_detected"},
            ),
        )
        == []
    )
    client.hears(upstream.created("resp_2"))
    assert client.audio("item_2", "resp_2") == ["AgentStartedSpeaking"]


def test_an_interrupted_reply_whose_audio_never_ended_stays_silent() -> None:
    client = Client()
    client.hears(upstream.created())
    client.audio()
    assert client.hears(upstream.speech_started(), upstream.done(status="cancelled")) == ["UserStartedSpeaking"]
    assert client.hears(upstream.created("resp_2"), upstream.output("output_audio.done")) == []


def test_the_gateway_can_cut_a_reply() -> None:
    client = Client()
    client.downlink.replies.cut()
    client.hears(upstream.created())
    client.downlink.replies.cut()
    assert client.audio() is None
    assert client.hears(upstream.done(output=[upstream.spoken()])) == []


def test_speech_after_a_finished_reply_only_says_so() -> None:
    client = Client()
    client.hears(upstream.created(), upstream.done())
    assert client.hears(upstream.speech_started("user_1"), upstream.speech_started("user_2")) == [
        "UserStartedSpeaking",
        "UserStartedSpeaking",
    ]


def test_items_that_are_not_the_agents_words_are_not_told() -> None:
    client = Client()
    result = {"id": "item_9", "type": "function_call_output", "call_id": "c", "output": "1"}
    nameless = {key: value for key, value in upstream.spoken().items() if key != "id"}
    assert client.hears(upstream.created(), upstream.output_item_done(result), upstream.item_added(nameless)) == []
    assert client.texts() == []
