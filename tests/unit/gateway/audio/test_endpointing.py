"""Turns by loudness: where they begin and end, and what of the audio is sent."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.audio.endpointing import EndPointer, EndPointingRules, Mark

RULES = EndPointingRules(level_dbfs=-40, pause=0.4)
MS = 48


def tone(ms: int, level: float = 0.1) -> bytes:
    samples = np.sin(np.arange(ms * 24) * 0.2) * 32767 * level
    return bytes(samples.astype("<i2").tobytes())


def silence(ms: int) -> bytes:
    return bytes(ms * MS)


def told(pauses: EndPointer, *chunks: bytes) -> tuple[list[Mark], int]:
    """The marks, and how many milliseconds are to be sent."""
    pieces = [piece for chunk in chunks for piece in pauses.feed(chunk, 0.0)]
    audio = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
    return [piece for piece in pieces if isinstance(piece, Mark)], audio // MS


def test_a_turn_has_a_lead_and_ends_after_the_pause() -> None:
    pauses = EndPointer("linear16", RULES)
    assert told(pauses, silence(1000)) == ([], 0)
    assert told(pauses, tone(500)) == ([Mark.BEGIN], 500 + 300 - 60)
    assert pauses.speaking
    assert told(pauses, silence(380)) == ([], 380)
    assert told(pauses, silence(1000)) == ([Mark.END], 20)
    assert not pauses.speaking


def test_a_short_pause_and_a_click_are_neither_end_nor_beginning() -> None:
    pauses = EndPointer("linear16", RULES)
    assert told(pauses, tone(40), silence(100), tone(40), silence(100)) == ([], 0)
    assert told(pauses, tone(200), silence(300), tone(200), silence(300))[0] == [Mark.BEGIN]


def test_chunks_of_any_size_are_heard_alike() -> None:
    audio = silence(200) + tone(300) + silence(600) + tone(300) + silence(600)
    whole = told(EndPointer("linear16", RULES), audio)
    pieces = told(EndPointer("linear16", RULES), *(audio[at : at + 77] for at in range(0, len(audio), 77)))
    assert whole == pieces
    assert whole[0] == [Mark.BEGIN, Mark.END, Mark.BEGIN, Mark.END]


def test_audio_that_stops_coming_ends_the_turn_too() -> None:
    pauses = EndPointer("linear16", RULES)
    assert pauses.deadline() == float("inf")
    assert not pauses.gap(100.0)
    list(pauses.feed(tone(200), 7.0))
    assert pauses.deadline() == 7.4
    assert not pauses.gap(7.3)
    assert pauses.gap(7.4)
    assert not pauses.speaking


@pytest.mark.parametrize(("level", "heard"), [(0.02, True), (0.005, False)])
def test_the_level_decides_what_is_speech(level: float, heard: bool) -> None:
    assert (told(EndPointer("linear16", RULES), tone(200, level))[0] == [Mark.BEGIN]) is heard


@pytest.mark.parametrize(
    ("encoding", "loud", "quiet"), [("mulaw", b"\x80\x00", b"\xff\x7f"), ("alaw", b"\xaa\x2a", b"\xd5\x55")]
)
def test_g711_is_heard_as_it_is(encoding: str, loud: bytes, quiet: bytes) -> None:
    """Codes of the loudest and of the softest samples (ITU-T G.711)."""
    pauses = EndPointer(encoding, RULES)
    assert list(pauses.feed(quiet * 800, 0.0)) == []
    marks = [piece for piece in pauses.feed(loud * 800 + quiet * 8000, 0.0) if isinstance(piece, Mark)]
    assert marks == [Mark.BEGIN, Mark.END]
