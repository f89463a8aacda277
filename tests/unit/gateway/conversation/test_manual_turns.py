"""Turns that the gateway makes (``useOpenAIManualAudioCommit``) and turns that the client ends (``ForceEndTurn``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.audio.endpointing import EndPointingRules
from gateway.conversation.effects import UpstreamProblem
from gateway.conversation.limits import Limits
from gateway.dialect import AGENT, COMPONENT, Dialect
from tests.unit.gateway.bench import SETTINGS, Bench, effective, types
from turngate.protocol.messages import Slot

LIMITS = Limits(reconnect=30.0, pauses=EndPointingRules(level_dbfs=-40, pause=0.4))
SPEECH = (np.sin(np.arange(24 * 500) * 0.2) * 3000).astype("<i2").tobytes()
PAUSE = bytes(48 * 400)


def manual(dialect: Dialect = COMPONENT) -> Bench:
    bench = Bench(dialect, LIMITS)
    bench.event("session.created", session={})
    bench.say(**{**SETTINGS, "agent": {**SETTINGS["agent"], "useOpenAIManualAudioCommit": True}})
    bench.translated(1)
    bench.release((1,))
    bench.event("session.updated", session=effective(audio={"input": {"turn_detection": None}}))
    return bench


def hear(bench: Bench, audio: bytes) -> Any:
    assert bench.conversation.client_audio(audio, bench.now) is None
    return bench.conversation.drain()


def test_a_turn_is_sent_committed_and_a_response_asked_for() -> None:
    bench = manual()
    out = hear(bench, bytes(4800))
    assert (out.to_upstream, out.messages) == ([], []), "silence is not worth sending"
    out = hear(bench, SPEECH)
    assert set(types(out.to_upstream)) == {"input_audio_buffer.append"}
    assert types(out.messages) == ["UserStartedSpeaking"]
    assert bench.conversation.record().user_speaking
    out = hear(bench, PAUSE)
    assert types(out.to_upstream)[-1] == "input_audio_buffer.commit"
    assert set(types(out.to_upstream)[:-1]) == {"input_audio_buffer.append"}
    assert types(out.messages) == ["UtteranceEnd"]
    assert not bench.conversation.record().user_speaking
    assert bench.event("input_audio_buffer.committed", item_id="audio_1").to_publish == [2]
    event = bench.conversation.client_event(2)
    assert event is not None
    assert event.message == {"type": "UserTurnEnded"}


def test_a_turn_ends_when_no_audio_comes_any_more() -> None:
    bench = manual()
    hear(bench, SPEECH)
    assert bench.conversation.deadline() == pytest.approx(0.4)
    assert bench.wait(0.3).to_upstream == []
    assert types(bench.wait(0.1).to_upstream) == ["input_audio_buffer.commit"]


def test_a_turn_goes_on_while_audio_comes() -> None:
    bench = manual()
    hear(bench, SPEECH)
    bench.wait(0.3)
    hear(bench, SPEECH)
    assert bench.wait(0.1).to_upstream == []
    assert bench.conversation.deadline() == pytest.approx(0.7)
    assert types(bench.wait(0.3).to_upstream) == ["input_audio_buffer.commit"]


def test_the_gateway_interrupts_since_the_upstream_does_not() -> None:
    bench = manual(AGENT)
    bench.created("resp_1")
    bench.audio("resp_1", "item_1", 4000)
    bench.now += 1
    out = hear(bench, SPEECH)
    sent = [event for event in out.to_upstream if event["type"] != "input_audio_buffer.append"]
    assert types(sent) == ["conversation.item.truncate", "response.cancel"]
    assert sent[0]["audio_end_ms"] == 1000
    assert types(out.messages) == ["UserStartedSpeaking"]
    assert bench.conversation.record().slot is Slot.CANCELLING


def test_a_commit_of_nothing_is_nobodys_error() -> None:
    bench = manual()
    hear(bench, SPEECH)
    commit = bench.wait(1).to_upstream[-1]
    assert bench.error("input_audio_buffer_commit_empty", commit["event_id"]).messages == []


def test_speech_before_the_session_is_configured_begins_a_turn_like_any_other() -> None:
    bench = Bench(COMPONENT, LIMITS)
    bench.event("session.created", session={})
    bench.say(**{**SETTINGS, "agent": {**SETTINGS["agent"], "useOpenAIManualAudioCommit": True}})
    assert bench.conversation.client_audio(SPEECH, 0.0) == b""
    bench.translated(1)
    bench.release((1,))
    out = bench.event("session.updated", session=effective(audio={"input": {"turn_detection": None}}))
    assert set(types(out.to_upstream)) == {"input_audio_buffer.append"}
    assert types(out.messages) == ["SettingsApplied", "UserStartedSpeaking"]
    assert types(hear(bench, PAUSE).to_upstream)[-1] == "input_audio_buffer.commit"


def switched(bench: Bench, seq: int, *, on: bool) -> Any:
    """A repeated Settings that turns it on or off is sent upstream; returns its event id."""
    bench.say(**{**SETTINGS, "agent": {**SETTINGS["agent"], "useOpenAIManualAudioCommit": on}})
    bench.translated(seq)
    return bench.release((seq,), name=f"r{seq}").to_upstream[-1]["event_id"]


def test_settings_that_turn_it_off_end_the_turn_in_progress_when_they_are_confirmed() -> None:
    bench = manual()
    hear(bench, SPEECH)
    switched(bench, 2, on=False)
    assert bench.conversation.record().user_speaking
    hear(bench, SPEECH)
    out = bench.event("session.updated", session=effective())
    assert types(out.to_upstream) == ["input_audio_buffer.commit"]
    assert not bench.conversation.record().user_speaking
    assert bench.conversation.client_audio(SPEECH, bench.now) == SPEECH


def test_settings_that_turn_it_on_have_no_effect_before_they_are_confirmed() -> None:
    bench = Bench(COMPONENT, LIMITS).configured()
    bench.event("input_audio_buffer.speech_started", item_id="a", audio_start_ms=0)
    update = switched(bench, 2, on=True)
    assert bench.conversation.client_audio(SPEECH, bench.now) == SPEECH
    bench.error("invalid_value", update)
    assert bench.conversation.client_audio(SPEECH, bench.now) == SPEECH, "nor after they were refused"
    switched(bench, 3, on=True)
    out = bench.event("session.updated", session=effective(audio={"input": {"turn_detection": None}}))
    assert types(out.to_upstream) == ["input_audio_buffer.commit"], "the upstream does not end this turn any more"
    assert types(hear(bench, SPEECH).messages) == ["UserStartedSpeaking"]


def test_a_new_format_confirmed_ends_a_turn_in_the_old_one() -> None:
    bench = manual()
    hear(bench, SPEECH)
    agent = {**SETTINGS["agent"], "useOpenAIManualAudioCommit": True}
    out = bench.say(**{**SETTINGS, "audio": {"input": {"encoding": "mulaw", "sample_rate": 8000}}, "agent": agent})
    assert types(out.to_upstream) == ["input_audio_buffer.commit"]
    bench.translated(2)
    bench.release((2,), name="r2")
    bench.event("session.updated", session=effective(audio={"input": {"turn_detection": None}}))
    assert hear(bench, b"\x80" * 1600).messages[0]["type"] == "UserStartedSpeaking", "loud, as G.711 has it"


# --- ForceEndTurn ---


def test_a_manual_turn_ends_when_the_client_says_so() -> None:
    bench = manual(AGENT)
    assert bench.say(type="ForceEndTurn").to_upstream == []
    hear(bench, SPEECH)
    assert types(bench.say(type="ForceEndTurn").to_upstream) == ["input_audio_buffer.commit"]
    assert bench.say(type="ForceEndTurn").to_upstream == []


def speaking() -> Bench:
    bench = Bench(AGENT).configured()
    bench.event("input_audio_buffer.speech_started", item_id="audio_1", audio_start_ms=0)
    return bench


def test_a_turn_that_the_upstream_detects_is_committed_and_answered() -> None:
    bench = speaking()
    (commit,) = bench.say(type="ForceEndTurn").to_upstream
    assert commit["type"] == "input_audio_buffer.commit"
    assert bench.say(type="ForceEndTurn").to_upstream == [], "one is on its way"
    bench.event("input_audio_buffer.speech_stopped", item_id="audio_1", audio_end_ms=400)
    assert bench.event("input_audio_buffer.committed", item_id="audio_1").to_publish == [2]
    assert bench.conversation.record().slot is Slot.IDLE, "the upstream does not answer what was committed by hand"
    bench.translated(2)
    bench.item("audio_1")
    assert types(bench.release(responds=(2,)).to_upstream) == ["response.create"]
    bench.event("input_audio_buffer.committed", item_id="audio_2")
    assert bench.conversation.record().slot is Slot.REQUESTED
    assert bench.conversation.record().open_responses != (), "the next turn is the upstream's again"


def test_no_open_turn_is_nothing() -> None:
    out = Bench(AGENT).configured().say(type="ForceEndTurn")
    assert (out.messages, out.to_upstream) == ([], [])


@pytest.mark.parametrize(
    ("code", "told"), [("input_audio_buffer_commit_empty", []), ("invalid_value", ["FORCE_END_TURN_UNSUPPORTED"])]
)
def test_a_turn_that_cannot_be_forced_goes_on(code: str, told: list[str]) -> None:
    """Row "agent: Warning `FORCE_END_TURN_UNSUPPORTED`"."""
    bench = speaking()
    (commit,) = bench.say(type="ForceEndTurn").to_upstream
    out = bench.error(code, commit["event_id"])
    assert [message["code"] for message in out.messages] == told
    bench.event("input_audio_buffer.committed", item_id="audio_1")
    assert bench.conversation.record().slot is Slot.PROMISED


def renewed(bench: Bench) -> list[dict[str, Any]]:
    """The connection is lost, and another one takes its place; what is sent on it after the configuration."""
    bench.conversation.upstream_closed(UpstreamProblem("upstream_closed", "gone", 1011), bench.now)
    bench.conversation.drain()
    assert bench.wait(1.0).to_upstream == [], "audio cannot come to its end meanwhile"
    bench.event("session.created", session={})
    return bench.event("session.updated", session=effective(audio={"input": {"turn_detection": None}})).to_upstream


def test_an_open_turn_goes_on_with_another_connection() -> None:
    bench = manual()
    hear(bench, SPEECH)
    assert types(renewed(bench)) == ["input_audio_buffer.append"]
    assert types(bench.wait(0.1).to_upstream) == ["input_audio_buffer.commit"]


def test_a_turn_that_had_ended_is_committed_on_the_next_connection() -> None:
    bench = manual()
    hear(bench, SPEECH + PAUSE)
    assert types(renewed(bench)) == ["input_audio_buffer.append", "input_audio_buffer.commit"]
    bench.event("input_audio_buffer.committed", item_id="audio_1")
    assert not bench.conversation.record().user_speaking


def test_without_a_turn_nothing_is_committed() -> None:
    assert renewed(manual()) == []
