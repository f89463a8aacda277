"""The user's turn always ends: what is sent when a client sends no audio while its user speaks."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from tests.unit.gateway.bench import SETTINGS, Bench, effective, types

LIMITS = Limits(slow_think=0, heartbeat=1000)
FRAME = bytes(960)


def speaking(limits: Limits = LIMITS, **settings: Any) -> Bench:
    """The user speaks: audio has come, and the upstream has announced it."""
    bench = Bench(AGENT, limits).configured(**settings)
    bench.conversation.client_audio(FRAME, bench.now)
    bench.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
    return bench


def silence(events: list[dict[str, Any]]) -> float:
    """Milliseconds of silence among these events, as 24 kHz pcm16."""
    pieces = [base64.b64decode(event["audio"]) for event in events if event["type"] == "input_audio_buffer.append"]
    assert all(piece == bytes(len(piece)) for piece in pieces)
    return sum(map(len, pieces)) / 48


def pass_time(bench: Bench, seconds: float) -> list[dict[str, Any]]:
    """Everything that is sent upstream in this time, each timer handled when it is due."""
    end, sent = bench.now + seconds, []
    while (deadline := bench.conversation.deadline()) <= end:
        sent += bench.wait(deadline - bench.now).to_upstream
    sent += bench.wait(end - bench.now).to_upstream
    return sent


def test_a_microphone_that_goes_off_while_the_user_speaks_is_continued_with_silence_in_real_time() -> None:
    bench = speaking()
    assert pass_time(bench, 1.9) == []
    assert silence(pass_time(bench, 1.1)) == pytest.approx(1000, abs=101)
    bench.event("input_audio_buffer.speech_stopped", item_id="a", audio_end_ms=900)
    assert pass_time(bench, 20) == [], "the turn has ended"


def test_a_commit_ends_the_silence_too() -> None:
    bench = speaking()
    assert silence(pass_time(bench, 2.5)) > 0
    bench.event("input_audio_buffer.committed", item_id="a")
    bench.created("resp_1")
    assert pass_time(bench, 5) == []


def test_audio_that_comes_in_time_needs_no_silence() -> None:
    bench = speaking()
    for _ in range(10):
        assert pass_time(bench, 1) == []
        assert bench.conversation.client_audio(FRAME, bench.now) == FRAME


def test_audio_that_comes_again_ends_the_silence() -> None:
    bench = speaking()
    assert silence(pass_time(bench, 2.5)) > 0
    assert bench.conversation.client_audio(FRAME, bench.now) == FRAME
    pass_time(bench, 0.1)
    assert pass_time(bench, 1.8) == []
    assert silence(pass_time(bench, 1)) > 0, "and begins again when it stops again"


def test_an_upstream_that_silence_does_not_convince_is_told_by_a_commit() -> None:
    bench = speaking()
    sent = pass_time(bench, 12.2)
    assert types(sent)[-1] == "input_audio_buffer.commit"
    assert silence(sent) == pytest.approx(10_000, abs=200)
    bench.event("input_audio_buffer.committed", item_id="a")
    assert bench.conversation.record().open_responses == (2,), "an answer is asked for"
    assert not bench.conversation.record().user_speaking
    assert pass_time(bench, 0.9) == []


def test_a_turn_whose_commit_is_not_answered_ends_here() -> None:
    bench = speaking()
    pass_time(bench, 12.2)
    assert bench.conversation.record().user_speaking
    pass_time(bench, 15)
    record = bench.conversation.record()
    assert (record.user_speaking, record.open_responses) == (False, (2,))
    assert pass_time(bench, 0.5) == []


def test_a_clients_own_patience_is_used_for_its_session() -> None:
    listen = {"provider": {"type": "deepgram", "model": "flux-general-en", "version": "v2", "eot_timeout_ms": 5000}}
    bench = speaking(agent={**SETTINGS["agent"], "listen": listen})
    assert pass_time(bench, 4.9) == []
    assert silence(pass_time(bench, 0.5)) > 0
    bench = speaking()
    bench.say(type="UpdateListen", listen=listen)
    bench.event("input_audio_buffer.speech_started", item_id="a2", audio_start_ms=0)
    assert pass_time(bench, 0.8) == []


@pytest.mark.parametrize(("encoding", "code"), [("mulaw", b"\xff"), ("alaw", b"\xd5")])
def test_silence_is_in_the_sessions_format(encoding: str, code: bytes) -> None:
    bench = speaking(audio={"input": {"encoding": encoding, "sample_rate": 8000}})
    (append,) = bench.wait(2).to_upstream
    assert base64.b64decode(append["audio"]) == code * 800


def test_a_user_who_is_heard_before_any_audio_came_here_is_given_silence_at_once() -> None:
    bench = Bench(AGENT, LIMITS).configured()
    bench.now = 50
    bench.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
    assert silence(bench.wait(0).to_upstream) == 100


# --- audio before the session is configured


def waiting(limits: Limits = LIMITS) -> Bench:
    bench = Bench(AGENT, limits)
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    bench.translated(1)
    bench.release((1,))
    return bench


def test_audio_is_kept_until_the_session_is_configured_and_sent_before_what_comes_then() -> None:
    bench = waiting()
    assert bench.conversation.client_audio(b"\1\0", 0) == b""
    assert bench.conversation.client_audio(b"\2\0", 0) == b""
    out = bench.event("session.updated", session=effective())
    (append,) = out.to_upstream
    assert base64.b64decode(append["audio"]) == b"\1\0\2\0"
    assert bench.conversation.client_audio(b"\3\0", 0) == b"\3\0"


def test_beyond_the_limit_the_oldest_audio_is_dropped_and_the_client_is_told_once() -> None:
    bench = waiting(Limits(early_audio=4))
    assert bench.conversation.client_audio(b"\1\0\2\0", 0) == b""
    for frame in (b"\3\0", b"\4\0"):
        assert bench.conversation.client_audio(frame, 0) is None
    out = bench.event("session.updated", session=effective())
    assert [message["code"] for message in out.messages if message["type"] == "Warning"] == ["AUDIO_DROPPED"]
    assert base64.b64decode(out.to_upstream[0]["audio"]) == b"\3\0\4\0"


def test_much_kept_audio_is_sent_in_pieces() -> None:
    bench = waiting(Limits(early_audio=10**6))
    bench.conversation.client_audio(bytes(600_000), 0)
    assert len(bench.event("session.updated", session=effective()).to_upstream) == 3


def test_an_update_that_is_confirmed_although_its_settings_were_refused_brings_no_format() -> None:
    bench = Bench(AGENT, LIMITS)
    bench.event("session.created", session={})
    bench.say(**SETTINGS)
    bench.say(type="UpdatePrompt", prompt="x")
    bench.translated(2)
    bench.refused(1)
    bench.release((2,))
    bench.event("session.updated", session=effective())
    assert bench.conversation.client_audio(FRAME, bench.now) is None
