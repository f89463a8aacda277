"""What workers count together."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from gateway.admission.tallies import ALL, Tallies
from gateway.workers import shared


@pytest.fixture
def path(tmp_path: Path) -> Path:
    shared.create(tmp_path / "counts", parts=3)
    return tmp_path / "counts"


def workers(path: Path, *, rate: float = 0.0) -> list[Tallies]:
    """Three workers, each with the file in its own memory, as in processes of their own."""
    return [shared.SharedFile(path).tallies(number, rate, rate) for number in (1, 2, 3)]


def test_each_worker_sees_what_the_others_have_counted(path: Path) -> None:
    one, two, three = workers(path)
    one.key_sessions.more("k")
    two.key_sessions.more("k")
    two.key_sessions.more("k")
    assert [worker.key_sessions["k"] for worker in (one, two, three)] == [3, 3, 3]
    two.key_sessions.less("k")
    assert three.key_sessions["k"] == 2


def test_kinds_and_names_are_counted_apart(path: Path) -> None:
    one, two, _ = workers(path)
    one.sessions.more(ALL)
    one.address_sessions.more("same")
    assert two.key_sessions["same"] == two.address_sessions["other"] == 0
    assert two.sessions[ALL] == two.address_sessions["same"] == 1


def test_nothing_is_counted_below_zero(path: Path) -> None:
    one, two, _ = workers(path)
    two.key_sessions.more("k")
    one.key_sessions.less("k")
    one.key_sessions.more("k")
    one.key_sessions.less("k")
    one.key_sessions.less("k")
    assert two.key_sessions["k"] == 1


def test_what_a_dead_worker_counted_is_forgotten(path: Path) -> None:
    one, two, three = workers(path, rate=1.0)
    for worker in (one, two):
        worker.key_sessions.more("k")
    two.key_rates.take("k", 10.0)
    shared.SharedFile(path).clear(2)
    assert three.key_sessions["k"] == 1
    assert three.key_rates.take("k", 10.0) == 0.0


def test_any_history_counts_as_in_one_process(path: Path) -> None:
    """Names come and go, more than fit in the table at one time of its life."""
    chosen = random.Random(3)
    counters, tallies = [Counter[str]() for _ in range(3)], workers(path)
    for step in range(60_000):
        worker, name = chosen.randrange(3), f"{step // 200}-{chosen.randrange(40)}"
        tallies[worker].address_sessions.more(name)
        counters[worker][name] += 1
        if step % 200 == 199:
            looked_at = chosen.choice([*counters[0]])
            assert tallies[1].address_sessions[looked_at] == sum(one[looked_at] for one in counters)
            for own, counter in zip(tallies, counters, strict=True):
                for left, count in counter.items():
                    for _ in range(count):
                        own.address_sessions.less(left)
                counter.clear()
    assert tallies[0].address_sessions[name] == 0


def test_more_names_than_rows_do_no_harm(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_PROBES", 1)
    one, two, _ = workers(path)
    names = [str(number) for number in range(20_000)]
    for name in names:
        one.address_sessions.more(name)
    assert {two.address_sessions[name] for name in names} == {0, 1}
    for name in names:
        one.address_sessions.less(name)
    assert {two.address_sessions[name] for name in names} == {0}


@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0, 20.0])
def test_a_rate_holds_for_all_together(path: Path, rate: float) -> None:
    """Everybody tries all the time for a hundred windows: about as many get through as the rate allows, and at no time
    twice as many."""
    tallies = workers(path, rate=rate)
    window = max(1.0, rate) / rate
    taken: list[float] = []
    now, step = 1_000.0, window / 50
    while now < 1_000.0 + 100 * window:
        taken += [now for worker in tallies if worker.address_rates.take("a", now) == 0.0]
        now += step
    allowed = max(1.0, rate)
    assert 0.5 * 100 * allowed <= len(taken) <= 1.1 * 100 * allowed
    most = max(sum(begin <= at < begin + window for at in taken) for begin in taken)
    assert most <= 2 * allowed


@pytest.mark.parametrize("rate", [0.5, 1.0, 20.0])
def test_who_waits_as_long_as_said_gets_through(path: Path, rate: float) -> None:
    one, two, _ = workers(path, rate=rate)
    now = 777.3
    for _ in range(50):
        while (wait := one.key_rates.take("k", now)) == 0.0:
            pass
        assert two.key_rates.take("k", now + 0.9 * wait) > 0.0
        now += wait * 1.01 + 0.001
        assert two.key_rates.take("k", now) == 0.0


def test_without_a_rate_nobody_waits(path: Path) -> None:
    one, *_ = workers(path)
    assert {one.key_rates.take("k", 1.0) for _ in range(100)} == {0.0}
