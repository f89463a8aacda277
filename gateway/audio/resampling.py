"""Streaming sample rate conversion.

A resampler is a polyphase filter bank: `M` input samples become `L` output samples. Each output sample is the sum of
the surrounding input samples, weighted by a windowed sinc centred at its position. Output is produced as soon as its
input is available: after `n` input samples there are exactly ``n * L // M`` output samples, in whatever pieces they
arrive.

The input is arranged in rows that are longer than the filter, so an output sample depends only on its own row and the
previous one. One matrix product yields the contributions of each row to its own outputs and to those of the next row,
which are then added. This needs a few numpy calls per frame, whose overhead dominates the cost.

The delay is half the filter length: 15.3 periods of the lower rate, plus less than one sample. That is at most 2 ms at
a lower rate of 8 kHz, 1 ms at 16 kHz, and 0.7 ms above.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from math import ceil, gcd
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Half the filter length, in periods of the lower of the two rates, so that the delay is at most 2 ms at 8 kHz.
_HALF_WIDTH = 15.3
#: Kaiser's shape parameter: side lobes at about -83 dB.
_BETA = 8.2
#: The frequency at which the gain is one half, as a fraction of the lower Nyquist frequency.
_CUTOFF = 0.925
#: Maximum multiplications in one matrix product. Above it OpenBLAS uses threads, which costs more than it gains.
_LARGEST_PRODUCT = 262_144
#: Number of cached work areas, one per frame size, of 10 to 100 kB each.
_WORK_AREAS = 64

Samples: TypeAlias = NDArray[np.float32]


class Resampler:
    """Converts mono pcm16 from one rate (Hz) to another. Feed it whole samples.

    With ``aligned`` the delay is removed at the start and `finish` returns the missing end, so that the output has the
    length and position of the input. This requires audio that arrives faster than real time.

    All resamplers of a process share their work areas, so they must be used from one thread.
    """

    __slots__ = ("_bank", "_due", "_given", "_input", "_taken")

    def __init__(self, rate_in: int, rate_out: int, *, aligned: bool = False) -> None:
        bank = self._bank = _filter_bank(rate_in, rate_out)
        #: The previous row and the samples of the current row so far; silence at first.
        self._input = bytes(2 * bank.row)
        #: Output samples of the current row that were returned or skipped.
        self._due = round(bank.delay * bank.up / bank.down) if aligned else 0
        #: Number of input and output samples so far.
        self._taken = self._given = 0

    def feed(self, pcm: bytes) -> bytes:
        """Convert the next samples, of any number; returns all output samples that are now complete."""
        piece = self._bank.piece
        if len(pcm) <= piece:
            return self._feed(pcm)
        return b"".join(self._feed(pcm[start : start + piece]) for start in range(0, len(pcm), piece))

    def finish(self) -> bytes:
        """The end of the output. Use a new resampler for further audio."""
        missing = self._taken * self._bank.up // self._bank.down - self._given
        # The delay is shorter than a row.
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
        # The memory after these samples contains an earlier frame. No output that is returned now depends on it.
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
    """The filter bank for one pair of rates."""

    #: `M` input samples become `L` output samples.
    down: int
    up: int
    #: The delay in input samples.
    delay: float
    #: Number of input samples per row, and of output samples per row.
    row: int
    outputs: int
    #: Maps a row to its contributions to its own outputs (the right half of the columns) and to those of the next row.
    matrix: Samples
    #: Bytes of input that are converted in one product.
    piece: int


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """A work area for frames of one size."""

    #: The previous row and the rows of the frame; and a view of them as one sequence.
    rows: Samples
    input: Samples
    #: The product, and views of it by output: the contributions of its own row and of the previous row.
    parts: Samples
    own: Samples
    next: Samples
    sums: Samples
    #: The limits of a sample, in the shape of the sums, which is faster than scalars.
    lowest: Samples
    highest: Samples
    #: The sums as 16-bit samples, by row and as one sequence.
    output: NDArray[Any]
    samples: NDArray[Any]


@lru_cache(_WORK_AREAS)
def _work_area(bank: _Bank, count: int) -> _Work:
    """A work area for ``count`` rows, plus the previous row."""
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
    # The filter of each output sample ends with the last input sample before the output is due.
    delay = half_width + 1 - down / up
    # The shortest rows that cover the filter and divide 20 ms, the frame size of most clients.
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
