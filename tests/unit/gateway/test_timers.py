"""The deadlines of a conversation."""

from __future__ import annotations

from gateway.timers import NEVER, Timer, Timers


def test_what_is_due_comes_once_and_the_earliest_first() -> None:
    timers = Timers()
    timers.set(Timer.SLOT, 3)
    timers.set(Timer.UPDATE, 2)
    timers.set(Timer.CALLS, 4)
    assert timers.deadline() == 2
    assert timers.pop_due(1.9) == []
    assert timers.pop_due(3) == [Timer.UPDATE, Timer.SLOT]
    assert timers.pop_due(3) == []
    assert timers.deadline() == 4


def test_the_last_time_that_was_set_counts() -> None:
    timers = Timers()
    timers.set(Timer.SLOT, 1)
    timers.set(Timer.SLOT, 5)
    assert timers.deadline() == 5
    timers.set(Timer.SLOT, NEVER)
    assert timers.deadline() == NEVER
    timers.set(Timer.CREATE, 1)
    timers.clear(Timer.CREATE)
    timers.clear(Timer.CREATE)
    assert timers.pop_due(9) == []
