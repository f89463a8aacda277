"""How often is asked, and how long an answer counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gateway.probe import Probe


class Asked:
    """Answers that were prepared, and the pauses before each."""

    def __init__(self, answers: list[bool]) -> None:
        self.pauses: list[float] = []
        self._answers: Iterator[bool] = iter(answers)
        self._last = asyncio.Event()

    async def check(self) -> bool:
        try:
            return next(self._answers)
        except StopIteration:
            self._last.set()
            await asyncio.Event().wait()
            raise AssertionError from None

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


async def test_it_asks_often_until_the_first_good_answer_and_no_more_when_that_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = Asked([False, False, True, False, True])
    monkeypatch.setattr("gateway.probe.asyncio.sleep", asked.pause)
    probe = Probe(asked.check, 1.0)
    await probe.ask()
    running = asyncio.create_task(probe.run())
    await asked._last.wait()
    running.cancel()
    assert asked.pauses == [0.1, 0.1, 1.0, 1.0, 1.0]


async def test_an_answer_counts_for_three_intervals() -> None:
    now = 5.0
    asked = Asked([True])
    probe = Probe(asked.check, 1.0, lambda: now)
    assert not probe()
    await probe.ask()
    now += 3.0
    assert probe()
    now += 0.1
    assert not probe()
