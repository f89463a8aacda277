"""What a client may send: sizes and rates."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.allowance import Allowance
from gateway.conversation.conversation import Conversation
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT, Dialect

KEEP_ALIVE = b'{"type":"KeepAlive"}'


def conversation(dialect: Dialect = AGENT, **limits: Any) -> Conversation:
    return Conversation("session-0001", "gw", dialect, Limits(**limits), 0.0)


def codes(made: Conversation) -> list[str]:
    return [
        message["code"]
        for message in made.drain().to_client
        if isinstance(message, dict) and message["type"] == "Error"
    ]


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT], ids=lambda dialect: dialect.name)
def test_a_text_that_is_too_long_is_told_before_the_close(dialect: Dialect) -> None:
    made = conversation(dialect, text_bytes=1_000)
    text = orjson.dumps({"type": "KeepAlive", "padding": "x" * 2_000})
    made.client_text(text[:1_000], 0.0)
    assert "CLIENT_MESSAGE_TOO_LARGE" not in codes(made)
    made = conversation(dialect, text_bytes=1_000)
    made.client_text(text, 0.0)
    assert codes(made) == ["CLIENT_MESSAGE_TOO_LARGE"]
    assert made.ending is not None
    assert (made.ending.code, made.ending.reason) == (1009, "CLIENT_MESSAGE_TOO_LARGE")
    assert made.counters.floods == 1


def test_a_rate_of_texts_beyond_any_use_ends_the_session() -> None:
    made = conversation(texts_per_second=10, silence=0)
    for _ in range(20):
        made.client_text(KEEP_ALIVE, 0.0)
    assert made.ending is None, "those of two seconds may come at once"
    made.client_text(KEEP_ALIVE, 0.0)
    assert made.ending is not None
    assert (made.ending.code, made.ending.reason) == (1008, "TOO_MANY_MESSAGES")
    assert codes(made) == ["TOO_MANY_MESSAGES"]


def test_bytes_of_text_count_too() -> None:
    made = conversation(COMPONENT, text_bytes_per_second=1_000)
    made.client_text(b" " * 1_990, 0.0)
    assert made.ending is None
    made.client_text(KEEP_ALIVE, 0.0)
    assert made.ending is not None
    assert made.ending.reason == "TOO_MANY_MESSAGES"


def test_frames_of_audio_have_a_rate_of_their_own() -> None:
    made = conversation(audio_frames_per_second=10, texts_per_second=1)
    assert all(made.admits_audio(2, 0.0) for _ in range(20))
    assert not made.admits_audio(2, 0.0)
    assert made.ending is not None
    assert codes(made) == ["TOO_MANY_MESSAGES"]
    made = conversation(audio_bytes_per_second=1_000)
    assert made.admits_audio(10_000, 0.0)
    assert not made.admits_audio(1, 0.0)


def test_what_a_session_holds_is_known_in_bytes() -> None:
    made = conversation(request_bytes=1_000)
    before = made.held_bytes
    settings = {
        "type": "Settings",
        "audio": {"input": {"encoding": "linear16", "sample_rate": 24000}},
        "agent": {"think": {"provider": {"type": "open_ai", "model": "gpt-realtime"}, "prompt": "p" * 400}},
    }
    made.client_text(orjson.dumps(settings), 0.0)
    assert 400 < made.held_bytes - before < 1_000
    assert made.size(1) == made.held_bytes - before
    assert made.size(0) == 0, "a turn record's is not counted"
    for _ in range(5):
        made.client_text(orjson.dumps({"type": "InjectUserMessage", "content": "x" * 100}), 0.0)
    warnings = [
        message for message in made.drain().to_client if isinstance(message, dict) and message["type"] == "Warning"
    ]
    assert [warning["code"] for warning in warnings if warning["code"] == "TOO_MANY_REQUESTS"]
    assert made.held_bytes - before <= 1_000
    made.client_audio(bytes(480), 0.0)
    assert made.held_bytes > before + 400 + 480


def test_an_allowance_grows_with_time_and_not_beyond_its_burst() -> None:
    made = Allowance(10, 0.0, burst=2.0)
    assert all(made.spend(5, 0.0) for _ in range(4))
    assert not made.spend(1, 0.0)
    assert made.spend(10, 1.0)
    assert not made.spend(1, 1.0)
    assert not made.spend(21, 100.0), "never more than the burst at once"
    assert made.spend(20, 100.0)


def test_whoever_keeps_to_the_rate_is_never_refused() -> None:
    made = Allowance(10, 0.0, burst=1.0)
    assert all(made.spend(1, step / 10) for step in range(1_000))


def test_no_rate_is_no_limit() -> None:
    made = Allowance(0, 0.0)
    assert all(made.spend(10**9, 0.0) for _ in range(100))
