"""One session's audio both ways: what passes, what is converted, and which format holds when."""

from __future__ import annotations

import io
import wave

import pytest

from gateway.audio.formats import AgentAudio, ClientAudio, DeclaredFormats, Formats, WholeSamples, wav_header
from tests.unit.gateway.sound import fitted, tone
from turngate.protocol.deepgram.settings import InputAudio, OutputAudio


def formats(encoding: str = "linear16", rate: int = 24_000, container: str = "none") -> Formats:
    form = InputAudio(encoding=encoding, sample_rate=rate)
    return Formats(form, OutputAudio(encoding=encoding, sample_rate=rate, container=container))


def voice(encoding: str = "linear16", rate: int = 24_000, container: str = "none") -> AgentAudio:
    declared = DeclaredFormats(lambda seq: False)
    declared.declare(1, formats(encoding, rate, container))
    agent = AgentAudio()
    agent.follow(declared)
    return agent


# --- the client's


def test_24_khz_passes_untouched_and_whole_samples_only() -> None:
    audio = ClientAudio(InputAudio())
    chunk = tone(24_000, 440.0, 0.02)
    assert audio.feed(chunk) is chunk
    assert audio.feed(b"\x01") == b""
    assert audio.feed(b"\x02\x03\x04\x05") == b"\x01\x02\x03\x04"
    assert audio.feed(b"\x06") == b"\x05\x06"


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_g711_passes_untouched_byte_by_byte(encoding: str) -> None:
    audio, agent = ClientAudio(InputAudio(encoding=encoding)), voice(encoding, 8_000)
    for chunk in (b"\x01", b"\x02\x03\x04"):
        assert audio.feed(chunk) is chunk
        assert agent.feed("r", chunk) is chunk
    assert agent.end_item("r") == b""
    assert agent.bytes_per_ms == 8


def test_a_sample_that_is_split_between_two_chunks_is_put_together_before_it_is_converted() -> None:
    pcm = tone(16_000, 1000.0)
    audio = ClientAudio(InputAudio(sample_rate=16_000))
    out = b"".join(audio.feed(pcm[start : start + 641]) for start in range(0, len(pcm), 641))
    assert len(out) == 48_000
    assert fitted(out, 24_000, 1000.0).clean >= 80


def test_whole_samples_lose_nothing() -> None:
    whole = WholeSamples()
    assert [whole.feed(piece) for piece in (b"a", b"b", b"", b"cde", b"f")] == [b"", b"ab", b"", b"cd", b"ef"]


# --- the agent's


def test_24_khz_for_the_client_passes_untouched() -> None:
    chunk = tone(24_000, 440.0, 0.1)
    agent = voice()
    assert agent.feed("r", chunk) is chunk
    assert agent.end_item("r") == b""
    assert len(chunk) / agent.bytes_per_ms == 100


@pytest.mark.parametrize("rate", [8_000, 16_000, 32_000, 44_100, 48_000])
def test_a_reply_in_another_rate_is_as_long_as_it_was_and_clean(rate: int) -> None:
    pcm = tone(24_000, 1000.0)
    agent = voice(rate=rate)
    out = b"".join(agent.feed("r", pcm[start : start + 4_321]) for start in range(0, len(pcm), 4_321))
    out += agent.end_item("r")
    assert len(out) == 2 * rate
    assert fitted(out, rate, 1000.0).clean >= 80
    assert agent.end_item("r") == b""


def test_nothing_of_an_interrupted_reply_gets_into_the_next() -> None:
    agent = voice(rate=16_000)
    agent.feed("loud", tone(24_000, 3000.0, 0.1) + b"\x7f")
    agent.begin("quiet")
    assert not any(agent.feed("quiet", bytes(4_800)))
    assert agent.end_item("loud") == b""
    assert not any(agent.end_item("quiet"))


def test_each_item_of_a_reply_is_complete() -> None:
    agent = voice(rate=8_000)
    for _ in range(2):
        assert len(agent.feed("r", tone(24_000, 1000.0, 0.1)) + agent.end_item("r")) == 1_600


@pytest.mark.parametrize(("encoding", "rate"), [("linear16", 16_000), ("linear16", 24_000)])
def test_each_reply_is_one_wav_file(encoding: str, rate: int) -> None:
    agent = voice(encoding, rate, "wav")
    for reply in ("one", "two"):
        out = b"".join(agent.feed(reply, tone(24_000, 1000.0, 0.5)) + agent.end_item(reply) for _ in range(2))
        assert out.count(b"RIFF") == 1
        with wave.open(io.BytesIO(out)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
            assert len(file.readframes(rate)) == 2 * rate


def test_the_header_comes_with_the_first_audio_however_little_there_is() -> None:
    agent = voice(rate=8_000, container="wav")
    assert agent.feed("r", bytes(6)) == b""
    assert agent.end_item("r") == wav_header(OutputAudio(sample_rate=8_000, container="wav")) + bytes(2)


@pytest.mark.parametrize(("encoding", "code"), [("mulaw", 7), ("alaw", 6)])
def test_g711_in_a_wav_file_says_so(encoding: str, code: int) -> None:
    out = voice(encoding, 8_000, "wav").feed("r", b"\x55")
    # RIFF, its length, WAVE; "fmt " with 18 bytes: code, channels, Hz, bytes/s, bytes and bits a sample, no extension.
    expected = (
        f"52494646ffffffff57415645 666d742012000000 0{code}000100 401f0000 401f0000 01000800 0000 64617461ffffffff"
    )
    assert out == bytes.fromhex(expected) + b"\x55"


# --- which format holds


class Requests:
    """Settings by ``seq``, settled or open."""

    def __init__(self) -> None:
        self.open = {1}
        self.declared = DeclaredFormats(lambda seq: seq in self.open)
        self.declared.declare(1, formats())


def test_before_settings_no_format_holds() -> None:
    assert DeclaredFormats(lambda seq: False).current is None


def test_until_the_first_configuration_is_confirmed_the_newest_format_holds() -> None:
    requests = Requests()
    assert requests.declared.current == formats()
    requests.open.add(2)
    requests.declared.declare(2, formats(rate=16_000))
    assert requests.declared.current == formats(rate=16_000)
    requests.declared.withdraw(2)
    assert requests.declared.current == formats()


def test_a_later_format_holds_when_its_settings_are_confirmed_and_not_before() -> None:
    requests = Requests()
    requests.open = {2}
    requests.declared.declare(2, formats(rate=16_000))
    assert requests.declared.current == formats()
    requests.open.clear()
    assert requests.declared.current == formats(rate=16_000)


def test_a_format_that_was_refused_never_holds() -> None:
    requests = Requests()
    requests.open = {2}
    requests.declared.declare(2, formats("mulaw", 8_000))
    requests.open.clear()
    requests.declared.withdraw(2)
    assert requests.declared.current == formats()


def test_of_several_that_are_confirmed_together_the_newest_holds() -> None:
    requests = Requests()
    requests.open = {2, 3}
    requests.declared.declare(2, formats(rate=16_000))
    requests.declared.declare(3, formats(rate=48_000))
    assert requests.declared.current == formats()
    requests.open.clear()
    assert requests.declared.current == formats(rate=48_000)
    requests.open = {4}
    requests.declared.declare(4, formats("alaw", 8_000))
    assert requests.declared.current == formats(rate=48_000)


def test_only_a_change_between_the_upstreams_own_formats_is_one_for_the_upstream() -> None:
    requests = Requests()
    requests.open = {2, 3}
    requests.declared.declare(2, formats(rate=16_000))
    requests.declared.declare(3, formats("mulaw", 8_000))
    assert not requests.declared.changes_upstream_input((2,))
    assert requests.declared.changes_upstream_input((2, 3))
    assert not requests.declared.changes_upstream_input((7,))
    requests.declared.declare(4, formats(rate=48_000))
    assert not requests.declared.changes_upstream_input((2, 3, 4))


def test_a_reply_keeps_the_format_in_which_it_began() -> None:
    requests = Requests()
    agent = AgentAudio()
    agent.follow(requests.declared)
    requests.open = {2}
    requests.declared.declare(2, formats("mulaw", 8_000, "wav"))
    agent.begin("old")
    requests.open.clear()
    assert agent.feed("old", bytes(960)) == bytes(960)
    assert agent.bytes_per_ms == 48
    agent.begin("new")
    assert agent.feed("new", bytes(160)).startswith(b"RIFF")
    assert agent.bytes_per_ms == 8
