"""The resampler where the compiled kernel is not built. It needs numpy (``turngate[numpy]``).

The input is arranged in rows that are longer than the filter, so an output sample depends only on its own row and the
previous one. One matrix product yields the contributions of each row to its own outputs and to those of the next row,
which are then added. This needs a few numpy calls per frame, whose overhead dominates the cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Maximum multiplications in one matrix product. Above it OpenBLAS uses threads, which costs more than it gains.
_LARGEST_PRODUCT = 262_144
#: Number of cached matrices, one per pair of rates.
_MATRICES = 32
#: Number of cached work areas, one per frame size, of 10 to 100 kB each.
_WORK_AREAS = 64

Samples: TypeAlias = NDArray[np.float32]


class NumpyResampler:
    """Converts mono pcm16 with a filter bank: ``down`` input samples become ``up`` output samples.

    ``bank`` has 32-bit floats: for each of ``up`` phases, the weights of the input samples of one output sample. The
    last of these is the input sample with which the output sample is due, and a phase says how much later that sample
    is than the output sample is due, in input samples times ``up``.

    ``delay`` output samples are left out at the start; `finish` returns as many at the end.

    All resamplers of a process share their work areas, so they must be used from one thread.
    """

    __slots__ = ("_bank", "_due", "_given", "_input", "_taken")

    def __init__(self, bank: bytes, up: int, down: int, delay: int) -> None:
        self._bank = _matrix(bank, up, down)
        #: The previous row and the samples of the current row so far; silence at first.
        self._input = bytes(2 * self._bank.row)
        #: Output samples of the current row that were returned or skipped.
        self._due = delay
        #: Number of input and output samples so far.
        self._taken = self._given = 0

    def feed(self, pcm: bytes, /) -> bytes:
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
class _Matrix:
    """The filter bank for one pair of rates, as a matrix."""

    #: `M` input samples become `L` output samples.
    down: int
    up: int
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
def _work_area(bank: _Matrix, count: int) -> _Work:
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


@lru_cache(_MATRICES)
def _matrix(bank: bytes, up: int, down: int) -> _Matrix:
    phases = np.frombuffer(bank, np.float32).reshape(up, -1)
    taps = phases.shape[1]
    # The shortest rows that cover the filter.
    row = -(-taps // down) * down
    outputs = row * up // down
    weights = np.zeros((2 * row, outputs), np.float32)
    for output in range(outputs):
        end = row - (-(output + 1) * down // up)
        weights[end - taps : end, output] = phases[-(output + 1) * down % up]
    return _Matrix(
        down=down,
        up=up,
        row=row,
        outputs=outputs,
        matrix=np.ascontiguousarray(np.hstack((weights[:row], weights[row:]))),
        piece=2 * row * (_LARGEST_PRODUCT // (2 * row * outputs) - 2),
    )
