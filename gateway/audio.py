"""The client's audio formats: what comes in, brought to the upstream's 24 kHz pcm16; what may go out.

A resampler is one streaming filter bank. Every `M` input samples become `L` output samples by one matrix product with
the input around them: column `r` of the matrix is a windowed sinc, centred where output `r` of the block lies between
the input samples. So the output is exact in number (320 samples at 16 kHz are 480 at 24 kHz, always), continuous over
chunks of any size, and another rate is another ratio.

The delay is half the filter: 16 input samples, 1 ms at 16 kHz and 2 ms at 8 kHz.
"""

from __future__ import annotations

from functools import cache
from math import ceil, gcd
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from contracts.agent import INVALID_SETTINGS, ClientProtocolError

#: Hz, of the audio that the upstream takes and gives: 16-bit little-endian mono PCM.
UPSTREAM_RATE = 24_000
#: Hz, of the linear16 audio that clients may send.
INPUT_RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)

#: Half the filter's length, in periods of the lower of the two rates.
_HALF_WIDTH = 16
#: Kaiser's shape parameter: side lobes at about -85 dB.
_BETA = 8.5
#: Where the filter is down to one half, as a part of the lower Nyquist frequency.
_CUTOFF = 0.93

_SAMPLE_BYTES = 2

Samples: TypeAlias = NDArray[np.float32]


def check_input(encoding: str, sample_rate: int) -> None:
    """Raises `ClientProtocolError`, which lists what is supported, for audio that `InputAudio` cannot read."""
    if encoding != "linear16":
        raise _unsupported("audio.input.encoding", encoding, "linear16")
    if sample_rate not in INPUT_RATES:
        raise _unsupported("audio.input.sample_rate", sample_rate, ", ".join(map(str, INPUT_RATES)))


def check_output(encoding: str, sample_rate: int, container: str) -> None:
    """Raises `ClientProtocolError`, which lists what is supported, for a format that the agent's audio cannot have."""
    for field, asked, supported in (
        ("encoding", encoding, "linear16"),
        ("sample_rate", sample_rate, UPSTREAM_RATE),
        ("container", container, "none"),
    ):
        if asked != supported:
            raise _unsupported(f"audio.output.{field}", asked, str(supported))


def _unsupported(field: str, asked: object, supported: str) -> ClientProtocolError:
    return ClientProtocolError(
        INVALID_SETTINGS, f"Settings: `{field}` {asked!r} is not supported; supported: {supported}.", field
    )


class InputAudio:
    """One client's audio on its way to the upstream. Raises `ClientProtocolError` for a format it cannot read."""

    __slots__ = ("_half_sample", "_resampler")

    def __init__(self, encoding: str, sample_rate: int) -> None:
        check_input(encoding, sample_rate)
        self._resampler = None if sample_rate == UPSTREAM_RATE else Resampler(sample_rate, UPSTREAM_RATE)
        #: The first byte of a sample whose second one has not come yet.
        self._half_sample = b""

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes, of any number; returns 24 kHz pcm16, empty when too little came to make a sample."""
        if self._half_sample or len(chunk) % _SAMPLE_BYTES:
            chunk = self._half_sample + chunk
            whole = len(chunk) - len(chunk) % _SAMPLE_BYTES
            chunk, self._half_sample = chunk[:whole], chunk[whole:]
        return chunk if self._resampler is None else self._resampler.feed(chunk)


class Resampler:
    """Streaming conversion of mono pcm16 between two rates (Hz)."""

    __slots__ = ("_bank", "_block", "_history")

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self._block, self._bank = _filter_bank(rate_in, rate_out)
        #: The input that later blocks still need, silence at first.
        self._history: Samples = np.zeros(len(self._bank) - self._block, np.float32)

    def feed(self, pcm: bytes) -> bytes:
        """The next samples, of any number; returns every output sample that they complete."""
        samples = np.concatenate((self._history, np.frombuffer(pcm, "<i2")), dtype=np.float32)
        blocks = (len(samples) - len(self._bank)) // self._block + 1
        if blocks <= 0:
            self._history = samples
            return b""
        windows = sliding_window_view(samples, len(self._bank))[:: self._block]
        self._history = samples[blocks * self._block :]
        output: Samples = np.rint(windows @ self._bank)
        return np.clip(output, -32768, 32767).astype("<i2").tobytes()


@cache
def _filter_bank(rate_in: int, rate_out: int) -> tuple[int, Samples]:
    """The input samples of a block, and the matrix from a window (which ends with the block) to the block's output."""
    common = gcd(rate_in, rate_out)
    up, down = rate_out // common, rate_in // common
    stretch = max(1.0, down / up)
    half_width = _HALF_WIDTH * stretch
    # As late as the window allows: the last output's filter ends with the block's last sample.
    delay = half_width + 1 - down / up
    length = down + ceil(delay + half_width)
    centres = np.arange(up) * (down / up) - delay + (length - down)
    distance = np.arange(length)[:, np.newaxis] - centres[np.newaxis, :]
    inside = np.clip(1 - (distance / half_width) ** 2, 0, None)
    bank = np.sinc(distance * _CUTOFF / stretch) * np.i0(_BETA * np.sqrt(inside)) * (inside > 0)
    return down, (bank / bank.sum(axis=0)).astype(np.float32)
