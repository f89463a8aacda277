"""Streaming conversion between sampling rates.

A resampler is one filter bank. Every `M` input samples become `L` output samples by one matrix product with the input
around them: column `r` of the matrix is a windowed sinc, centred where output `r` of the block lies between the input
samples. So another rate is another ratio. Outputs are given as soon as the input that they need is there, also in the
middle of a block: after `n` input samples there have been exactly ``n * L // M``, however the audio was cut.

The delay is half the filter: 16 periods of the lower rate, less than one of its samples more. That is 2.1 ms where the
lower rate is 8 kHz, 1 ms at 16 kHz and 0.7 ms above.
"""

from __future__ import annotations

from functools import cache
from math import ceil, gcd
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

#: Half the filter's length, in periods of the lower of the two rates.
_HALF_WIDTH = 16
#: Kaiser's shape parameter: side lobes at about -85 dB.
_BETA = 8.5
#: Where the filter is down to one half, as a part of the lower Nyquist frequency.
_CUTOFF = 0.93
#: Bytes that are converted at once. A product takes some forty times its input in memory, and a client's frame may be
#: a megabyte.
_PIECE = 32_768

Samples: TypeAlias = NDArray[np.float32]


class Resampler:
    """Mono pcm16 at one rate (Hz) in, at another one out. Feed it whole samples.

    With ``aligned`` the delay is taken off the beginning, and `finish` brings what is then missing at the end: what
    came out is as long as what went in, and lies where it lay. It is for audio that comes ahead of its time.
    """

    __slots__ = ("_bank", "_block", "_due", "_given", "_history", "_taken", "_up")

    def __init__(self, rate_in: int, rate_out: int, *, aligned: bool = False) -> None:
        self._block, self._bank, delay = _filter_bank(rate_in, rate_out)
        self._up = self._bank.shape[1]
        #: The input that later outputs still need, from the window of the present block on; silence at first.
        self._history: Samples = np.zeros(len(self._bank) - self._block, np.float32)
        #: Outputs of the present block that were given, or are left out.
        self._due = int(delay * self._up / self._block) if aligned else 0
        #: Samples so far, in and out.
        self._taken = self._given = 0

    def feed(self, pcm: bytes) -> bytes:
        """The next samples, of any number; returns every output sample that they complete."""
        if len(pcm) <= _PIECE:
            return self._feed(pcm)
        return b"".join(self._feed(pcm[start : start + _PIECE]) for start in range(0, len(pcm), _PIECE))

    def finish(self) -> bytes:
        """The end of the audio; begin the next one with a new resampler."""
        missing = self._taken * self._up // self._block - self._given
        # A whole window of silence is more than the delay.
        return self._feed(bytes(2 * len(self._bank)))[: 2 * missing]

    def _feed(self, pcm: bytes) -> bytes:
        samples = np.concatenate((self._history, np.frombuffer(pcm, "<i2")), dtype=np.float32)
        self._taken += len(samples) - len(self._history)
        window, block, up, due = len(self._bank), self._block, self._up, self._due
        complete = (len(samples) - window + block) * up // block
        if complete <= due:
            self._history = samples
            return b""
        whole, self._due = divmod(complete, up)
        self._history = samples[whole * block :]
        self._given += complete - due
        blocks = -(-complete // up)
        # Outputs of a block that has begun do not reach into what is still to come of it.
        absent = (blocks - 1) * block + window - len(samples)
        if absent > 0:
            samples = np.concatenate((samples, np.zeros(absent, np.float32)))
        output: Samples = (sliding_window_view(samples, window)[: blocks * block : block] @ self._bank).ravel()
        return np.clip(np.rint(output[due:complete]), -32768, 32767).astype("<i2").tobytes()


@cache
def _filter_bank(rate_in: int, rate_out: int) -> tuple[int, Samples, float]:
    """The input samples of a block, the matrix from a window (which ends with the block) to the block's output, and the
    delay in input samples."""
    common = gcd(rate_in, rate_out)
    up, down = rate_out // common, rate_in // common
    stretch = max(1.0, down / up)
    half_width = _HALF_WIDTH * stretch
    # As late as the window allows: each output's filter ends with the last sample before the output is due.
    delay = half_width + 1 - down / up
    length = down + ceil(delay + half_width)
    centres = np.arange(up) * (down / up) - delay + (length - down)
    distance = np.arange(length)[:, np.newaxis] - centres[np.newaxis, :]
    inside = np.clip(1 - (distance / half_width) ** 2, 0, None)
    bank = np.sinc(distance * _CUTOFF / stretch) * np.i0(_BETA * np.sqrt(inside)) * (inside > 0)
    return down, (bank / bank.sum(axis=0)).astype(np.float32), delay
