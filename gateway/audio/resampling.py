"""Streaming conversion between sampling rates.

A resampler is one filter bank. Every `M` input samples become `L` output samples: each is the input around it, weighted
by a windowed sinc that is centred where the output lies between the input samples. So another rate is another ratio.
Effects are given as soon as the input that they need is there: after `n` input samples there have been exactly
``n * L // M``, however the audio was cut.

The input is laid out in rows that are longer than the filter reaches back, so an output needs its own row and the one
before it, and nothing else. One matrix product gives what each row adds to its own outputs and to those of the next
row; the two are added. That is a few calls into numpy a frame, whatever its size, and they are what it costs.

The delay is half the filter: 15.3 periods of the lower rate, less than one of its samples more. That is 2 ms at most,
where the lower rate is 8 kHz, 1 ms at 16 kHz and 0.7 ms above.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from math import ceil, gcd
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Half the filter's length, in periods of the lower of the two rates: what 2 ms have room for at 8 kHz.
_HALF_WIDTH = 15.3
#: Kaiser's shape parameter: side lobes at about -83 dB.
_BETA = 8.2
#: Where the filter is down to one half, as a part of the lower Nyquist frequency.
_CUTOFF = 0.925
#: Multiplications of one product. Above it, OpenBLAS would wake threads of its own, which costs more than it gains.
_LARGEST_PRODUCT = 262_144
#: Work areas that are kept for the next frame of the same size; some 10 to 100 kB each.
_WORK_AREAS = 64

Samples: TypeAlias = NDArray[np.float32]


class Resampler:
    """Mono pcm16 at one rate (Hz) in, at another one out. Feed it whole samples.

    With ``aligned`` the delay is taken off the beginning, and `finish` brings what is then missing at the end: what
    came out is as long as what went in, and lies where it lay. It is for audio that comes ahead of its time.

    All resamplers of a process compute in the same memory: feed them from one thread.
    """

    __slots__ = ("_bank", "_due", "_given", "_input", "_taken")

    def __init__(self, rate_in: int, rate_out: int, *, aligned: bool = False) -> None:
        bank = self._bank = _filter_bank(rate_in, rate_out)
        #: The row before the present one, and what there is of that; silence at first.
        self._input = bytes(2 * bank.row)
        #: Effects of the present row that were given, or are left out.
        self._due = round(bank.delay * bank.up / bank.down) if aligned else 0
        #: Samples so far, in and out.
        self._taken = self._given = 0

    def feed(self, pcm: bytes) -> bytes:
        """The next samples, of any number; returns every output sample that they complete."""
        piece = self._bank.piece
        if len(pcm) <= piece:
            return self._feed(pcm)
        return b"".join(self._feed(pcm[start : start + piece]) for start in range(0, len(pcm), piece))

    def finish(self) -> bytes:
        """The end of the audio; begin the next one with a new resampler."""
        missing = self._taken * self._bank.up // self._bank.down - self._given
        # The delay is less than a row.
        return self._feed(bytes(2 * self._bank.row))[: 2 * missing]

    def _feed(self, pcm: bytes) -> bytes:
        bank, due = self._bank, self._due
        data = self._input + pcm
        samples = len(data) >> 1
        present = samples - bank.row
        complete = present * bank.up // bank.down
        self._taken += len(pcm) >> 1
        if complete <= due:
            self._input = data
            return b""
        work = _work_area(bank, -(-present // bank.row))
        # What is behind these samples is of an earlier frame. No output that is given now reaches into it.
        work.input[:samples] = np.frombuffer(data, "<i2")
        work.rows.dot(bank.matrix, work.parts)
        sums = np.add(work.own, work.next, out=work.sums)
        np.rint(sums, out=sums)
        np.maximum(sums, work.lowest, out=sums)
        np.minimum(sums, work.highest, out=sums)
        work.output[...] = sums
        whole = present // bank.row
        self._input = data[2 * whole * bank.row :]
        self._due = complete - whole * bank.outputs
        self._given += complete - due
        return work.samples[due:complete].tobytes()


@dataclass(frozen=True, slots=True, eq=False)
class _Bank:
    """How one rate becomes another."""

    #: `M` input samples become `L` output samples.
    down: int
    up: int
    #: In input samples.
    delay: float
    #: Input samples of a row, and outputs for each.
    row: int
    outputs: int
    #: From a row to what it adds to its own outputs (the right half of the columns) and to those of the next row.
    matrix: Samples
    #: Bytes of input that are converted at once.
    piece: int


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """Memory for frames of one size."""

    #: The row before the frame, and the frame's; the same as one sequence.
    rows: Samples
    input: Samples
    #: The product, and in it, by output: what its own row adds, and what the row before adds.
    parts: Samples
    own: Samples
    next: Samples
    sums: Samples
    #: The limits of a sample, in the shape of the sums: that is quicker than one number for all.
    lowest: Samples
    highest: Samples
    #: The same, as 16-bit samples, by row and as one sequence.
    output: NDArray[Any]
    samples: NDArray[Any]


@lru_cache(_WORK_AREAS)
def _work_area(bank: _Bank, count: int) -> _Work:
    """Memory for so many rows at once, not counting the one before them."""
    rows = np.zeros((count + 1, bank.row), np.float32)
    parts = np.zeros((count + 1, 2 * bank.outputs), np.float32)
    sums = np.zeros((count, bank.outputs), np.float32)
    output = np.zeros(sums.shape, "<i2")
    return _Work(
        rows=rows,
        input=rows.reshape(-1),
        parts=parts,
        own=parts[1:, bank.outputs :],
        next=parts[:-1, : bank.outputs],
        sums=sums,
        lowest=np.full_like(sums, -32768),
        highest=np.full_like(sums, 32767),
        output=output,
        samples=output.reshape(-1),
    )


@cache
def _filter_bank(rate_in: int, rate_out: int) -> _Bank:
    common = gcd(rate_in, rate_out)
    up, down = rate_out // common, rate_in // common
    stretch = max(1.0, down / up)
    half_width = _HALF_WIDTH * stretch
    # As late as the window allows: each output's filter ends with the last sample before the output is due.
    delay = half_width + 1 - down / up
    # The shortest rows that reach back far enough, and of which 20 ms (what most clients send at once) are a number.
    reach = ceil(delay + half_width)
    row = next(row for row in range(down, rate_in, down) if row >= reach and (rate_in // 50) % row == 0)
    outputs = row * up // down
    centres = row + np.arange(outputs) * (down / up) - delay
    distance = np.arange(2 * row)[:, np.newaxis] - centres[np.newaxis, :]
    inside = np.clip(1 - (distance / half_width) ** 2, 0, None)
    window = np.sinc(distance * _CUTOFF / stretch) * np.i0(_BETA * np.sqrt(inside)) * (inside > 0)
    window = (window / window.sum(axis=0)).astype(np.float32)
    rows_at_once = _LARGEST_PRODUCT // (2 * row * outputs) - 2
    return _Bank(
        down=down,
        up=up,
        delay=delay,
        row=row,
        outputs=outputs,
        matrix=np.ascontiguousarray(np.hstack((window[:row], window[row:]))),
        piece=2 * row * rows_at_once,
    )
