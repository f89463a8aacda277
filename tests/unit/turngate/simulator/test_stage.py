"""Time, and what happens in it."""

from __future__ import annotations

from tests.unit.turngate.simulator.driver import Client
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.conversation import Conversation
from turngate.simulator.stage import Event, Stage


def test_everything_happens_in_order_each_at_its_own_moment() -> None:
    stage = Stage(1, lambda event: None)
    happened: list[tuple[str, float]] = []

    def note(name: str) -> None:
        happened.append((name, stage.now))

    def first() -> None:
        note("first")
        stage.later(0, lambda: note("at once"))
        stage.later(1, lambda: note("third"))

    stage.later(1, first)
    stage.later(1, lambda: note("second"))
    stage.later(9, lambda: note("not yet"))
    stage.later(1.5, lambda: note("never")).cancel()
    stage.run_until(5)
    assert happened == [("first", 1), ("second", 1), ("at once", 1), ("third", 2)]
    assert stage.now == 5
    assert stage.next_deadline() == 9


def test_the_next_deadline_is_of_something_that_will_happen() -> None:
    stage = Stage(1, lambda event: None)
    timer = stage.later(1, lambda: None)
    assert stage.next_deadline() == 1
    timer.cancel()
    assert stage.next_deadline() is None


def test_time_does_not_go_back() -> None:
    stage = Stage(1, lambda event: None)
    stage.run_until(5)
    stage.run_until(3)
    assert stage.now == 5


def test_a_shell_that_is_late_changes_nothing_but_when_events_are_sent() -> None:
    """The same events in the same order, with the record's times as they should have been."""
    punctual = Client(seed=1)
    punctual.ask("hello")
    late = Conversation(Behaviour(), seed=1)
    events: list[Event] = late.connect(1_000.0)
    for event in punctual.conversation.record.entries:
        if event["direction"] == "received":
            events += late.receive(event["event"], 1_000.0)
    events += late.advance(2_000.0)
    assert events == punctual.events
    assert list(late.record.entries) == list(punctual.conversation.record.entries)


def test_at_pace_0_a_reply_is_there_at_once() -> None:
    client = Client(Behaviour(pace=0))
    client.send("response.create")
    assert client.until("rate_limits.updated")
    assert client.now == 1_000.0
