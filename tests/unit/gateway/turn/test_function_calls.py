"""Open function calls: found by id or name, answered once, bounded."""

from __future__ import annotations

from gateway.timers import NEVER, Timers
from gateway.turn.function_calls import FunctionCalls


def calls(*asked: tuple[str, str], limit: int = 8) -> FunctionCalls:
    made = FunctionCalls(limit)
    for at, (id_, name) in enumerate(asked):
        made.asked(id_, name, at)
    return made


def test_a_result_finds_its_call_by_id_or_by_the_only_name() -> None:
    made = calls(("a", "f"), ("b", "g"))
    assert (found := made.find("a", None)) is not None
    assert found.name == "f"
    assert (found := made.find(None, "g")) is not None
    assert found.id == "b"
    assert made.find(None, None) is None, "two could be meant"
    assert made.find("z", "f") is None
    assert calls(("a", "f"), ("b", "f")).find(None, "f") is None


def test_an_answered_call_takes_no_second_answer_and_is_open_until_delivered() -> None:
    made = calls(("a", "f"))
    call = made.find("a", None)
    assert call is not None
    call.answered = True
    assert made.find("a", None) is None
    assert made.open == ("a",)
    made.delivered("a")
    made.delivered("a")
    assert not made.open


def test_a_call_that_is_asked_twice_is_one_call_and_keeps_out_no_other() -> None:
    made = calls(("a", "f"), ("b", "f"), ("b", "f"), limit=2)
    assert made.open == ("a", "b")


def test_past_the_limit_the_oldest_is_forgotten() -> None:
    assert calls(("a", "f"), ("b", "f"), ("c", "f"), limit=2).open == ("b", "c")


def test_only_unanswered_calls_are_overdue() -> None:
    timers = Timers()
    made = FunctionCalls(10, timers, patience=10)
    first, second = (made.asked(call_id, "f", now) for now, call_id in enumerate(("a", "b")))
    assert (timers.deadline(), made.overdue(9), made.overdue(10)) == (10, [], [first])
    made.answered(first)
    assert (timers.deadline(), made.overdue(20)) == (11, [second])
    made.delivered("b")
    assert (timers.deadline(), made.overdue(100)) == (NEVER, [])


def test_without_a_limit_a_call_is_waited_for_as_long_as_it_takes() -> None:
    timers = Timers()
    made = FunctionCalls(10, timers, patience=0)
    made.asked("a", "f", 0)
    assert (timers.deadline(), made.overdue(1e9)) == (NEVER, [])
