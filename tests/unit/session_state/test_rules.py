"""The rules of reservation, one by one, on the Python form; `tests/integration/test_store.py` holds the script to the
same."""

from __future__ import annotations

from typing import Any

from session_state.rules import Advance, SessionState, advance
from turngate.protocol.messages import Configuration, Intent, ResponseRequest, Slot, TurnRecord


def record(version: int, slot: Slot = Slot.IDLE, **fields: Any) -> TurnRecord:
    return TurnRecord(session="s", gateway="g", version=version, slot=slot, **fields)


def configuration(seq: int) -> Intent:
    return Intent(seq=seq, configuration=Configuration(session={"instructions": str(seq)}))


def response(seq: int, *answers: str) -> Intent:
    return Intent(seq=seq, response=ResponseRequest(), answers=answers)


def step(state: SessionState, turn: TurnRecord | None = None, intent: Intent | None = None, now: int = 0) -> Advance:
    return advance(state, now, record=turn, intent=intent, lease=1_000, release_id=f"r{now}", most=8)


def seqs(result: Advance) -> list[int]:
    return [intent.seq for intent in result.granted]


def test_no_record_means_not_free() -> None:
    assert step(SessionState(), None, response(1)).outcome == "unknown"


def test_a_free_turn_grants_at_once() -> None:
    result = step(SessionState(), record(1, last_seq=1, open_responses=(1,)), response(1))
    assert (result.outcome, seqs(result)) == ("granted", [1])


def test_an_active_turn_holds_and_its_end_grants_everything_configuration_first() -> None:
    state = SessionState()
    busy = record(1, Slot.ACTIVE, last_seq=2, open_configuration=(2,), open_responses=(1,))
    assert step(state, busy, response(1)).outcome == "held"
    assert step(state, busy, configuration(2)).outcome == "held"
    assert seqs(step(state, record(2, last_seq=2, open_configuration=(2,), open_responses=(1,)))) == [1, 2]


def test_an_older_record_changes_nothing() -> None:
    state = SessionState()
    step(state, record(5, Slot.ACTIVE, last_seq=1, open_responses=(1,)), response(1))
    assert step(state, record(4, last_seq=1, open_responses=(1,))).outcome == "held"


def test_nothing_overtakes_an_intent_that_is_still_on_its_way() -> None:
    state = SessionState()
    turn = record(1, last_seq=2, open_configuration=(1, 2))
    assert step(state, turn, configuration(2)).outcome == "held"
    assert seqs(step(state, turn, configuration(1))) == [1, 2]


def test_one_release_at_a_time_until_its_lease_ends() -> None:
    state = SessionState()
    turn = record(1, last_seq=2, open_responses=(1, 2))
    first = step(state, turn, response(1))
    assert (seqs(first), first.again) == ([1], False)
    assert step(state, turn, response(2), now=999).outcome == "held"
    later = step(state, now=1_000)
    assert (seqs(later), later.again) == ([1, 2], True)


def test_a_release_that_was_settled_late_was_not_lost() -> None:
    state = SessionState()
    step(state, record(1, last_seq=1, open_responses=(1,)), response(1))
    result = step(state, record(2, last_seq=2, open_responses=(2,)), response(2), now=1_000)
    assert (seqs(result), result.again) == ([2], False)


def test_a_decided_release_is_granted_again_without_waiting_for_its_lease() -> None:
    state = SessionState()
    assert seqs(step(state, record(1, last_seq=1, open_responses=(1,)), response(1))) == [1]
    assert seqs(step(state, record(2, last_seq=1, open_responses=(1,), decided_release="r0"), now=1)) == [1]


def test_configuration_on_its_way_holds_up_further_configuration_but_no_response() -> None:
    state = SessionState()
    turn = record(1, last_seq=1, open_configuration=(1,))
    assert seqs(step(state, turn, configuration(1))) == [1]
    turn = record(2, last_seq=2, open_configuration=(1,), open_responses=(2,), configuring_seq=1)
    assert seqs(step(state, turn, response(2))) == [2]
    state = SessionState()
    step(state, record(1, last_seq=1, open_configuration=(1,)), configuration(1))
    turn = record(2, last_seq=3, open_configuration=(1, 2), open_responses=(3,), configuring_seq=1)
    assert step(state, turn, configuration(2)).outcome == "held"
    assert step(state, turn, response(3)).outcome == "held", "it waits together with configuration, so it waits for it"


def test_parallel_calls_are_answered_together() -> None:
    state = SessionState()
    turn = record(1, last_seq=2, open_responses=(1, 2), open_calls=("a", "b"))
    assert step(state, turn, response(1, "a")).outcome == "held"
    assert seqs(step(state, turn, response(2, "b"))) == [1, 2]


def test_a_result_that_cannot_come_along_leaves_its_call_open() -> None:
    state = SessionState()
    turn = record(1, last_seq=3, open_responses=(1, 2, 3), open_calls=("a", "b"))
    step(state, turn, response(1, "a"))
    assert step(state, turn, response(3, "b")).outcome == "held", "2 is on its way, and 3 goes after it"
    assert seqs(step(state, turn, response(2))) == [1, 2, 3]


def test_an_open_call_holds_up_results_but_not_other_responses() -> None:
    state = SessionState()
    turn = record(1, last_seq=2, open_responses=(1, 2), open_calls=("a", "b"))
    step(state, turn, response(1, "a"))
    assert seqs(step(state, turn, response(2))) == [2]


def test_before_the_first_configuration_only_configuration_goes() -> None:
    state = SessionState()
    turn = record(1, Slot.UNCONFIGURED, last_seq=2, open_configuration=(2,), open_responses=(1,))
    assert step(state, turn, response(1)).outcome == "held"
    assert seqs(step(state, turn, configuration(2))) == [2]


def test_nobody_is_answered_while_the_user_speaks() -> None:
    state = SessionState()
    turn = record(1, last_seq=2, open_configuration=(2,), open_responses=(1,), user_speaking=True)
    assert step(state, turn, response(1)).outcome == "held"
    assert seqs(step(state, turn, configuration(2))) == [2]


def test_words_that_interrupt_do_not_wait_for_the_users_silence_but_for_the_slot() -> None:
    words = Intent(seq=2, response=ResponseRequest(exclusive=True, interrupts=True))
    state = SessionState()
    busy = record(1, Slot.CANCELLING, last_seq=2, open_responses=(2,), user_speaking=True)
    assert step(state, busy, words).outcome == "held"
    assert seqs(step(state, record(2, last_seq=2, open_responses=(2,), user_speaking=True))) == [2]


def test_words_that_interrupt_do_not_overtake_what_waits_for_the_users_silence() -> None:
    state = SessionState()
    speaking = record(1, last_seq=2, open_responses=(1, 2), user_speaking=True)
    step(state, speaking, response(1))
    words = Intent(seq=2, response=ResponseRequest(exclusive=True, interrupts=True))
    assert step(state, speaking, words).outcome == "held"
    assert seqs(step(state, record(2, last_seq=2, open_responses=(1, 2)))) == [1, 2]


def test_a_settled_intent_is_not_taken_and_a_waiting_one_is_forgotten_when_settled() -> None:
    state = SessionState()
    assert step(state, record(1, last_seq=1), response(1)).outcome == "settled"
    step(state, record(2, Slot.ACTIVE, last_seq=2, open_responses=(2,)), response(2))
    step(state, record(3, Slot.ACTIVE, last_seq=2))
    assert not state.held
    assert state.look_again is None


def test_a_closed_session_forgets_everything_and_stays_closed() -> None:
    state = SessionState()
    step(state, record(1, Slot.ACTIVE, last_seq=1, open_responses=(1,)), response(1))
    assert step(state, record(9, Slot.CLOSED)).outcome == "settled"
    assert step(state, record(2, last_seq=1, open_responses=(1,)), response(1)).outcome == "settled"
    assert not state.held


def test_more_than_may_wait_is_not_taken() -> None:
    state = SessionState()
    turn = record(1, Slot.ACTIVE, last_seq=9, open_responses=tuple(range(1, 10)))
    for seq in range(1, 9):
        assert step(state, turn, response(seq)).outcome == "held"
    assert step(state, turn, response(9)).outcome == "full"
