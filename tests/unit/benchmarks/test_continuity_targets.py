"""The targets of the continuity part of the benchmark."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.machine import Cores
from benchmarks.parts.continuity import ContinuitySample
from benchmarks.plan import Plan
from benchmarks.report.targets import targets
from benchmarks.run import Results

_SAMPLE = ContinuitySample(
    first=0.3,
    wait=0.2,
    pause=0.4,
    silence=0.25,
    restored=0.1,
    silences=(0.0, 0.0),
    roll_overs=3,
    turn_cpu=(0.005, 0.006),
    turn_bytes=(4e3, 1e4),
    memory=(2e5, 2e5),
)


def results(**changed: object) -> list[bool | None]:
    """Whether the silence, the pause and the roll-overs keep their targets."""
    found = Results(Plan(), Cores(frozenset({0}), frozenset({1})))
    found.continuity = replace(_SAMPLE, **changed)  # type: ignore[arg-type]
    return [target.hit for target in targets(found)[-3:]]


def test_the_silence_is_compared_with_dial_and_restore_and_the_pause_also_with_a_reply() -> None:
    assert results() == [False, True, True]
    assert results(silence=0.15) == [True, True, True]
    assert results(pause=0.46) == [False, False, True]


def test_a_silence_at_a_roll_over_misses_the_target() -> None:
    assert results(silences=(0.0, 0.001))[2] is False


def test_without_a_roll_over_nothing_was_measured() -> None:
    assert results(roll_overs=0)[2] is None
