"""How a reply comes about, as Deepgram's clients are told: latencies as measured, thinking, and results taken."""

from __future__ import annotations

from typing import Any

from gateway.dialect import AGENT, COMPONENT
from tests.unit.gateway import upstream
from tests.unit.gateway.client import Client


def latencies(client: Client) -> list[tuple[str, float]]:
    return [
        (stage, seconds)
        for message in client.told
        if message["type"] == "LatencyReport"
        for stage, seconds in message.items()
        if stage != "type"
    ]


def test_every_stage_of_a_spoken_turn_is_measured() -> None:
    """Each event comes a second after the one before it."""
    client = Client(AGENT, progress=True)
    client.hears(upstream.speech_started(), upstream.speech_stopped(), upstream.created())
    client.hears(upstream.user_said("Hi."), upstream.output("output_audio_transcript.delta", delta="He"))
    client.hears(upstream.output("output_audio_transcript.delta", delta="llo"))
    assert client.audio() == ["LatencyReport", "LatencyReport", "AgentStartedSpeaking"]
    client.hears(upstream.output_item_done(upstream.call()), upstream.output_item_done(upstream.call("call_2")))
    assert latencies(client) == [
        ("stt_latency", 2.0),
        ("ttt_text_latency", 2.0),
        ("tts_latency", 2.0),
        ("total_latency", 5.0),
        ("ttt_tool_latency", 5.0),
    ]
    assert client.last("AgentStartedSpeaking") == {
        "type": "AgentStartedSpeaking",
        "total_latency": 5.0,
        "ttt_latency": 2.0,
        "tts_latency": 2.0,
    }


def test_a_written_reply_has_no_latency_of_speech() -> None:
    client = Client(AGENT, progress=True)
    client.hears(upstream.created(), upstream.output("output_text.delta", delta="He"))
    assert latencies(client) == [("ttt_text_latency", 1.0), ("total_latency", 1.0)]
    assert client.last("AgentStartedSpeaking")["tts_latency"] == 0.0


def test_a_typed_turn_counts_from_its_echo() -> None:
    client = Client(AGENT, progress=True)
    client.tell(client.downlink.user_message("Hi", client.now))
    client.hears(upstream.created())
    client.audio()
    assert client.last("AgentStartedSpeaking")["total_latency"] == 2.0


def test_a_response_that_begins_is_thinking_unless_nobody_hears_of_it() -> None:
    client = Client(AGENT, progress=True)
    assert client.hears(upstream.created()) == ["AgentThinking"]
    side: dict[str, Any] = {"conversation_id": None}
    assert client.hears(upstream.created("resp_2", **side)) == []
    assert Client(COMPONENT, progress=True).hears(upstream.created()) == []


def test_a_result_that_is_taken_is_echoed_as_the_live_service_does() -> None:
    client = Client(AGENT, history=True, progress=True)
    client.hears(upstream.created(), upstream.output_item_done(upstream.call()), upstream.done())
    client.tell(client.downlink.function_call_taken("call_1", "rain"))
    assert client.told[-2] == {
        "type": "FunctionCallResponse",
        "id": "call_1",
        "name": "get_weather",
        "content": "rain",
    }
    assert client.told[-1]["type"] == "History"


def test_latency_reports_can_be_left_out() -> None:
    client = Client(AGENT, progress=True, latency_reports=False)
    assert client.hears(upstream.created(), upstream.output("output_text.delta", delta="He")) == [
        "AgentThinking",
        "AgentStartedSpeaking",
    ]
