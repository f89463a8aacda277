"""The evaluation of the soak test: it detects leaks and accepts the behaviour of a healthy process."""

from __future__ import annotations

import random

import pytest

from benchmarks.soak.evaluation import PER_SESSION, Row, counted, growth, halves, limited, memory, table

MB = 1 << 20
SESSIONS = 2_000


def series(per_session: float, *, noise: int = 200_000, warming: int = 3 * MB) -> list[tuple[int, int]]:
    """Memory samples of a soak test: growth in the first fifth, noise, and a leak of ``per_session`` bytes."""
    source = random.Random(1)
    return [
        (
            gone,
            60 * MB
            + int(warming * min(1.0, gone / (SESSIONS / 5)))
            + int(per_session * gone)
            + source.randrange(-noise, noise),
        )
        for gone in range(0, SESSIONS + 1, 20)
    ]


def kept(rows: list[Row]) -> list[bool]:
    return [row.kept for row in rows]


def test_warm_up_is_not_a_leak() -> None:
    (_, by_halves) = rows = memory("gateway-1", series(0))
    assert kept(rows) == [True, True]
    assert by_halves.before > by_halves.after


@pytest.mark.parametrize("leak", [2 * PER_SESSION, 10_000])
def test_a_small_leak_per_session_is_detected(leak: int) -> None:
    (_, by_halves) = memory("gateway-1", series(leak))
    assert by_halves.after == pytest.approx(leak, rel=0.2)
    assert not by_halves.kept


def test_a_leak_is_also_detected_in_the_total() -> None:
    (total, _) = memory("gateway-1", series(5_000))
    assert not total.kept


def test_a_single_step_and_an_outlier_are_not_a_leak() -> None:
    stepped = [(gone, size + (MB if gone > 0.9 * SESSIONS else 0)) for gone, size in series(0)]
    odd = [(gone, size + (50 * MB if gone == SESSIONS - 200 else 0)) for gone, size in series(0)]
    assert kept(memory("broker", stepped)) == [True, True]
    assert kept(memory("broker", odd)) == [True, True]


def test_with_few_sessions_variation_of_the_heap_is_not_a_leak() -> None:
    few = [(gone, 60 * MB + gone * 10_000) for gone in range(60)]
    assert kept(memory("gateway-1", few)) == [True]
    much = [(gone, 60 * MB + gone * 100_000) for gone in range(60)]
    assert kept(memory("gateway-1", much)) == [False]


def test_halves_and_growth() -> None:
    first, second = halves([(0, 0), (1, 7), (2, 9), (100, 9), (200, 109)])
    assert ([gone for gone, _ in first], [gone for gone, _ in second]) == ([0, 1, 2, 100], [100, 200])
    assert growth(second) == 1
    assert growth([]) == growth([(5, 1)]) == growth([(5, 1), (5, 9)]) == 0


def test_counts_may_grow_only_within_their_margin() -> None:
    before = {"gateway-1: tasks": 9, "Redis: keys": 4}
    assert all(kept(counted(before, {"gateway-1: tasks": 11, "Redis: keys": 4})))
    assert [row.what for row in counted(before, {"gateway-1: tasks": 12, "Redis: keys": 5}) if not row.kept] == [
        "Redis: keys",
        "gateway-1: tasks",
    ]
    assert not counted({}, {"Redis: dead letters: pending": 1})[0].kept, "a count that was missing before"
    assert counted({"gateway-1: file descriptors": 30}, {})[0].after == 0


def test_the_broker_may_have_the_additional_connections_of_every_process() -> None:
    kind = "file descriptors"
    before = {f"broker: {kind}": 20, f"gateway-1: {kind}": 30, f"session-state-1: {kind}": 12}
    after = {f"broker: {kind}": 24, f"gateway-1: {kind}": 32, f"session-state-1: {kind}": 14}
    assert all(kept(counted(before, after)))
    assert not all(kept(counted(before, {**after, f"broker: {kind}": 25})))
    assert not all(kept(counted(before, {**after, f"gateway-1: {kind}": 33})))


def test_streams_may_grow_to_their_limit() -> None:
    assert limited({"a": 10}, {"a": 1_100}, 1_100)[0].kept
    assert not limited({"a": 10}, {"a": 1_101}, 1_100)[0].kept
    assert limited({"a": 1_150}, {"a": 1_150}, 1_100)[0].kept


def test_the_table_marks_exceeded_values() -> None:
    fine, bad = table([Row("fine", 1, 1, 1), Row("bad", 1, 2.5, 2)])[1:]
    assert fine.split() == ["fine", "1", "1", "1", "ok"]
    assert bad.split() == ["bad", "1", "2.5", "2", "NOT", "KEPT"]
