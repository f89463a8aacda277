"""Between sampling rates: the right number of samples, continuous, clean, and soon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.audio.resampling import Resampler
from tests.unit.gateway.sound import LOUDNESS, fitted, tone
from turngate.protocol.deepgram.audio import LINEAR16_RATES, UPSTREAM_RATE

OTHERS = [rate for rate in LINEAR16_RATES if rate != UPSTREAM_RATE]
PAIRS = [(rate, UPSTREAM_RATE) for rate in OTHERS] + [(UPSTREAM_RATE, rate) for rate in OTHERS]
both_ways = pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)


def converted(rate_in: int, rate_out: int, pcm: bytes) -> bytes:
    resampler, frame = Resampler(rate_in, rate_out), rate_in // 50 * 2
    return b"".join(resampler.feed(pcm[start : start + frame]) for start in range(0, len(pcm), frame))


@both_ways
@pytest.mark.parametrize("frequency", [200.0, 1000.0, 3000.0])
def test_a_tone_comes_out_clean_and_as_loud_as_it_was(rate_in: int, rate_out: int, frequency: float) -> None:
    found = fitted(converted(rate_in, rate_out, tone(rate_in, frequency)), rate_out, frequency)
    assert found.clean >= 80
    assert found.amplitude == pytest.approx(LOUDNESS, rel=0.002)


@both_ways
def test_the_delay_is_two_milliseconds_at_most(rate_in: int, rate_out: int) -> None:
    found = fitted(converted(rate_in, rate_out, tone(rate_in, 200.0)), rate_out, 200.0)
    assert 0.5 < found.delay <= (2 if 8_000 in (rate_in, rate_out) else 1)


@pytest.mark.parametrize(("rate_in", "rate_out"), [pair for pair in PAIRS if pair[0] > pair[1]])
@pytest.mark.parametrize("above", [1.1, 1.2, 1.3])
def test_what_the_lower_rate_cannot_hold_does_not_fold_back(rate_in: int, rate_out: int, above: float) -> None:
    residue = np.frombuffer(converted(rate_in, rate_out, tone(rate_in, above * rate_out / 2)), "<i2")[rate_out // 10 :]
    assert 20 * np.log10(max(float(np.sqrt(np.mean(residue.astype(float) ** 2))), 1e-3) / (LOUDNESS / 2**0.5)) <= -60


@pytest.mark.parametrize(("rate_in", "rate_out"), [pair for pair in PAIRS if pair[0] < pair[1]])
def test_what_the_lower_rate_does_not_have_is_not_made_up(rate_in: int, rate_out: int) -> None:
    heard = np.frombuffer(converted(rate_in, rate_out, tone(rate_in, 0.75 * rate_in / 2)), "<i2")[-rate_out // 2 :]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    above = spectrum[np.fft.rfftfreq(len(heard), 1 / rate_out) > rate_in / 2]
    assert 20 * np.log10(float(above.max()) / float(spectrum.max())) <= -60


@both_ways
def test_every_20_ms_give_20_ms(rate_in: int, rate_out: int) -> None:
    resampler = Resampler(rate_in, rate_out)
    for _ in range(20):
        assert len(resampler.feed(bytes(rate_in // 50 * 2))) == rate_out // 50 * 2


cuts = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@cuts
@given(pair=st.sampled_from(PAIRS), sizes=st.lists(st.integers(0, 350), min_size=1, max_size=30))
def test_after_any_number_of_samples_exactly_their_share_is_out(pair: tuple[int, int], sizes: list[int]) -> None:
    rate_in, rate_out = pair
    pcm = np.random.default_rng(1).integers(-20_000, 20_000, sum(sizes)).astype("<i2").tobytes()
    whole, resampler = Resampler(*pair).feed(pcm), Resampler(*pair)
    pieces, taken = b"", 0
    for size in sizes:
        pieces += resampler.feed(pcm[2 * taken : 2 * (taken + size)])
        taken += size
        assert len(pieces) // 2 == taken * rate_out // rate_in
    difference = np.frombuffer(pieces, "<i2").astype(int) - np.frombuffer(whole, "<i2")
    # The order in which a sum is taken may differ with the size of the product, and so its rounding.
    assert not difference.size or np.abs(difference).max() <= 1


@cuts
@given(pair=st.sampled_from(PAIRS), sizes=st.lists(st.integers(0, 350), min_size=1, max_size=30))
def test_aligned_audio_that_is_finished_has_its_share_to_the_sample(pair: tuple[int, int], sizes: list[int]) -> None:
    resampler = Resampler(*pair, aligned=True)
    out = b"".join([*(resampler.feed(bytes(2 * size)) for size in sizes), resampler.finish()])
    assert len(out) // 2 == sum(sizes) * pair[1] // pair[0]


@both_ways
def test_aligned_audio_lies_where_it_lay_to_its_last_sample(rate_in: int, rate_out: int) -> None:
    resampler = Resampler(rate_in, rate_out, aligned=True)
    out = resampler.feed(tone(rate_in, 200.0)) + resampler.finish()
    assert abs(fitted(out, rate_out, 200.0).delay) < 0.05
    click = np.zeros(rate_in // 10, "<i2")
    click[-rate_in // 1000] = 20_000
    resampler = Resampler(rate_in, rate_out, aligned=True)
    out = resampler.feed(click.tobytes()) + resampler.finish()
    loudest = int(np.abs(np.frombuffer(out, "<i2").astype(int)).argmax())
    assert abs(loudest - (rate_out // 10 - rate_out // 1000)) <= 2


@both_ways
def test_a_frame_of_any_size_is_converted_in_pieces(rate_in: int, rate_out: int) -> None:
    pcm = tone(rate_in, 1000.0, 4.0)
    assert fitted(Resampler(rate_in, rate_out).feed(pcm), rate_out, 1000.0).clean >= 80


def test_the_loudest_audio_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(16_000) // 20 % 2, 32767, -32768).astype("<i2").tobytes()
    loud = np.frombuffer(converted(16_000, 24_000, square), "<i2").astype(int)[100:]
    # The filter overshoots behind each edge. Held at the limit these samples stay; wrapped, the sign would change far
    # more often than once in each half period of 30 samples.
    assert loud.max() == 32767
    assert loud.min() == -32768
    assert np.count_nonzero(np.diff(np.sign(loud))) <= len(loud) / 30 + 1
