"""Speech synthesis: text in, audio out, with one vowel-like tone per syllable.

Encoded syllables are cached, so speaking costs one lookup per syllable for any number of sessions. The length of a
syllable is a multiple of three bytes, so that base64 pieces can be joined without decoding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from math import exp, pi, sin
from zlib import crc32

import pybase64

from turngate.simulator.audio import FORMATS, encode

#: Length of a syllable, and of the pause after a comma, at speed 1, in milliseconds. A full stop is two pauses.
_SYLLABLE_MS = 180
#: Pitches of the voices, in Hz.
_PITCHES = (118.0, 165.0, 205.0)
#: The first two formants of each vowel, in Hz.
_FORMANTS = {"a": (730, 1090), "e": (530, 1840), "i": (270, 2290), "o": (570, 840), "u": (300, 870)}
#: The highest harmonic, in Hz, which is below half of every rate.
_HIGHEST = 3_200
#: The pitch falls over a phrase, in at most this many steps, each by this factor.
_STEPS = 6
_FALL = 0.965
#: Points of the stored period of a vowel: so many that what lies between two is exact to less than one sample value.
_POINTS = 4_096
_GROUPS = re.compile(r"[aeiouy]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words and their audio: one base64 string per syllable or pause."""

    text: str
    audio: tuple[str, ...]


def syllable_ms(speed: float) -> int:
    """Milliseconds of one audio piece at this speed, a multiple of three (see the module's docstring)."""
    return 3 * round(_SYLLABLE_MS / 3 / speed)


def syllable_bytes(fmt: str, ms: int) -> int:
    """Bytes of one audio piece in this format, before base64."""
    return FORMATS[fmt].samples(ms) * FORMATS[fmt].bytes_per_sample


@lru_cache(maxsize=1024)
def speak(words: str, fmt: str, voice: str, ms: int, words_per_piece: int) -> tuple[Piece, ...]:
    """Synthesize ``words``, a few words per piece; the texts of the pieces joined are ``words``.

    ``ms`` is the length of a syllable, from `syllable_ms`.
    """
    pitch = crc32(voice.encode()) % len(_PITCHES)
    pieces: list[Piece] = []
    step = 0
    for part in split(words, words_per_piece):
        audio: list[str] = []
        for word in part.split():
            for vowel in _vowels(word):
                audio.append(_syllable(vowel, pitch, min(step, _STEPS - 1), fmt, ms))
                step += 1
            pauses = 2 if word[-1] in ".!?" else int(word[-1] in ",;:")
            if pauses:
                audio.extend([_syllable("", pitch, 0, fmt, ms)] * pauses)
                step = 0
        pieces.append(Piece(part, tuple(audio)))
    return tuple(pieces)


def split(words: str, words_per_piece: int) -> list[str]:
    """Split the text into pieces of ``words_per_piece`` words; the pieces joined are the text."""
    tokens = re.findall(r"\s*\S+\s*$|\s*\S+", words)
    return ["".join(tokens[at : at + words_per_piece]) for at in range(0, len(tokens), words_per_piece)]


def _vowels(word: str) -> list[str]:
    found = [group[0].lower().replace("y", "i") for group in _GROUPS.findall(word)]
    if len(found) > 1 and word.lower().rstrip(".,;:!?").endswith("e"):
        found.pop()
    return found or ["e"]


@lru_cache(maxsize=1024)
def _syllable(vowel: str, pitch: int, step: int, fmt: str, ms: int) -> str:
    rate, samples = FORMATS[fmt].rate, FORMATS[fmt].samples(ms)
    if not vowel:
        return pybase64.b64encode_as_string(encode([0] * samples, FORMATS[fmt]))
    period, last = _period(vowel, pitch), samples - 1
    # In points of the period per sample.
    advance = _PITCHES[pitch] * _FALL**step * _POINTS / rate
    places = accumulate(advance * (1 + 0.04 * sin(2 * pi * at / last)) for at in range(samples))
    rise, fall = 0.03 * rate, 0.05 * rate
    wave = [_between(period, place) * min(1, at / rise) * min(1, (last - at) / fall) for at, place in enumerate(places)]
    scale = 9_000 / max(map(abs, wave))
    return pybase64.b64encode_as_string(encode((int(value * scale) for value in wave), FORMATS[fmt]))


@cache
def _period(vowel: str, pitch: int) -> list[float]:
    """One period of the sum of a vowel's harmonics, and its first point again, which is 0."""
    sines = [sin(2 * pi * at / _POINTS) for at in range(_POINTS)]
    half = [0.0] * (_POINTS // 2)
    for harmonic in range(1, int(_HIGHEST / _PITCHES[pitch])):
        frequency = harmonic * _PITCHES[pitch]
        loudness = sum(exp(-(((frequency - formant) / 160) ** 2)) for formant in _FORMANTS[vowel])
        weight = (loudness + 0.04) / harmonic**0.4
        waves = (sines * harmonic)[::harmonic]
        half = [value + weight * sine for value, sine in zip(half, waves, strict=False)]
    # The sum is odd.
    return [*half, 0.0, *(-value for value in reversed(half))]


def _between(period: list[float], place: float) -> float:
    """The value at this place, between two points."""
    whole = int(place)
    at = whole % _POINTS
    return period[at] + (period[at + 1] - period[at]) * (place - whole)
