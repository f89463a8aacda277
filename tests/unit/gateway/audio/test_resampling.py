"""Between sampling rates: the right number of samples, continuous, clean, and soon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.audio.resampling import filter_bank, make_resampler
from tests import kernels
from tests.unit.gateway.sound import LOUDNESS, fitted, tone
from turngate.kernel import MakeResampler
from turngate.protocol.deepgram.audio import LINEAR16_RATES, UPSTREAM_RATE

OTHERS = [rate for rate in LINEAR16_RATES if rate != UPSTREAM_RATE]
PAIRS = [(rate, UPSTREAM_RATE) for rate in OTHERS] + [(UPSTREAM_RATE, rate) for rate in OTHERS]
both_ways = pytest.mark.parametrize(("rate_in", "rate_out"), PAIRS)


@pytest.fixture(params=[pytest.param("compiled", marks=kernels.compiled), "numpy"])
def make(request: pytest.FixtureRequest) -> MakeResampler:
    """Every test is run with both implementations."""
    return kernels.resampler(request.param)


def converted(make: MakeResampler, rate_in: int, rate_out: int, pcm: bytes) -> bytes:
    resampler, frame = make_resampler(rate_in, rate_out, make=make), rate_in // 50 * 2
    return b"".join(resampler.feed(pcm[start : start + frame]) for start in range(0, len(pcm), frame))


@both_ways
@pytest.mark.parametrize("frequency", [200.0, 1000.0, 3000.0])
def test_a_tone_comes_out_clean_and_as_loud_as_it_was(
    make: MakeResampler, rate_in: int, rate_out: int, frequency: float
) -> None:
    found = fitted(converted(make, rate_in, rate_out, tone(rate_in, frequency)), rate_out, frequency)
    assert found.clean >= 80
    assert found.amplitude == pytest.approx(LOUDNESS, rel=0.002)


@both_ways
def test_the_delay_is_two_milliseconds_at_most(make: MakeResampler, rate_in: int, rate_out: int) -> None:
    found = fitted(converted(make, rate_in, rate_out, tone(rate_in, 200.0)), rate_out, 200.0)
    assert 0.5 < found.delay <= (2 if 8_000 in (rate_in, rate_out) else 1)


@pytest.mark.parametrize(("rate_in", "rate_out"), [pair for pair in PAIRS if pair[0] > pair[1]])
@pytest.mark.parametrize("above", [1.1, 1.2, 1.3])
def test_what_the_lower_rate_cannot_hold_does_not_fold_back(
    make: MakeResampler, rate_in: int, rate_out: int, above: float
) -> None:
    residue = np.frombuffer(converted(make, rate_in, rate_out, tone(rate_in, above * rate_out / 2)), "<i2")[
        rate_out // 10 :
    ]
    assert 20 * np.log10(max(float(np.sqrt(np.mean(residue.astype(float) ** 2))), 1e-3) / (LOUDNESS / 2**0.5)) <= -60


@pytest.mark.parametrize(("rate_in", "rate_out"), [pair for pair in PAIRS if pair[0] < pair[1]])
def test_what_the_lower_rate_does_not_have_is_not_made_up(make: MakeResampler, rate_in: int, rate_out: int) -> None:
    heard = np.frombuffer(converted(make, rate_in, rate_out, tone(rate_in, 0.75 * rate_in / 2)), "<i2")[
        -rate_out // 2 :
    ]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    above = spectrum[np.fft.rfftfreq(len(heard), 1 / rate_out) > rate_in / 2]
    assert 20 * np.log10(float(above.max()) / float(spectrum.max())) <= -60


@both_ways
def test_every_20_ms_give_20_ms(make: MakeResampler, rate_in: int, rate_out: int) -> None:
    resampler = make_resampler(rate_in, rate_out, make=make)
    for _ in range(20):
        assert len(resampler.feed(bytes(rate_in // 50 * 2))) == rate_out // 50 * 2


cuts = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@cuts
@given(pair=st.sampled_from(PAIRS), sizes=st.lists(st.integers(0, 350), min_size=1, max_size=30))
def test_after_any_number_of_samples_exactly_their_share_is_out(
    make: MakeResampler, pair: tuple[int, int], sizes: list[int]
) -> None:
    rate_in, rate_out = pair
    pcm = np.random.default_rng(1).integers(-20_000, 20_000, sum(sizes)).astype("<i2").tobytes()
    whole, resampler = make_resampler(*pair, make=make).feed(pcm), make_resampler(*pair, make=make)
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
def test_aligned_audio_that_is_finished_has_its_share_to_the_sample(
    make: MakeResampler, pair: tuple[int, int], sizes: list[int]
) -> None:
    resampler = make_resampler(*pair, aligned=True, make=make)
    out = b"".join([*(resampler.feed(bytes(2 * size)) for size in sizes), resampler.finish()])
    assert len(out) // 2 == sum(sizes) * pair[1] // pair[0]


@both_ways
def test_aligned_audio_lies_where_it_lay_to_its_last_sample(make: MakeResampler, rate_in: int, rate_out: int) -> None:
    resampler = make_resampler(rate_in, rate_out, aligned=True, make=make)
    out = resampler.feed(tone(rate_in, 200.0)) + resampler.finish()
    assert abs(fitted(out, rate_out, 200.0).delay) < 0.05
    click = np.zeros(rate_in // 10, "<i2")
    click[-rate_in // 1000] = 20_000
    resampler = make_resampler(rate_in, rate_out, aligned=True, make=make)
    out = resampler.feed(click.tobytes()) + resampler.finish()
    loudest = int(np.abs(np.frombuffer(out, "<i2").astype(int)).argmax())
    assert abs(loudest - (rate_out // 10 - rate_out // 1000)) <= 2


@both_ways
def test_a_frame_of_any_size_is_converted_in_pieces(make: MakeResampler, rate_in: int, rate_out: int) -> None:
    pcm = tone(rate_in, 1000.0, 4.0)
    assert fitted(make_resampler(rate_in, rate_out, make=make).feed(pcm), rate_out, 1000.0).clean >= 80


def test_the_loudest_audio_is_clipped_and_does_not_wrap(make: MakeResampler) -> None:
    square = np.where(np.arange(16_000) // 20 % 2, 32767, -32768).astype("<i2").tobytes()
    loud = np.frombuffer(converted(make, 16_000, 24_000, square), "<i2").astype(int)[100:]
    # The filter overshoots behind each edge. Held at the limit these samples stay; wrapped, the sign would change far
    # more often than once in each half period of 30 samples.
    assert loud.max() == 32767
    assert loud.min() == -32768
    assert np.count_nonzero(np.diff(np.sign(loud))) <= len(loud) / 30 + 1


@kernels.compiled
@cuts
@given(
    pair=st.sampled_from(PAIRS),
    sizes=st.lists(st.integers(0, 3_000), min_size=1, max_size=20),
    aligned=st.booleans(),
    loudness=st.sampled_from([1, 300, 32_767]),
    seed=st.integers(0, 2**32),
)
def test_both_implementations_agree_to_one_unit(
    pair: tuple[int, int], sizes: list[int], aligned: bool, loudness: int, seed: int
) -> None:
    pcm = np.random.default_rng(seed).integers(-loudness, loudness + 1, sum(sizes)).astype("<i2").tobytes()
    ends = np.cumsum(sizes) * 2
    pieces = [pcm[end - 2 * size : end] for end, size in zip(ends, sizes, strict=True)]
    one, other = (
        make_resampler(*pair, aligned=aligned, make=kernels.resampler(name)) for name in ("compiled", "numpy")
    )
    for piece in pieces:
        assert _most_different(one.feed(piece), other.feed(piece)) <= 1
    assert _most_different(one.finish(), other.finish()) <= 1


def _most_different(one: bytes, other: bytes) -> int:
    assert len(one) == len(other)
    difference = np.frombuffer(one, "<i2").astype(int) - np.frombuffer(other, "<i2")
    return int(np.abs(difference).max(initial=0))


@both_ways
def test_the_weights_of_an_output_sample_sum_to_one(rate_in: int, rate_out: int) -> None:
    bank = filter_bank(rate_in, rate_out)
    sums = np.frombuffer(bank.weights, np.float32).reshape(bank.up, -1).sum(axis=1)
    assert np.abs(sums - 1).max() < 1e-6
