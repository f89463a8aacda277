"""Messages to clients, validated with the official SDK's models."""

from __future__ import annotations

import pytest

from tests.unit.schemas import accepted_by_deepgram
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage

DEEPGRAMS = [
    events.welcome("3c1a"),
    *(events.acknowledgement(message_type) for message_type in events.ACKNOWLEDGEMENTS),
    events.conversation_text("user", "hi"),
    events.conversation_text("assistant", "hello"),
    events.history("user", "hi"),
    events.history_call("call_1", "get_weather", '{"city":"Oslo"}', "rain"),
    events.user_started_speaking(),
    events.agent_thinking(),
    events.agent_started_speaking(0.7, 0.4, 0.0),
    events.agent_audio_done(),
    events.function_call_request("call_1", "get_weather", "{}"),
    events.function_call_cancelled([("call_1", "get_weather")]),
    events.injection_refused("The user is speaking."),
    events.warning("SLOW_THINK_REQUEST", "Still waiting."),
    events.error("INVALID_SETTINGS", "No."),
]


@pytest.mark.parametrize("message", DEEPGRAMS, ids=lambda message: message["type"])
def test_messages_are_valid_for_deepgrams_sdk(message: ServerMessage) -> None:
    accepted_by_deepgram(message)


def test_the_validation_detects_missing_and_unknown_fields() -> None:
    with pytest.raises(ValueError, match="content"):
        accepted_by_deepgram({"type": "ConversationText", "role": "user"})
    with pytest.raises(AssertionError, match="colour"):
        accepted_by_deepgram({"type": "AgentAudioDone", "colour": "red"})


def test_the_transcript_has_every_field_that_the_component_reads() -> None:
    message = events.transcript("hel", final=False, start=1.0, duration=0.5)
    assert message == {
        "type": "Transcript",
        "transcript": "hel",
        "is_final": False,
        "speech_final": False,
        "channel": 0,
        "channel_index": [0, 1],
        "start": 1.0,
        "duration": 0.5,
        "alternatives": [{"transcript": "hel", "confidence": 1.0, "words": []}],
    }
    assert events.utterance_end() == {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 0.0}
    assert events.agent_done() == {"type": "AgentDone"}
