"""Queues of the simulation."""

from __future__ import annotations

from benchmarks.scale.queues import Station


def test_one_process_serves_in_the_order_of_arrival() -> None:
    station = Station(1)
    assert station.serve(0.0, 2.0) == 2.0
    assert station.serve(1.0, 1.0) == 3.0
    assert station.serve(10.0, 1.0) == 11.0


def test_two_processes_serve_two_at_a_time() -> None:
    station = Station(2)
    assert [station.serve(0.0, 2.0) for _ in range(4)] == [2.0, 2.0, 4.0, 4.0]


def test_work_and_waits_are_noted_by_second() -> None:
    station = Station(1)
    station.serve(0.0, 1.5)
    station.serve(0.5, 0.25)
    assert station.busy == {0: 1.5, 1: 0.25}
    assert station.waited == {0: 1.0}
    assert sum(station.busy.values()) == 1.75


def test_a_restart_forgets_what_was_under_way() -> None:
    station = Station(1)
    station.serve(0.0, 100.0)
    station.restart(10.0)
    assert station.serve(10.0, 1.0) == 11.0
