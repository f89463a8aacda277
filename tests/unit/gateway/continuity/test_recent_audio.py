"""The user's audio that is sent again on another connection."""

from __future__ import annotations

import sys

from gateway.continuity.recent_audio import RecentAudio

#: At 8 bytes per millisecond.
MS = 8


def recent(limit: int = 100_000) -> RecentAudio:
    audio = RecentAudio(limit)
    audio.use(MS)
    return audio


def piece(value: int, ms: int = 100) -> bytes:
    return bytes([value]) * (ms * MS)


def test_while_nobody_speaks_the_last_moments_are_kept() -> None:
    audio = recent()
    for number in range(40):
        audio.sent(piece(number))
    assert len(audio) == 1_500 * MS
    assert audio.take() == b"".join(piece(number) for number in range(25, 40))
    assert len(audio) == 0


def test_many_small_pieces_take_little_more_memory_than_their_bytes() -> None:
    audio = recent()
    audio.started(0)
    for number in range(40_000):
        audio.sent(bytes([number % 251]) * 2)
    assert sum(map(sys.getsizeof, audio._pieces)) < 2 * 80_000
    assert audio.take() == b"".join(bytes([number % 251]) * 2 for number in range(40_000))


def test_of_joined_pieces_little_more_is_kept_than_allowed() -> None:
    audio = recent(limit=50_000)
    audio.started(0)
    for number in range(40_000):
        audio.sent(bytes([number % 251]) * 2)
        assert len(audio) <= 50_000 + 16_384 + 2
    assert audio.dropped


def test_speech_that_began_before_what_is_kept_was_not_dropped_for_want_of_room() -> None:
    audio = recent()
    for number in range(40):
        audio.sent(piece(number))
    audio.started(100)
    audio.sent(piece(40))
    assert not audio.dropped


def test_speech_is_kept_from_its_beginning() -> None:
    audio = recent()
    for number in range(10):
        audio.sent(piece(number))
    audio.started(500)
    for number in range(10, 40):
        audio.sent(piece(number))
    assert not audio.dropped
    assert audio.take() == b"".join(piece(number) for number in range(5, 40))


def test_a_turn_is_its_audio_and_what_follows_is_kept() -> None:
    audio = recent()
    for number in range(10):
        audio.sent(piece(number))
    audio.started(200)
    audio.stopped(700)
    assert audio.committed() == b"".join(piece(number) for number in range(2, 7))
    assert audio.take() == b"".join(piece(number) for number in range(7, 10))


def test_without_times_a_turn_is_everything_that_was_sent() -> None:
    audio = recent()
    audio.sent(piece(1))
    audio.started(None)
    audio.sent(piece(2))
    audio.stopped(None)
    assert audio.committed() == piece(1) + piece(2)
    audio.sent(piece(3))
    assert audio.committed() == piece(3), "committed by hand"


def test_a_second_beginning_changes_nothing() -> None:
    audio = recent()
    audio.sent(piece(1))
    audio.started(0)
    audio.sent(piece(2))
    audio.started(100)
    assert audio.committed() == piece(1) + piece(2)


def test_of_long_speech_the_oldest_is_dropped_and_that_is_known() -> None:
    audio = recent(limit=500 * MS)
    audio.started(0)
    for number in range(10):
        audio.sent(piece(number))
    assert audio.dropped
    assert audio.take() == b"".join(piece(number) for number in range(5, 10))
    assert not audio.dropped


def test_an_end_beyond_what_was_sent_is_the_end() -> None:
    audio = recent()
    audio.sent(piece(1))
    audio.started(0)
    audio.stopped(10_000)
    assert audio.committed() == piece(1)


def test_positions_begin_again_with_each_connection() -> None:
    audio = recent()
    audio.sent(piece(1))
    audio.started(0)
    again = audio.take()
    audio.sent(again)
    audio.started(0)
    audio.sent(piece(2))
    audio.stopped(200)
    assert audio.committed() == piece(1) + piece(2)
