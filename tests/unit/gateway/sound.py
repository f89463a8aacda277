"""Tones, and what is left of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LOUDNESS = 29_000


class Fit(NamedTuple):
    """A tone found again in audio."""

    #: Decibels, of the tone over everything else.
    clean: float
    amplitude: float
    #: Milliseconds, modulo one period.
    delay: float


def tone(rate: int, frequency: float, seconds: float = 1.0) -> bytes:
    """A sine as pcm16."""
    times = np.arange(int(rate * seconds)) / rate
    return bytes(np.rint(LOUDNESS * np.sin(2 * np.pi * frequency * times)).astype("<i2").tobytes())


def fitted(pcm: bytes, rate: int, frequency: float) -> Fit:
    """The tone of this frequency in pcm16 that has more than a fifth of a second of it."""
    edge = rate // 10
    samples: NDArray[np.float64] = np.frombuffer(pcm, "<i2").astype(np.float64)[edge:-edge]
    angles = 2 * np.pi * frequency * (np.arange(len(samples)) + edge) / rate
    basis = np.stack([np.sin(angles), np.cos(angles)], axis=1)
    weights = np.linalg.lstsq(basis, samples, rcond=None)[0]
    rest = float(np.var(samples - basis @ weights))
    clean = 10 * np.log10(float(np.var(basis @ weights)) / max(rest, 1e-9))
    late = float(np.arctan2(-weights[1], weights[0])) / (2 * np.pi * frequency)
    return Fit(float(clean), float(np.hypot(*weights)), 1000 * late)
