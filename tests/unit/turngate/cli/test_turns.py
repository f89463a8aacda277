from __future__ import annotations

import pytest

from turngate.cli.turns import Turns

STARTED = {"type": "AgentStartedSpeaking"}
WORDS = {"type": "ConversationText", "role": "assistant", "content": "Hello."}
ECHO = {"type": "ConversationText", "role": "user", "content": "Hi."}
CALLS = {"type": "FunctionCallRequest", "functions": []}
AUDIO_DONE = {"type": "AgentAudioDone"}
DONE = {"type": "AgentDone"}


def after(*messages: dict[str, object] | bytes) -> Turns:
    turns = Turns()
    turns.asked()
    for message in messages:
        turns.receive(message)
    return turns


@pytest.mark.parametrize(
    "messages",
    [
        (ECHO, STARTED, WORDS, b"audio", AUDIO_DONE),
        (ECHO, STARTED, b"audio", WORDS, AUDIO_DONE, DONE),
        (WORDS, DONE),
        (b"audio", AUDIO_DONE),
        pytest.param((STARTED, CALLS, AUDIO_DONE, DONE, STARTED, WORDS, AUDIO_DONE, DONE), id="calls"),
        pytest.param((STARTED, CALLS, STARTED, WORDS, AUDIO_DONE), id="calls, without an end of their own"),
        pytest.param((CALLS, AUDIO_DONE, DONE, WORDS, b"audio", AUDIO_DONE), id="calls, without a beginning"),
    ],
)
def test_a_turn_ends_with_the_reply_to_it(messages: tuple[dict[str, object] | bytes, ...]) -> None:
    turns = after(*messages)
    assert not turns.waiting
    assert not turns.replying
    assert turns.replies == 1


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (ECHO,),
        (ECHO, STARTED, WORDS, b"audio"),
        pytest.param((AUDIO_DONE, DONE), id="an end of nothing"),
        pytest.param((STARTED, CALLS, AUDIO_DONE, DONE), id="calls are no reply, and their end comes twice"),
        pytest.param((STARTED, WORDS, {"type": "UserStartedSpeaking"}, AUDIO_DONE), id="interrupted"),
    ],
)
def test_a_turn_goes_on_until_then(messages: tuple[dict[str, object] | bytes, ...]) -> None:
    turns = after(*messages)
    assert turns.waiting
    assert turns.replies == 0


def test_speech_is_a_turn() -> None:
    turns = Turns()
    turns.receive({"type": "UserStartedSpeaking"})
    assert turns.waiting
    assert turns.utterances == 1


def test_a_greeting_answers_nobody() -> None:
    turns = Turns()
    for message in (WORDS, AUDIO_DONE, DONE):
        turns.receive(message)
    assert turns.replies == 1
    turns.asked()
    assert turns.waiting
