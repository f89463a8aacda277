"""What a client of the benchmark hears: a gap in the arrivals is a silence only if nothing is left to play."""

from __future__ import annotations

import pytest

from benchmarks.load.playback import BYTES_PER_SECOND, Playback


def played(*arrivals: tuple[float, float]) -> Playback:
    """Audio of so many seconds arrives at each time."""
    playback = Playback()
    for now, seconds in arrivals:
        playback.arrived(int(seconds * BYTES_PER_SECOND), now)
    return playback


def test_the_time_before_the_first_piece_is_no_silence() -> None:
    assert played((100.0, 1.0)).silence == 0


def test_what_arrived_ahead_is_played_in_a_gap() -> None:
    assert played((100.0, 1.0), (100.1, 1.0), (101.5, 1.0)).silence == 0


def test_the_longest_time_without_anything_to_play_is_the_silence() -> None:
    playback = played((100.0, 1.0), (101.5, 1.0), (102.7, 1.0), (103.0, 1.0))
    assert playback.silence == pytest.approx(0.5)


def test_a_silence_moves_what_is_played_after_it() -> None:
    assert played((100.0, 1.0), (103.0, 1.0), (104.5, 1.0)).silence == pytest.approx(2.0)
    assert played((100.0, 1.0), (103.0, 1.0), (107.0, 1.0)).silence == pytest.approx(3.0)


def test_the_longest_gap_ends_where_audio_goes_on() -> None:
    assert played((100.0, 1.0), (100.1, 1.0), (100.9, 1.0), (101.0, 1.0)).gap_ended == 100.9
