"""When a client returns, and what it keeps meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from turngate.cli.resumption import AUDIO_MAX, LONGEST_PAUSE, WINDOW, Over, Resumption, Unsent


def welcomed(**fields: Any) -> Resumption:
    resumption = Resumption(lambda: 1.0)
    assert resumption.query == "resumable=1"
    assert resumption.message({"type": "Welcome", "resume": "h1"} | fields) is None
    return resumption


def test_it_says_who_it_is_and_how_much_it_has() -> None:
    resumption = welcomed()
    assert resumption.query == "resume=h1&received=1"
    assert resumption.message({"type": "SettingsApplied"}) is None
    assert resumption.query == "resume=h1&received=2"
    assert resumption.message({"type": "Welcome", "resume": "h2", "resumed": True}) is True
    assert resumption.query == "resume=h2&received=2"
    assert resumption.message({"type": "Welcome", "resume": "h3", "resumed": False}) is False
    assert resumption.query == "resume=h3&received=1"


@pytest.mark.parametrize("code", [None, 1001, 1006, 1011, 1012, 1013])
def test_it_returns_after_pauses_that_grow(code: int | None) -> None:
    resumption = welcomed()
    assert not resumption.away
    assert resumption.lost(code, 100.0) == 0.25
    assert resumption.away
    assert [resumption.failed(now) for now in (100.25, 101.0, 102.0, 104.0, 108.0, 113.0)] == [
        *(0.5, 1.0, 2.0, 4.0),
        *(LONGEST_PAUSE, LONGEST_PAUSE),
    ]
    resumption.message({"type": "Welcome", "resume": "h2", "resumed": True})
    assert not resumption.away
    assert resumption.lost(code, 120.0) == 0.25


def test_pauses_are_of_different_lengths() -> None:
    chances = iter([0.0, 0.5, 1.0])
    resumption = Resumption(lambda: next(chances))
    resumption.message({"type": "Welcome", "resume": "h1"})
    assert [resumption.lost(None, 0.0), resumption.failed(0.1), resumption.failed(0.5)] == [0.125, 0.375, 1.0]


@pytest.mark.parametrize("code", [1000, 1008])
def test_some_ends_are_final(code: int) -> None:
    assert welcomed().lost(code, 0.0) is Over.ENDED


def test_nobody_returns_to_a_server_that_keeps_nothing() -> None:
    assert welcomed(resume=None).lost(None, 0.0) is Over.ENDED


@pytest.mark.parametrize(("code", "returns"), [(1011, False), (1012, True)])
def test_an_error_before_the_end_is_why(code: int, returns: bool) -> None:
    resumption = welcomed()
    resumption.message({"type": "Error", "code": "SERVER_GOING_AWAY"})
    assert (resumption.lost(code, 0.0) is not Over.ENDED) == returns


@pytest.mark.parametrize("how", ["failed", "lost"])
def test_it_gives_up_when_the_server_has_forgotten_it(how: str) -> None:
    """Whether it cannot connect, or is accepted and loses that connection before its Welcome."""
    resumption = welcomed()

    def again(now: float) -> float | Over:
        return resumption.failed(now) if how == "failed" else resumption.lost(None, now)

    assert resumption.lost(None, 0.0) is not Over.WINDOW
    assert again(WINDOW) is not Over.WINDOW
    assert again(WINDOW + 0.1) is Over.WINDOW


def test_what_is_said_meanwhile_is_kept_in_order_and_of_the_audio_the_newest() -> None:
    unsent = Unsent()
    frame = bytes(AUDIO_MAX // 4)
    said: list[str | bytes] = [b"\1" + frame, "first", *[frame] * 4, "second"]
    for one in said:
        unsent.add(one)
    assert [unsent.take() for _ in range(7)] == ["first", *[frame] * 4, "second", None]
