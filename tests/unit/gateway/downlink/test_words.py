"""The user's words, history, greetings, errors, and how much of it all is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialect import AGENT, COMPONENT
from tests.unit.gateway import upstream
from tests.unit.gateway.client import Client
from turngate.protocol.openai.server_events import parse_server_event

# --- the user --------------------------------------------------------------------------------------------------------


def test_what_the_user_said_is_told_once() -> None:
    client = Client()
    client.hears(upstream.speech_started(), upstream.speech_stopped())
    assert client.hears(upstream.user_words("What"), upstream.user_said(" What time? ")) == ["ConversationText"]
    assert client.hears(upstream.user_said("What time?"), upstream.user_said("  ", "user_2")) == []
    assert client.texts() == [("user", "What time?")]


def test_the_component_hears_the_words_as_they_come() -> None:
    client = Client(COMPONENT)
    assert client.hears(upstream.speech_started(), upstream.speech_stopped()) == ["UserStartedSpeaking", "UtteranceEnd"]
    assert client.last("UtteranceEnd")["last_word_end"] == 2.5
    words = [upstream.user_words("What"), upstream.user_words(""), upstream.user_words(" time")]
    assert client.hears(*words) == ["Transcript", "Transcript"]
    interim = client.last("Transcript")
    assert (interim["transcript"], interim["is_final"]) == ("What time", False)
    assert (interim["start"], interim["duration"]) == (1.0, 1.5)
    assert client.hears(upstream.user_said("What time?")) == ["ConversationText", "Transcript"]
    final = client.last("Transcript")
    assert (final["transcript"], final["is_final"], final["speech_final"]) == ("What time?", True, True)
    assert client.hears(upstream.user_words("late"), upstream.user_said("What time?")) == []


def test_silence_that_was_transcribed_is_only_told_if_words_were() -> None:
    client = Client(COMPONENT)
    assert client.hears(upstream.user_said("", "user_1")) == []
    assert client.hears(upstream.user_words("Um", "user_2"), upstream.user_said("", "user_2")) == [
        "Transcript",
        "Transcript",
    ]


def test_speech_without_an_item_is_still_speech() -> None:
    client = Client(COMPONENT)
    events = [parse_server_event({"type": f"input_audio_buffer.speech_{what}"}) for what in ("started", "stopped")]
    assert client.hears(*(event for event in events if event is not None)) == ["UserStartedSpeaking", "UtteranceEnd"]


def test_a_failed_transcription_is_a_warning() -> None:
    client = Client()
    failed = upstream.event(
        "conversation.item.input_audio_transcription.failed",
        item_id="user_1",
        content_index=0,
        error={"message": "Too noisy."},
    )
    assert client.hears(failed) == ["Warning"]
    assert client.last("Warning")["code"] == "TRANSCRIPTION_FAILED"
    assert "Too noisy." in client.last("Warning")["description"]


def test_injected_words_are_echoed() -> None:
    client = Client(AGENT, history=True)
    client.tell(client.downlink.user_message("hi", client.now))
    assert [message["type"] for message in client.told] == ["ConversationText", "History"]
    assert client.texts() == [("user", "hi")]


# --- history, greeting, errors ---------------------------------------------------------------------------------------


def test_history_mirrors_the_texts_where_it_is_wanted() -> None:
    client = Client(AGENT, history=True)
    client.hears(upstream.user_said("hi"), upstream.created(), upstream.output_item_done(upstream.spoken()))
    assert [m for m in client.told if m["type"] == "History"] == [
        {"type": "History", "role": "user", "content": "hi"},
        {"type": "History", "role": "assistant", "content": "Hello."},
    ]
    client.downlink.wording.show_history(False)
    assert client.hears(upstream.user_said("again", "user_2")) == ["ConversationText"]
    component = Client(COMPONENT, history=True)
    component.downlink.wording.show_history(True)
    assert "History" not in component.hears(upstream.user_said("hi"))


def test_a_greeting_that_is_only_shown() -> None:
    client = Client(COMPONENT)
    client.tell(client.downlink.greeting("Welcome!"))
    assert [message["type"] for message in client.told] == ["ConversationText", "AgentAudioDone", "AgentDone"]
    assert client.texts() == [("assistant", "Welcome!")]


@pytest.mark.parametrize(
    "code",
    ["conversation_already_has_active_response", "response_cancel_not_active", "input_audio_buffer_commit_empty"],
)
def test_races_are_not_shown(code: str) -> None:
    assert Client().hears(upstream.error(code)) == []
    assert Client().hears(upstream.error(None, "Conversation already has an active response")) == []


def test_other_errors_keep_the_upstreams_code() -> None:
    client = Client()
    assert client.hears(upstream.error("invalid_value", "Bad value."), upstream.error(None, "")) == ["Error", "Error"]
    assert client.told[0] == {"type": "Error", "code": "invalid_value", "description": "Bad value."}
    assert client.told[1] == {
        "type": "Error",
        "code": "invalid_request_error",
        "description": "invalid_request_error",
    }


def test_an_expected_end_follows_the_text_of_the_reply_in_flight() -> None:
    """Rows "component: `Error`", "component: idle close before the last text"."""
    client = Client(COMPONENT)
    client.hears(upstream.created())
    assert client.hears(upstream.error("idle_timeout"), upstream.error("idle_timeout")) == []
    assert client.hears(upstream.done(output=[upstream.spoken()])) == [
        "AgentStartedSpeaking",
        "ConversationText",
        "Error",
        "AgentAudioDone",
        "AgentDone",
    ]
    assert client.hears(upstream.error("session_max_duration")) == ["Error"]


@pytest.mark.parametrize(
    ("details", "code", "description"),
    [
        (
            {"type": "failed", "error": {"type": "server_error", "code": "rate_limit_exceeded"}},
            "rate_limit_exceeded",
            "The model could not reply.",
        ),
        ({"type": "failed"}, "response_failed", "The model could not reply."),
        (None, "response_failed", "The model could not reply."),
    ],
)
def test_a_failed_reply_is_reported(details: Any, code: str, description: str) -> None:
    client = Client()
    client.hears(upstream.created())
    client.audio()
    client.hears(upstream.output("output_audio.done"))
    assert client.hears(upstream.done(status="failed", status_details=details)) == ["Error", "AgentAudioDone"]
    assert client.last("Error") == {"type": "Error", "code": code, "description": description}


def test_an_interrupted_reply_that_failed_is_not_reported() -> None:
    client = Client()
    client.hears(upstream.created(), upstream.speech_started())
    assert client.hears(upstream.done(status="failed")) == []


# --- bounds ----------------------------------------------------------------------------------------------------------


def test_what_is_remembered_is_bounded() -> None:
    client = Client(COMPONENT, remembered=8)
    for n in range(100):
        item = upstream.spoken(f"item_{n}", f"Number {n}.")
        response_id = f"resp_{n}"
        client.hears(
            upstream.speech_started(f"user_{n}"),
            upstream.user_said(f"user {n}", f"user_{n}"),
            upstream.created(response_id),
            upstream.item_added(item, response_id),
            upstream.item_done(item),
            upstream.output_item_done(upstream.call(f"call_{n}"), response_id),
            upstream.done(response_id, output=[item]),
        )
    assert len([text for text in client.texts() if text[0] == "assistant"]) == 100
    kept = vars(client.downlink)
    sizes = {name: len(value) for name, value in kept.items() if hasattr(value, "__len__") and name != "_routes"}
    assert max(sizes.values()) <= 8, sizes


def test_an_upstream_that_is_lost_leaves_the_words_of_its_reply() -> None:
    """Row "component: idle close before the last text"."""
    client = Client(COMPONENT)
    client.hears(
        upstream.created(),
        upstream.output("output_audio_transcript.delta", delta="Hello, "),
        upstream.output("output_audio_transcript.delta", delta="the"),
        upstream.output("output_audio_transcript.delta", "item_2", delta="And"),
        upstream.output("output_audio_transcript.done", "item_2", transcript="And bye."),
        upstream.error("idle_timeout"),
        upstream.error("session_max_duration"),
    )
    told = client.tell(client.downlink.last_words("session_max_duration", client.now))
    assert [message["type"] for message in told] == [
        "AgentStartedSpeaking",
        "ConversationText",
        "ConversationText",
        "Error",
    ]
    assert client.texts() == [("assistant", "Hello, the"), ("assistant", "And bye.")]
    assert told[-1]["code"] == "idle_timeout", "the other is told by who knows why it was lost"
    assert client.downlink.last_words("upstream_closed", client.now) == []


@pytest.mark.parametrize("ended", [upstream.done(output=[upstream.spoken()]), upstream.speech_started()])
def test_an_upstream_that_is_lost_after_a_reply_or_in_one_that_was_interrupted_leaves_nothing(ended: Any) -> None:
    client = Client(COMPONENT)
    client.hears(upstream.created(), upstream.output("output_audio_transcript.delta", delta="Hel"), ended)
    assert client.downlink.last_words("upstream_closed", client.now) == []
    assert Client().downlink.last_words("upstream_closed", 0.0) == []


def test_words_that_came_in_an_item_without_an_id_are_not_told_again() -> None:
    client = Client()
    nameless = upstream.spoken() | {"id": None}
    client.hears(upstream.created(), upstream.output("output_audio_transcript.delta", delta="Hello."))
    client.hears(upstream.output_item_done(nameless))
    assert client.texts() == [("assistant", "Hello.")]
    assert client.downlink.last_words("upstream_closed", client.now) == []
