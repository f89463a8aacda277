from __future__ import annotations

import pytest

from turngate.cli.reply_tracker import ReplyTracker

STARTED = {"type": "AgentStartedSpeaking"}
WORDS = {"type": "ConversationText", "role": "assistant", "content": "Hello."}
ECHO = {"type": "ConversationText", "role": "user", "content": "Hi."}
CALLS = {"type": "FunctionCallRequest", "functions": []}
AUDIO_DONE = {"type": "AgentAudioDone"}
DONE = {"type": "AgentDone"}


def after(*messages: dict[str, object] | bytes) -> ReplyTracker:
    tracker = ReplyTracker()
    tracker.turn_sent()
    for message in messages:
        tracker.receive(message)
    return tracker


@pytest.mark.parametrize(
    "messages",
    [
        (ECHO, STARTED, WORDS, b"audio", AUDIO_DONE),
        (ECHO, STARTED, b"audio", WORDS, AUDIO_DONE, DONE),
        (WORDS, DONE),
        (b"audio", AUDIO_DONE),
        pytest.param((STARTED, CALLS, AUDIO_DONE, DONE, STARTED, WORDS, AUDIO_DONE, DONE), id="calls"),
        pytest.param((STARTED, CALLS, STARTED, WORDS, AUDIO_DONE), id="calls without an end"),
        pytest.param((CALLS, AUDIO_DONE, DONE, WORDS, b"audio", AUDIO_DONE), id="calls without a start"),
    ],
)
def test_a_turn_ends_with_its_reply(messages: tuple[dict[str, object] | bytes, ...]) -> None:
    tracker = after(*messages)
    assert not tracker.waiting
    assert not tracker.replying
    assert tracker.replies == 1


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (ECHO,),
        (ECHO, STARTED, WORDS, b"audio"),
        pytest.param((AUDIO_DONE, DONE), id="an end without a reply"),
        pytest.param((STARTED, CALLS, AUDIO_DONE, DONE), id="calls are not a reply, and two messages end them"),
        pytest.param((STARTED, WORDS, {"type": "UserStartedSpeaking"}, AUDIO_DONE), id="interrupted"),
    ],
)
def test_a_turn_without_a_complete_reply_does_not_end(messages: tuple[dict[str, object] | bytes, ...]) -> None:
    tracker = after(*messages)
    assert tracker.waiting
    assert tracker.replies == 0


def test_speech_starts_a_turn() -> None:
    tracker = ReplyTracker()
    tracker.receive({"type": "UserStartedSpeaking"})
    assert tracker.waiting
    assert tracker.utterances == 1


def test_a_greeting_is_a_reply_to_no_turn() -> None:
    tracker = ReplyTracker()
    for message in (WORDS, AUDIO_DONE, DONE):
        tracker.receive(message)
    assert tracker.replies == 1
    tracker.turn_sent()
    assert tracker.waiting
