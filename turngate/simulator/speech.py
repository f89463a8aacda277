"""Speech synthesis: text in, audio out, with one vowel-like tone per syllable.

Encoded syllables are cached, so speaking costs one lookup per syllable for any number of sessions. The length of a
syllable is a multiple of three bytes, so that base64 pieces can be joined without decoding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import pybase64

from turngate.simulator.audio import FORMATS, encode

#: Length of a syllable, and of the pause after a comma, at speed 1, in milliseconds. A full stop is two pauses.
_SYLLABLE_MS = 180
#: Pitches of the voices, in Hz.
_PITCHES = (118.0, 165.0, 205.0)
#: The first two formants of each vowel, in Hz.
_FORMANTS = {"a": (730, 1090), "e": (530, 1840), "i": (270, 2290), "o": (570, 840), "u": (300, 870)}
#: The pitch falls over a phrase, in at most this many steps, each by this factor.
_STEPS = 6
_FALL = 0.965
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
    rate = FORMATS[fmt].rate
    time = np.arange(FORMATS[fmt].samples(ms)) / rate
    wave = np.zeros_like(time)
    if vowel:
        height = _PITCHES[pitch] * _FALL**step * (1 + 0.04 * np.sin(2 * np.pi * time / time[-1]))
        phase = 2 * np.pi * np.cumsum(height) / rate
        for harmonic in range(1, int(min(3_200, rate / 2) / _PITCHES[pitch])):
            frequency = harmonic * _PITCHES[pitch]
            loudness = sum(np.exp(-(((frequency - formant) / 160) ** 2)) for formant in _FORMANTS[vowel])
            wave += (loudness + 0.04) / harmonic**0.4 * np.sin(harmonic * phase)
        envelope = np.minimum(1, time / 0.03) * np.minimum(1, (time[-1] - time) / 0.05)
        wave *= envelope * 9_000 / np.abs(wave).max()
    return pybase64.b64encode_as_string(encode(wave.astype(np.int16), FORMATS[fmt]))
