"""Virtual time and timers."""

from __future__ import annotations

from tests.unit.turngate.simulator.client import Client
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.frames import Event
from turngate.simulator.realtime_session import RealtimeSession
from turngate.simulator.scheduler import Scheduler


def test_actions_run_in_order_each_at_its_own_time() -> None:
    scheduler = Scheduler(1, lambda event: None)
    happened: list[tuple[str, float]] = []

    def note(name: str) -> None:
        happened.append((name, scheduler.now))

    def first() -> None:
        note("first")
        scheduler.call_later(0, lambda: note("at once"))
        scheduler.call_later(1, lambda: note("third"))

    scheduler.call_later(1, first)
    scheduler.call_later(1, lambda: note("second"))
    scheduler.call_later(9, lambda: note("not yet"))
    scheduler.call_later(1.5, lambda: note("never")).cancel()
    scheduler.run_until(5)
    assert happened == [("first", 1), ("second", 1), ("at once", 1), ("third", 2)]
    assert scheduler.now == 5
    assert scheduler.next_deadline() == 9


def test_a_cancelled_timer_is_no_deadline() -> None:
    scheduler = Scheduler(1, lambda event: None)
    timer = scheduler.call_later(1, lambda: None)
    assert scheduler.next_deadline() == 1
    timer.cancel()
    assert scheduler.next_deadline() is None


def test_time_does_not_go_back() -> None:
    scheduler = Scheduler(1, lambda event: None)
    scheduler.run_until(5)
    scheduler.run_until(3)
    assert scheduler.now == 5


def test_a_late_caller_gets_the_same_events() -> None:
    """The events, their order, and their times in the record do not depend on when `advance` is called."""
    punctual = Client(seed=1)
    punctual.ask("hello")
    late = RealtimeSession(Behaviour(), seed=1)
    events: list[Event] = late.connect(1_000.0)
    for event in punctual.session.record.entries:
        if event["direction"] == "received":
            events += late.receive(event["event"], 1_000.0)
    events += late.advance(2_000.0)
    assert events == punctual.events
    assert list(late.record.entries) == list(punctual.session.record.entries)


def test_at_pace_0_a_reply_takes_no_time() -> None:
    client = Client(Behaviour(pace=0))
    client.send("response.create")
    assert client.until("rate_limits.updated")
    assert client.now == 1_000.0
