"""Streaming sample rate conversion.

A resampler is a polyphase filter bank: `M` input samples become `L` output samples. Each output sample is the sum of
the surrounding input samples, weighted by a windowed sinc centred at its position. Output is produced as soon as its
input is available: after `n` input samples there are exactly ``n * L // M`` output samples, in whatever pieces they
arrive.

The sums are computed by `turngate.kernel`: in C, or with numpy where that was not built, equal within one unit of the
last place.

The delay is half the filter length: 15.3 periods of the lower rate, plus less than one sample. That is at most 2 ms at
a lower rate of 8 kHz, 1 ms at 16 kHz, and 0.7 ms above.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cache
from math import ceil, gcd, pi, sin, sqrt

from turngate.kernel import MakeResampler, StreamResampler, resampler

#: Half the filter length, in periods of the lower of the two rates, so that the delay is at most 2 ms at 8 kHz.
_HALF_WIDTH = 15.3
#: Kaiser's shape parameter: side lobes at about -83 dB.
_BETA = 8.2
#: The frequency at which the gain is one half, as a fraction of the lower Nyquist frequency.
_CUTOFF = 0.925
#: The number of weights of an output sample is a multiple of this, for vector instructions.
_STEP = 8
#: What is nearer than this to the edge of the window is outside, however the position was rounded.
_EDGE = 1e-9


def make_resampler(
    rate_in: int, rate_out: int, *, aligned: bool = False, make: MakeResampler | None = None
) -> StreamResampler:
    """What converts mono pcm16 from one rate (Hz) to another. Feed it whole samples.

    With ``aligned`` the delay is removed at the start and `finish` returns the missing end, so that the output has the
    length and position of the input. This requires audio that arrives faster than real time.

    ``make`` is the implementation; None for that of this installation.
    """
    bank = filter_bank(rate_in, rate_out)
    return (make or resampler())(bank.weights, bank.up, bank.down, bank.delay if aligned else 0)


@dataclass(frozen=True, slots=True)
class FilterBank:
    """The filter bank for one pair of rates."""

    #: `M` input samples become `L` output samples.
    down: int
    up: int
    #: The delay in output samples.
    delay: int
    #: 32-bit floats: for each of ``up`` phases, the weights of the last input samples, up to that with which the output
    #: sample is due. The phase is how much later that one comes than the output is due, in input samples times ``up``.
    weights: bytes


@cache
def filter_bank(rate_in: int, rate_out: int) -> FilterBank:
    """The bank for these rates."""
    common = gcd(rate_in, rate_out)
    up, down = rate_out // common, rate_in // common
    stretch = max(1.0, down / up)
    half_width = _HALF_WIDTH * stretch
    taps = -(-(ceil(2 * half_width) + 1) // _STEP) * _STEP
    weights = array("f")
    for phase in range(up):
        # The filter of each output sample ends with the last input sample before the output is due.
        first = phase / up + half_width + 1 - taps
        window = [_weight(first + tap, half_width, stretch) for tap in range(taps)]
        total = sum(window)
        weights.extend(weight / total for weight in window)
    delay = round((half_width + 1 - down / up) * up / down)
    return FilterBank(down, up, delay, weights.tobytes())


def _weight(distance: float, half_width: float, stretch: float) -> float:
    """The windowed sinc at this distance from its centre, in input samples."""
    inside = 1 - (distance / half_width) ** 2
    if inside <= _EDGE:
        return 0.0
    angle = pi * distance * _CUTOFF / stretch
    return (sin(angle) / angle if angle else 1.0) * _bessel(_BETA * sqrt(inside))


def _bessel(value: float) -> float:
    """The modified Bessel function of the first kind and order 0, for Kaiser's window."""
    quarter, total, term, number = value * value / 4, 1.0, 1.0, 0
    while term > total * 1e-12:
        number += 1
        term *= quarter / (number * number)
        total += term
    return total
