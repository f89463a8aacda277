"""The audio formats of the Realtime API: 16-bit linear PCM at 24 kHz, and G.711 at 8 kHz."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from turngate.kernel.stand_ins import pcm16
from turngate.simulator.frames import Event

#: Linear samples of 16 bits.
Samples: TypeAlias = "array[int]"


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
        return pcm16(data)
    return array("h", map(_table(fmt.name).__getitem__, data))


def encode(samples: Iterable[int], fmt: Format) -> bytes:
    """Convert linear samples, which must already have the format's sample rate, to audio in this format."""
    if fmt.name == "audio/pcm":
        return pcm16(array("h", samples).tobytes()).tobytes()
    # Search the nearest code word for each sample. Bit manipulation would be faster, but callers cache the result.
    levels, words = _sorted(fmt.name)
    return bytes(words[_nearest(levels, sample)] for sample in samples)


def _nearest(levels: list[int], sample: int) -> int:
    above = min(max(bisect_left(levels, sample), 1), len(levels) - 1)
    return above - (sample - levels[above - 1] < levels[above] - sample)


@cache
def _sorted(name: str) -> tuple[list[int], list[int]]:
    """The sample values in ascending order, and their code words."""
    table = _table(name)
    words = sorted(range(256), key=table.__getitem__)
    return [table[word] for word in words], words


@cache
def _table(name: str) -> list[int]:
    """The 16-bit sample value of each of the 256 G.711 code words (ITU-T G.711)."""
    return [(_pcmu if name == "audio/pcmu" else _pcma)(word) for word in range(256)]


def _pcmu(word: int) -> int:
    word = ~word & 0xFF
    level = ((((word & 0x0F) << 3) + 0x84) << ((word & 0x70) >> 4)) - 0x84
    return -level if word & 0x80 else level


def _pcma(word: int) -> int:
    word ^= 0x55
    mantissa, exponent = ((word & 0x0F) << 4) + 8, (word & 0x70) >> 4
    level = mantissa if exponent == 0 else (mantissa + 0x100) << exponent - 1
    return level if word & 0x80 else -level
