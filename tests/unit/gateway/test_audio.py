"""The client's audio on its way to the upstream: the right number of samples, continuous, and clean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from contracts.agent import ClientProtocolError
from gateway.audio import INPUT_RATES, UPSTREAM_RATE, InputAudio, check_input, check_output

RESAMPLED = [rate for rate in INPUT_RATES if rate != UPSTREAM_RATE]


def tone(rate: int, frequency: float, seconds: float = 1.0) -> bytes:
    times = np.arange(int(rate * seconds)) / rate
    return bytes(np.rint(29_000 * np.sin(2 * np.pi * frequency * times)).astype("<i2").tobytes())


def converted(rate: int, pcm: bytes, chunk_bytes: int) -> bytes:
    audio = InputAudio("linear16", rate)
    return b"".join(audio.feed(pcm[start : start + chunk_bytes]) for start in range(0, len(pcm), chunk_bytes))


def fitted(pcm: bytes, frequency: float) -> tuple[float, float, float]:
    """Signal-to-noise ratio (dB), amplitude and delay (s, modulo one period) of a tone, once it has settled."""
    samples: NDArray[np.float64] = np.frombuffer(pcm, "<i2").astype(np.float64)[2400:]
    angles = 2 * np.pi * frequency * (np.arange(len(samples)) + 2400) / UPSTREAM_RATE
    basis = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    weights = np.linalg.lstsq(basis, samples, rcond=None)[0]
    noise = samples - basis @ weights
    ratio = 10 * np.log10(float(np.var(basis @ weights)) / float(np.var(noise)))
    return ratio, float(np.hypot(*weights)), float(np.arctan2(-weights[1], weights[0]) / (2 * np.pi * frequency))


@pytest.mark.parametrize("rate", RESAMPLED)
@pytest.mark.parametrize("frequency", [200.0, 1000.0, 3000.0])
def test_a_tone_comes_out_clean_and_as_loud_as_it_was(rate: int, frequency: float) -> None:
    ratio, amplitude, _ = fitted(converted(rate, tone(rate, frequency), rate // 50 * 2), frequency)
    assert ratio >= 80
    assert amplitude == pytest.approx(29_000, rel=0.002)


def test_16_khz_is_delayed_by_about_a_millisecond() -> None:
    _, _, delay = fitted(converted(16_000, tone(16_000, 200.0), 640), 200.0)
    assert 0.0005 < delay < 0.002


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000])
def test_what_24_khz_cannot_hold_does_not_fold_back(rate: int) -> None:
    residue = np.frombuffer(converted(rate, tone(rate, 14_000.0), 2 * rate), "<i2")[2400:]
    assert np.abs(residue).max() <= 3


@pytest.mark.parametrize(("rate", "given_", "expected"), [(16_000, 320, 480), (8_000, 160, 480), (48_000, 960, 480)])
def test_every_20_ms_give_20_ms(rate: int, given_: int, expected: int) -> None:
    audio = InputAudio("linear16", rate)
    for _ in range(20):
        assert len(audio.feed(b"\0\0" * given_)) == 2 * expected


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(rate=st.sampled_from(INPUT_RATES), chunks=st.lists(st.integers(0, 700), min_size=1, max_size=30))
def test_how_the_audio_is_cut_does_not_matter(rate: int, chunks: list[int]) -> None:
    """Chunks of any number of bytes, samples split in the middle included."""
    pcm = np.random.default_rng(1).integers(-20_000, 20_000, sum(chunks) // 2 + 1).astype("<i2").tobytes()
    whole = InputAudio("linear16", rate).feed(pcm[: sum(chunks)])
    audio, start, pieces = InputAudio("linear16", rate), 0, b""
    for size in chunks:
        pieces += audio.feed(pcm[start : start + size])
        start += size
    assert len(pieces) == len(whole)
    difference = np.frombuffer(pieces, "<i2").astype(int) - np.frombuffer(whole, "<i2")
    # The order in which a sum is taken may differ with the size of the product, and so its rounding.
    assert not difference.size or np.abs(difference).max() <= 1


def test_24_khz_passes_untouched() -> None:
    audio = InputAudio("linear16", UPSTREAM_RATE)
    chunk = tone(UPSTREAM_RATE, 440.0, 0.02)
    assert audio.feed(chunk) is chunk
    assert audio.feed(b"\x01") == b""
    assert audio.feed(b"\x02\x03\x04\x05") == b"\x01\x02\x03\x04"
    assert audio.feed(b"\x06") == b"\x05\x06"


def test_the_loudest_audio_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(16_000) // 20 % 2, 32767, -32768).astype("<i2").tobytes()
    loud = np.frombuffer(converted(16_000, square, 640), "<i2").astype(int)[100:]
    # The filter overshoots behind each edge. Held at the limit these samples stay; wrapped, the sign would change far
    # more often than once in each half period of 30 samples.
    assert loud.max() == 32767
    assert loud.min() == -32768
    assert np.count_nonzero(np.diff(np.sign(loud))) <= len(loud) / 30 + 1


def test_unsupported_input_is_refused_with_what_is_supported() -> None:
    with pytest.raises(ClientProtocolError, match=r"`audio.input.encoding` 'opus' .* supported: linear16") as caught:
        InputAudio("opus", 48_000)
    assert (caught.value.code, caught.value.field) == ("INVALID_SETTINGS", "audio.input.encoding")
    with pytest.raises(ClientProtocolError, match=r"11025 .* supported: 8000, 16000, 24000, 32000, 44100, 48000"):
        check_input("linear16", 11_025)


@pytest.mark.parametrize(
    ("encoding", "rate", "container", "field"),
    [
        ("mulaw", 8_000, "none", "encoding"),
        ("linear16", 16_000, "none", "sample_rate"),
        ("linear16", 24_000, "wav", "container"),
    ],
)
def test_unsupported_output_is_refused_with_what_is_supported(
    encoding: str, rate: int, container: str, field: str
) -> None:
    check_output("linear16", 24_000, "none")
    with pytest.raises(ClientProtocolError, match=f"`audio.output.{field}`") as caught:
        check_output(encoding, rate, container)
    assert caught.value.code == "INVALID_SETTINGS"
