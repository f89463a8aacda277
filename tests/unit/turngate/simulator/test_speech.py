"""Speech synthesis and the audio formats."""

from __future__ import annotations

import numpy as np
import pybase64
import pytest

from turngate.simulator import speech
from turngate.simulator.audio import FORMATS, decode, encode


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("speed", [0.25, 1.0, 1.1, 1.5])
def test_pieces_join_without_decoding(fmt: str, speed: float) -> None:
    ms = speech.syllable_ms(speed)
    audio = [piece for part in speech.speak("Hello there, you.", fmt, "alloy", ms, 2) for piece in part.audio]
    decoded = pybase64.b64decode("".join(audio), validate=True)
    assert len(decoded) == len(audio) * speech.syllable_bytes(fmt, ms)


@pytest.mark.parametrize("words", ["Hello", "Hello there.", "One two three four", "  a  b\nc ", "1 2 3", ""])
def test_the_texts_of_the_pieces_are_the_text(words: str) -> None:
    assert "".join(piece.text for piece in speech.speak(words, "audio/pcm", "alloy", 180, 2)) == words


def test_a_word_has_its_syllables_and_a_sentence_its_pauses() -> None:
    def length(words: str) -> int:
        return sum(len(piece.audio) for piece in speech.speak(words, "audio/pcm", "alloy", 180, 2))

    assert [length(words) for words in ("you", "hello", "hope", "you,", "you.")] == [1, 2, 1, 2, 3]


def test_it_is_heard_and_never_clipped_and_begins_and_ends_in_silence() -> None:
    (piece,) = speech.speak("a", "audio/pcm", "alloy", 180, 2)
    samples = np.frombuffer(pybase64.b64decode(piece.audio[0]), "<i2")
    assert 6_000 < np.abs(samples).max() < 12_000
    assert abs(int(samples[0])) < 50
    assert abs(int(samples[-1])) < 50


def test_voices_differ() -> None:
    heard = {speech.speak("hello", "audio/pcm", voice, 180, 2) for voice in ("alloy", "ash", "cedar", "marin", "sage")}
    assert len(heard) > 1


@pytest.mark.parametrize(
    ("fmt", "words"),
    [
        # Code words and their levels from the tables of ITU-T G.711: both signs, the smallest and the largest.
        ("audio/pcmu", {0xFF: 0, 0x7F: 0, 0x80: 32124, 0x00: -32124, 0xEF: 132, 0xF0: 120}),
        ("audio/pcma", {0xD5: 8, 0x55: -8, 0xAA: 32256, 0x2A: -32256, 0xC5: 264}),
    ],
)
def test_g711_code_words(fmt: str, words: dict[int, int]) -> None:
    assert decode(bytes(words), FORMATS[fmt]).tolist() == list(words.values())


@pytest.mark.parametrize("fmt", FORMATS)
def test_encoding_finds_the_nearest_level(fmt: str) -> None:
    samples = np.arange(-32_768, 32_768, 7).astype(np.int16)
    back = np.array(decode(encode(samples, FORMATS[fmt]), FORMATS[fmt]), np.int32)
    assert np.abs(back - samples).max() <= (0 if fmt == "audio/pcm" else 644)
    assert encode(decode(bytes(range(100)), FORMATS[fmt]), FORMATS[fmt]) == bytes(range(100))
