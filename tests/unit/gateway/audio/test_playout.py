"""The pacing clock: what a client that plays in real time can have heard."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audio.playout import Cut, PlayoutClock, heard_words


def test_a_reply_that_came_at_once_is_heard_in_real_time() -> None:
    playback = PlayoutClock()
    for _ in range(10):
        playback.forwarded("a", 1000, now=5.0)
    assert playback.cut(7.5) == [Cut("a", 2500, 10_000)]
    assert playback.cut(7.5) == [], "the client threw it away"


def test_what_comes_faster_than_it_is_played_waits_for_what_came_before() -> None:
    playback = PlayoutClock()
    for piece in range(10):
        playback.forwarded("a", 100, now=piece * 0.05)
    assert playback.ends_at(0.5) == pytest.approx(1.0)
    playback.forwarded("b", 100, now=0.9)
    assert playback.cut(1.05) == [Cut("a", 1000, 1000), Cut("b", 50, 100)]


def test_an_item_that_goes_on_after_its_end_is_being_made_again() -> None:
    playback = PlayoutClock()
    playback.forwarded("a", 100, now=0.0)
    playback.complete("a")
    playback.forwarded("a", 100, now=0.05)
    assert playback.cut(0.3) == [Cut("a", 200, 200)]


def test_nothing_is_cut_from_a_reply_that_had_not_begun() -> None:
    assert PlayoutClock().cut(3.0) == []


@pytest.mark.parametrize("said_before_the_end", [True, False])
def test_nothing_is_cut_from_an_item_that_was_heard_to_its_end(said_before_the_end: bool) -> None:
    playback = PlayoutClock()
    playback.forwarded("a", 1000, now=0.0)
    if said_before_the_end:
        playback.complete("a")
        assert playback.cut(1.0) == []
    else:
        assert playback.cut(1.0) == [Cut("a", 1000, 1000)], "more of it was being made"
    playback.forwarded("b", 1000, now=2.0)
    assert playback.cut(3.5) == [Cut("b", 1000, 1000)]


def test_completing_after_the_last_sound_counts_as_heard() -> None:
    playback = PlayoutClock()
    playback.forwarded("a", 1000, now=0.0)
    playback.forwarded("b", 1000, now=5.0)
    playback.complete("a")
    playback.complete("unknown")
    assert playback.cut(5.5) == [Cut("b", 500, 1000)]


def test_what_waits_behind_another_item_is_cut_at_nothing() -> None:
    playback = PlayoutClock()
    playback.forwarded("a", 1000, now=0.0)
    playback.complete("a")
    playback.forwarded("b", 1000, now=0.0)
    playback.complete("b")
    playback.forwarded("c", 1000, now=0.0)
    assert playback.cut(1.25) == [Cut("b", 250, 1000), Cut("c", 0, 1000)]


def test_a_gap_is_silence_and_not_time_heard() -> None:
    playback = PlayoutClock()
    playback.forwarded("a", 100, now=0.0)
    playback.forwarded("a", 100, now=10.0)
    assert playback.cut(10.05) == [Cut("a", 150, 200)]


def test_items_that_take_turns_are_told_apart() -> None:
    playback = PlayoutClock()
    for item in ("a", "b", "a"):
        playback.forwarded(item, 100, now=0.0)
    assert playback.cut(0.25) == [Cut("a", 150, 200), Cut("b", 100, 100)]


def test_the_next_reply_waits_for_the_one_that_is_playing() -> None:
    playback = PlayoutClock()
    playback.forwarded("a", 2000, now=0.0)
    playback.complete("a")
    playback.forwarded("b", 2000, now=1.0)
    assert playback.cut(3.0) == [Cut("b", 1000, 2000)]


def test_what_is_remembered_is_bounded() -> None:
    playback = PlayoutClock()
    for n in range(1000):
        playback.forwarded(f"item_{n}", 1000, now=0.0)
        playback.complete(f"item_{n}")
    assert len(playback.cut(0.0)) == 64


Pieces = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 500), st.floats(0, 2), st.booleans()), max_size=40)


@given(Pieces, st.floats(0, 10))
def test_never_more_than_exists_and_never_faster_than_time(
    pieces: list[tuple[str, float, float, bool]], until: float
) -> None:
    playback, now, forwarded = PlayoutClock(), 0.0, dict.fromkeys("abc", 0.0)
    for item, ms, pause, complete in pieces:
        now += pause
        playback.forwarded(item, ms, now)
        forwarded[item] += ms
        if complete:
            playback.complete(item)
    cuts = playback.cut(now + until)
    for cut in cuts:
        assert 0 <= cut.heard_ms <= cut.forwarded_ms <= forwarded[cut.item_id] + 0.001
    assert sum(cut.heard_ms for cut in cuts) <= (now + until) * 1000 + 0.001


@pytest.mark.parametrize(
    ("heard", "words"),
    [
        (0, ""),
        (200, ""),
        (300, "One"),
        (500, "One two"),
        (550, "One two"),
        (1000, "One two three."),
        (1100, "One two three."),
    ],
)
def test_words_run_with_the_audio_and_end_whole(heard: int, words: str) -> None:
    assert heard_words(" One two three. " if heard >= 1000 else "One two three.", Cut("a", heard, 1000)) == words


def test_an_item_without_audio_was_heard_as_far_as_it_came() -> None:
    assert heard_words("Yes", Cut("a", 0, 0)) == "Yes"
