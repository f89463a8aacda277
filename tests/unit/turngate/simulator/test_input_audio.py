"""The input audio buffer and turn detection."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import pybase64
import pytest

from tests.unit.turngate.simulator.client import Client, error, kinds, of, only, sound
from turngate.simulator.audio import FORMATS
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.frames import Event
from turngate.simulator.input_audio import APPEND_BYTES
from turngate.simulator.vad import Change, Vad, VadOptions

TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]


def vad(**fields: Any) -> Client:
    """A client whose server detects turns but creates no responses."""
    client = Client()
    detection = {"type": "server_vad", "create_response": False, **fields}
    client.configure(audio={"input": {"turn_detection": detection}})
    return client


def silence(ms: int) -> str:
    return sound(ms, loud=False)


class TestBuffer:
    def test_a_commit_needs_100_ms(self, client: Client) -> None:
        refused = error(client.send("input_audio_buffer.commit", event_id="mine"))
        assert (refused["code"], refused["event_id"]) == ("input_audio_buffer_commit_empty", "mine")
        client.hear(sound(99))
        assert "99.00ms" in error(client.send("input_audio_buffer.commit"))["message"]
        client.hear(sound(1))
        assert len(client.send("input_audio_buffer.commit")) == 3

    def test_a_second_commit_finds_nothing(self, client: Client) -> None:
        client.hear(sound(500))
        client.send("input_audio_buffer.commit")
        assert error(client.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"

    def test_clear(self, client: Client) -> None:
        client.hear(sound(500))
        (cleared,) = client.send("input_audio_buffer.clear")
        assert cleared["type"] == "input_audio_buffer.cleared"
        assert error(client.send("input_audio_buffer.commit"))["code"] == "input_audio_buffer_commit_empty"

    def test_the_item_comes_after_the_last_one(self, client: Client) -> None:
        item = client.say("hello")
        client.hear(sound(500))
        committed, added, _ = client.send("input_audio_buffer.commit")
        assert committed["previous_item_id"] == added["previous_item_id"] == item

    @pytest.mark.parametrize("audio", ["*", "AAA", "AAAA", 7, None])
    def test_bad_audio(self, client: Client, audio: Any) -> None:
        refused = error(client.send("input_audio_buffer.append", audio=audio, event_id="mine"))
        assert (refused["code"], refused["param"], refused["event_id"]) == ("invalid_value", "audio", "mine")

    def test_audio_is_required(self, client: Client) -> None:
        assert error(client.send("input_audio_buffer.append"))["code"] == "missing_required_parameter"

    def test_an_append_that_is_too_large(self, client: Client) -> None:
        audio = pybase64.b64encode_as_string(bytes(APPEND_BYTES + 2))
        assert error(client.send("input_audio_buffer.append", audio=audio))["param"] == "audio"

    def test_a_full_buffer_drops_the_oldest_audio(self) -> None:
        client = Client(Behaviour(max_audio_bytes=48 * 1000))
        client.configure(audio={"input": {"turn_detection": None}})
        client.hear(silence(500), sound(1000))
        item = client.send("input_audio_buffer.commit")[0]["item_id"]
        (retrieved,) = client.send("conversation.item.retrieve", item_id=item)
        assert retrieved["item"]["content"][0]["audio"] == sound(1000)

    def test_audio_is_whole_samples_of_the_format(self, client: Client) -> None:
        client.configure(audio={"input": {"format": {"type": "audio/pcmu"}}})
        odd = pybase64.b64encode_as_string(bytes(801))
        assert client.hear(odd) == []
        assert len(client.send("input_audio_buffer.commit")) == 3


class TestTurns:
    def test_where_a_turn_begins_and_ends(self) -> None:
        client = vad(prefix_padding_ms=300, silence_duration_ms=500)
        started, stopped, committed, *_ = client.hear(silence(1000), sound(600), silence(700))
        assert started["audio_start_ms"] == 700
        assert stopped["audio_end_ms"] == 2100
        assert started["item_id"] == stopped["item_id"] == committed["item_id"]
        (retrieved,) = client.send("conversation.item.retrieve", item_id=committed["item_id"])
        audio = pybase64.b64decode(retrieved["item"]["content"][0]["audio"])
        assert len(audio) == 48 * 1400

    def test_the_prefix_does_not_overlap_the_previous_turn(self) -> None:
        client = vad(silence_duration_ms=200)
        came = client.hear(sound(500), silence(200), sound(500), silence(200))
        assert kinds(came) == [*TURN, *TURN]
        second = of(came, "input_audio_buffer.speech_started")[1]
        assert second["audio_start_ms"] == only(came[:5], "input_audio_buffer.speech_stopped")["audio_end_ms"]

    def test_time_is_audio_received_not_time_passed(self) -> None:
        client = vad()
        client.hear(sound(500))
        assert client.wait(60) == []
        assert "input_audio_buffer.speech_stopped" in kinds(client.hear(silence(200)))

    #: In samples: an AudioWorklet's frame, frames of 256 bytes, of 5, 10, 20, 33 and 100 ms, and all at once.
    @pytest.mark.parametrize("step", [1, 120, 128, 240, 480, 792, 2_400, 48_000])
    def test_how_audio_is_cut_into_appends_does_not_matter(self, step: int) -> None:
        samples = np.concatenate(
            [np.frombuffer(pybase64.b64decode(part), "<i2") for part in (silence(310), sound(500), silence(440))]
        )
        appends = [
            pybase64.b64encode_as_string(samples[start : start + step].tobytes())
            for start in range(0, len(samples), step)
        ]
        started, stopped, *_ = vad().hear(*appends)
        assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (0, 1020)

    def test_a_click_is_not_speech(self) -> None:
        assert vad().hear(sound(40), silence(500)) == []

    def test_a_short_pause_does_not_end_a_turn(self) -> None:
        came = vad(silence_duration_ms=300).hear(sound(300), silence(280), sound(300))
        assert kinds(came) == TURN[:1]

    def test_the_threshold(self) -> None:
        quiet = sound(500, amplitude=700)
        assert vad(threshold=0.9).hear(quiet) == []
        assert kinds(vad(threshold=0.1).hear(quiet)) == TURN[:1]

    @pytest.mark.parametrize("fmt", FORMATS)
    def test_every_format(self, fmt: str) -> None:
        client = vad()
        client.configure(audio={"input": {"format": {"type": fmt}}})
        came = client.hear(sound(500, fmt=fmt), sound(300, loud=False, fmt=fmt))
        assert kinds(came) == TURN
        assert only(came, "input_audio_buffer.speech_stopped")["audio_end_ms"] == 700

    def test_semantic_vad_waits_longer_when_it_is_less_eager(self) -> None:
        def ends(eagerness: str) -> list[Event]:
            client = Client()
            detection = {"type": "semantic_vad", "eagerness": eagerness, "create_response": False}
            client.configure(audio={"input": {"turn_detection": detection}})
            return of(client.hear(sound(500), silence(600)), "input_audio_buffer.speech_stopped")

        assert len(ends("high")) == 1
        assert ends("low") == []

    def test_an_update_without_turn_detection_does_not_affect_a_turn(self) -> None:
        client = vad()
        client.hear(sound(500))
        client.configure(instructions="Be kind.")
        assert kinds(client.hear(silence(300))) == TURN[1:]

    def test_switching_detection_off_discards_the_turn_but_not_the_audio(self) -> None:
        client = vad()
        client.hear(sound(500))
        client.configure(audio={"input": {"turn_detection": None}})
        assert client.session.user_speaking is False
        assert client.hear(silence(500)) == []
        assert len(client.send("input_audio_buffer.commit")) == 3

    def test_a_commit_in_the_middle_of_a_turn_ends_it(self) -> None:
        client = vad()
        (started,) = client.hear(sound(500))
        came = client.send("input_audio_buffer.commit")
        assert kinds(came) == TURN[1:]
        assert came[1]["item_id"] == started["item_id"]
        assert client.session.user_speaking is False

    def test_clear_discards_a_turn(self) -> None:
        client = vad()
        client.hear(sound(500))
        client.send("input_audio_buffer.clear")
        assert client.session.user_speaking is False
        assert client.hear(silence(500)) == []

    def test_the_transcript_of_an_item_that_was_deleted_never_comes(self) -> None:
        client = vad()
        client.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
        committed = client.hear(sound(500), silence(300))[2]
        client.send("conversation.item.delete", item_id=committed["item_id"])
        assert client.settle() == []

    def test_the_transcript_is_in_the_item_afterwards(self) -> None:
        client = vad()
        client.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
        committed = client.hear(sound(1800), silence(300))[2]
        client.settle()
        (retrieved,) = client.send("conversation.item.retrieve", item_id=committed["item_id"])
        assert retrieved["item"]["content"][0]["transcript"] == "(speech, 1.8 s)"


def test_the_detector_counts_from_its_start_position() -> None:
    detector = Vad(VadOptions(rate=1000, threshold=0.5, prefix=0, silence=100), position=5_000)
    samples = array("h", [8_000] * 200 + [0] * 100)
    assert list(detector.hear(samples)) == [Change("started", 5_000), Change("stopped", 5_300)]
