"""Audio formats in a conversation: they change with the configuration that is held, when it is confirmed."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialect import AGENT
from tests.unit.gateway.bench import SETTINGS, Bench, effective, types

LINEAR16 = {"encoding": "linear16", "sample_rate": 24_000}
MULAW = {"encoding": "mulaw", "sample_rate": 8_000}


def settings(heard: dict[str, Any], spoken: dict[str, Any] = LINEAR16) -> dict[str, Any]:
    return {**SETTINGS, "audio": {"input": heard, "output": spoken}}


def heard(bench: Bench, frame: bytes) -> bytes | None:
    """What goes upstream for a frame of the client's audio."""
    return bench.conversation.client_audio(frame, bench.now)


def test_g711_passes_as_it_is_from_the_first_settings_on() -> None:
    bench = Bench().configured(audio={"input": MULAW})
    assert heard(bench, b"\x01\x02\x03") == b"\x01\x02\x03"


def test_a_new_rate_holds_when_it_is_confirmed_and_not_before() -> None:
    bench = Bench().configured(audio={"input": LINEAR16})
    frame = bytes(960)
    bench.say(**settings({"encoding": "linear16", "sample_rate": 48_000}))
    assert heard(bench, frame) == frame
    bench.translated(2)
    bench.release((2,), name="r2")
    assert heard(bench, frame) == frame
    bench.event("session.updated", session=effective())
    assert len(heard(bench, frame) or b"") == 480


def test_a_format_that_is_refused_never_holds() -> None:
    bench = Bench().configured(audio={"input": LINEAR16})
    bench.say(**settings({"encoding": "linear16", "sample_rate": 48_000}))
    assert types(bench.refused(2).messages) == ["Error"]
    assert heard(bench, bytes(960)) == bytes(960)


def test_while_the_upstreams_own_input_format_changes_no_audio_goes_to_it() -> None:
    """Nobody could say in which format the upstream reads it: noise, and with it a turn that nobody spoke."""
    bench = Bench().configured(audio={"input": LINEAR16})
    bench.say(**settings(MULAW))
    bench.translated(2)
    assert heard(bench, bytes(960)) == bytes(960)
    bench.release((2,), name="r2")
    assert heard(bench, bytes(960)) == b""
    assert heard(bench, bytes(960)) == b""
    out = bench.event("session.updated", session=effective())
    assert [message.get("code", message["type"]) for message in out.messages] == ["AUDIO_DROPPED", "SettingsApplied"]
    assert heard(bench, b"\x7f") == b"\x7f"


def test_a_change_that_the_upstream_refuses_leaves_the_audio_as_it_was() -> None:
    bench = Bench().configured(audio={"input": LINEAR16})
    bench.say(**settings(MULAW))
    bench.translated(2)
    update = bench.release((2,), name="r2").to_upstream[-1]["event_id"]
    assert heard(bench, bytes(960)) == b""
    bench.error("invalid_value", update, param="session.audio.input.format.type")
    assert heard(bench, bytes(960)) == bytes(960)


def test_a_reply_under_way_keeps_its_format_when_another_is_confirmed() -> None:
    """The upstream may begin a reply by itself between our ``session.update`` and its ``session.updated``."""
    bench = Bench().configured(audio={"input": LINEAR16, "output": LINEAR16})
    downlink = bench.conversation.downlink
    bench.say(**settings(LINEAR16, {"encoding": "linear16", "sample_rate": 48_000}))
    bench.translated(2)
    bench.release((2,), name="r2")
    bench.created("old")
    bench.event("session.updated", session=effective())
    assert downlink.voice.feed("old", bytes(960)) == bytes(960)
    bench.done("old")
    bench.created("new")
    frame = downlink.voice.feed("new", bytes(960))
    assert len(frame + downlink.audio_tail("new")) == 1920


def test_an_out_of_band_response_does_not_disturb_the_reply() -> None:
    bench = Bench().configured(audio={"output": {"encoding": "linear16", "sample_rate": 48_000}})
    downlink = bench.conversation.downlink
    bench.created("reply")
    first = downlink.voice.feed("reply", bytes(960))
    bench.created("aside", conversation=None)
    rest = downlink.voice.feed("reply", bytes(960)) + downlink.audio_tail("reply")
    assert len(first + rest) == 3840


def test_an_interrupted_reply_has_no_tail() -> None:
    bench = Bench().configured(audio={"output": {"encoding": "linear16", "sample_rate": 16_000}})
    downlink = bench.conversation.downlink
    bench.created("reply")
    downlink.voice.feed("reply", b"\x7f" * 960)
    bench.event("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u1")
    assert downlink.audio_tail("reply") == b""


def test_audio_that_waits_for_the_session_cannot_change_its_encoding() -> None:
    bench = Bench()
    bench.say(**settings(LINEAR16))
    bench.say(**settings({"encoding": "linear16", "sample_rate": 16_000}))
    assert heard(bench, bytes(640)) is not None
    (error,) = bench.say(**settings(MULAW)).messages
    assert error["code"] == "INVALID_SETTINGS"
    assert "`audio.input.encoding` cannot change from linear16 to mulaw" in error["description"]


def test_settings_without_audio_before_them_may_change_everything() -> None:
    bench = Bench()
    bench.say(**settings(LINEAR16))
    assert bench.say(**settings(MULAW)).messages == []
    assert heard(bench, b"\x01") == b""
    bench.event("session.created", session={})
    for seq in (1, 2):
        bench.translated(seq)
    bench.release((1, 2))
    (append,) = bench.event("session.updated", session=effective()).to_upstream
    assert append["audio"] == "AQ=="


@pytest.mark.parametrize(
    ("audio", "field", "supported"),
    [
        ({"input": {"encoding": "opus", "sample_rate": 48_000}}, "audio.input.encoding", "linear16, mulaw, alaw"),
        ({"output": {"encoding": "mp3"}}, "audio.output.encoding", "linear16, mulaw, alaw"),
        ({"output": {"container": "ogg"}}, "audio.output.container", "none, wav"),
    ],
)
def test_an_unsupported_format_ends_an_agent_session_with_what_is_supported(
    audio: dict[str, Any], field: str, supported: str
) -> None:
    bench = Bench(AGENT)
    (error,) = bench.say(**{**SETTINGS, "audio": audio}).messages
    assert error["code"] == "INVALID_SETTINGS"
    assert f"`{field}`" in error["description"]
    assert f"supported: {supported}." in error["description"]
    assert bench.out.ending is not None
