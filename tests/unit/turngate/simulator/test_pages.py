"""The HTTP pages, the list of sessions behind them, and arming faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from turngate import simulator
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.faults import MAX_ARMED, Fault, Faults
from turngate.simulator.pages import page
from turngate.simulator.realtime_session import RealtimeSession
from turngate.simulator.sessions import Entry, Sessions


def begin(sessions: Sessions, seed: int) -> Entry:
    return sessions.begin(RealtimeSession(Behaviour(), seed=seed), "gpt-realtime", 5.0, lambda: None)


def test_sessions_and_their_records() -> None:
    sessions = Sessions(10)
    first, second = begin(sessions, 1), begin(sessions, 2)
    first.end(7.0, 1000)
    assert page("/health", sessions, Faults()) == (200, {"service": "simulator", "sessions": 1})
    _, listed = page("/sessions", sessions, Faults())
    assert [(one["session"], one["ended_at"], one["close_code"]) for one in listed["sessions"]] == [
        (first.id, 7.0, 1000),
        (second.id, None, None),
    ]
    _, everything = page("/record", sessions, Faults())
    status, one = page(f"/record/{second.id}", sessions, Faults())
    assert (status, one) == (200, everything["sessions"][1])
    assert (one["entries"], one["violations"], one["dropped"]) == ([], [], 0)


@pytest.mark.parametrize("target", ["/record/nobody", "/nowhere", "/", "/record/a/b"])
def test_not_found(target: str) -> None:
    assert page(target, Sessions(1), Faults())[0] == 404


def test_the_oldest_ended_session_goes_first() -> None:
    sessions = Sessions(2)
    first, second = begin(sessions, 1), begin(sessions, 2)
    second.end(6.0, 1000)
    third = begin(sessions, 3)
    assert [entry.id for entry in sessions] == [first.id, third.id]
    fourth = begin(sessions, 4)
    assert [entry.id for entry in sessions] == [third.id, fourth.id]


class TestFaults:
    def test_arming(self) -> None:
        faults = Faults()
        assert page("/faults?next=silent&count=2", Sessions(1), faults)[1]["armed"] == ["silent", "silent"]
        page("/faults?next=refuse_key", Sessions(1), faults)
        assert [faults.take() for _ in range(4)] == [Fault.SILENT, Fault.SILENT, Fault.REFUSE_KEY, None]

    def test_disarming(self) -> None:
        faults = Faults()
        faults.arm(Fault.SILENT, 3)
        assert page("/faults?clear", Sessions(1), faults)[1]["armed"] == []

    def test_how_often_a_connection_is_struck(self) -> None:
        faults = Faults(times=2)
        page("/faults?next=create_unanswered&times=0", Sessions(1), faults)
        assert faults.times == 0
        page("/faults?next=silent", Sessions(1), faults)
        assert faults.times == 0
        page("/faults?clear", Sessions(1), faults)
        assert faults.times == 2

    def test_the_readme_lists_every_fault(self) -> None:
        readme = (Path(simulator.__file__).parent / "README.md").read_text("utf-8")
        assert [fault for fault in Fault if f"| `{fault}` |" not in readme] == []

    def test_it_is_bounded(self) -> None:
        faults = Faults()
        faults.arm(Fault.SILENT, MAX_ARMED)
        assert faults.arm(Fault.SILENT, 1) == MAX_ARMED

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("next=nope", "nope"),
            ("next=silent&count=0", "count"),
            ("next=silent&count=x", "count"),
            ("times=x", "times"),
        ],
    )
    def test_a_wrong_query_is_reported(self, query: str, named: str) -> None:
        status, body = page(f"/faults?{query}", Sessions(1), Faults())
        assert status == 400
        assert named in body["error"]

    def test_the_next_one_can_be_seen_before_it_is_taken(self) -> None:
        faults = Faults(always=Fault.TEXT_ONLY)
        assert faults.next() is faults.take() is Fault.TEXT_ONLY, "where none is armed, the one that all have"
        faults.arm(Fault.HTTP_503, 1)
        assert faults.next() is Fault.HTTP_503
        assert faults.take() is Fault.HTTP_503
        assert faults.armed() == []
