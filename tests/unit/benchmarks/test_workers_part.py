"""When the workers part of the benchmark says something, and what."""

from __future__ import annotations

import pytest

from benchmarks.machine import Cores
from benchmarks.parts.capacity import Capacity
from benchmarks.parts.workers import Skipped, cores_for, ratio


def test_each_worker_has_a_core_beside_the_generators() -> None:
    cores = Cores(frozenset({0}), frozenset({3}), frozenset({0, 1, 2, 3}))
    assert cores_for(cores) == [0, 1]


def test_with_fewer_cores_the_part_is_skipped_and_says_why() -> None:
    skipped = cores_for(Cores(frozenset({0}), frozenset({1}), frozenset({0, 1})))
    assert skipped == Skipped(
        "skipped: it needs 3 cores, one for the load generator and one for each of 2 workers, and this machine has 2"
    )


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (Capacity(200, False, 0.3), Capacity(390, False, 0.6), 1.95),
        (Capacity(200, False, 0.3), Capacity(390, False, 0.95), None),
        (Capacity(200, False, 0.3), Capacity(400, True, 0.6), None),
        (Capacity(0, False, 0.0), Capacity(390, False, 0.6), None),
    ],
)
def test_the_ratio_is_that_of_the_workers_or_none(one: Capacity, two: Capacity, expected: float | None) -> None:
    assert ratio({1: one, 2: two}) == expected
    assert ratio({1: one}) is None
