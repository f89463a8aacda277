"""The audio formats of the Realtime API: 16-bit linear PCM at 24 kHz, and G.711 at 8 kHz."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from turngate.simulator.frames import Event

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Format:
    """One audio format; mono, little-endian."""

    name: str
    #: Samples per second, in Hz.
    rate: int
    bytes_per_sample: int

    @property
    def bytes_per_ms(self) -> int:
        return self.rate * self.bytes_per_sample // 1000

    def ms(self, samples: int) -> int:
        return samples * 1000 // self.rate

    def samples(self, ms: float) -> int:
        return int(ms * self.rate / 1000)


FORMATS = {
    "audio/pcm": Format("audio/pcm", 24_000, 2),
    "audio/pcmu": Format("audio/pcmu", 8_000, 1),
    "audio/pcma": Format("audio/pcma", 8_000, 1),
}


def format_of(wire: Event) -> Format:
    """The format named by the ``format`` object of a session configuration."""
    return FORMATS[wire["type"]]


def decode(data: bytes, fmt: Format) -> Samples:
    """Convert audio in this format to linear samples; ``data`` must contain whole samples."""
    if fmt.name == "audio/pcm":
        return np.frombuffer(data, dtype="<i2")
    return _table(fmt.name)[np.frombuffer(data, dtype=np.uint8)]


def encode(samples: Samples, fmt: Format) -> bytes:
    """Convert linear samples, which must already have the format's sample rate, to audio in this format."""
    if fmt.name == "audio/pcm":
        return samples.astype("<i2").tobytes()
    # Search the nearest code word for each sample. Bit manipulation would be faster, but callers cache the result.
    words = np.argsort(_table(fmt.name), kind="stable")
    levels = _table(fmt.name)[words].astype(np.int32)
    above = np.clip(np.searchsorted(levels, samples), 1, len(levels) - 1)
    nearer_below = samples - levels[above - 1] < levels[above] - samples
    return bytes(words[above - nearer_below].astype(np.uint8))


@cache
def _table(name: str) -> Samples:
    """The 16-bit sample value of each of the 256 G.711 code words (ITU-T G.711)."""
    word = np.arange(256)
    if name == "audio/pcmu":
        word = ~word & 0xFF
        level = ((((word & 0x0F) << 3) + 0x84) << ((word & 0x70) >> 4)) - 0x84
        return np.where(word & 0x80, -level, level).astype(np.int16)
    word = word ^ 0x55
    mantissa, exponent = ((word & 0x0F) << 4) + 8, (word & 0x70) >> 4
    level = np.where(exponent == 0, mantissa, (mantissa + 0x100) << np.maximum(exponent - 1, 0))
    return np.where(word & 0x80, level, -level).astype(np.int16)
