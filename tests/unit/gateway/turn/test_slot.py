"""The turn table: every cell as it is decided, and the rules that choose the input."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.timers import Timer, Timers
from gateway.turn.slot import PendingCreate, SlotPatience, Turn
from gateway.turn.slot_table import TRANSITIONS, GateViolation, Input, Next
from turngate.protocol.messages import Slot

S, I = Slot, Input  # noqa: E741 - the table below reads better so

#: Every cell that moves the slot, by what frees it or takes it. What is not here stays, or is illegal.
MOVES: dict[tuple[Slot, Input], Slot | Next] = {
    (S.UNCONFIGURED, I.CONFIGURED): S.IDLE,
    (S.IDLE, I.REQUEST_SENT): S.REQUESTED,
    (S.REQUESTED, I.REQUEST_RACED): S.PROMISED,
    (S.REQUESTED, I.REQUEST_REFUSED): Next.FREE,
    (S.REQUESTED, I.REQUEST_EXPIRED): S.CANCELLING,
    (S.REQUESTED, I.OWN_DONE): Next.FREE,
    (S.PROMISED, I.OWN_DONE): Next.FREE,
    (S.PROMISED, I.UNSEEN_DONE): Next.FREE,
    (S.PROMISED, I.PROMISE_EXPIRED): Next.FREE,
    (S.PROMISED, I.COMMITTED): S.PROMISED,
    (S.UNCONFIGURED, I.COMMITTED): S.PROMISED,
    (S.IDLE, I.COMMITTED): S.PROMISED,
    (S.ACTIVE, I.HOLDER_DONE): Next.FREE,
    (S.ACTIVE, I.CANCEL_SENT): S.CANCELLING,
    (S.CANCELLING, I.HOLDER_DONE): Next.FREE,
    (S.CANCELLING, I.END_LOST): Next.FREE,
    (S.CANCELLING, I.EXPIRED_STARTED): S.CANCELLING,
    (S.RECONNECTING, I.RESTORED): Next.FREE,
    **{(slot, I.LEG_LOST): S.RECONNECTING for slot in S if slot not in (S.RECONNECTING, S.CLOSED)},
    **{(slot, I.EXPIRED_STARTED): S.ACTIVE for slot in S if slot not in (S.CANCELLING, S.RECONNECTING, S.CLOSED)},
    **{(slot, I.OWN_STARTED): S.ACTIVE for slot in S if slot not in (S.RECONNECTING, S.CLOSED)},
    **{(slot, I.OTHER_STARTED): S.ACTIVE for slot in S if slot not in (S.RECONNECTING, S.CLOSED)},
    **{(slot, I.DISCONNECTED): S.CLOSED for slot in S if slot is not S.CLOSED},
}
#: Only what this gateway does can be illegal.
ILLEGAL = {
    *((slot, I.REQUEST_SENT) for slot in S if slot is not S.IDLE),
    *((slot, I.CANCEL_SENT) for slot in S if slot not in (S.ACTIVE, S.CANCELLING)),
}


@pytest.mark.parametrize("slot", Slot)
@pytest.mark.parametrize("what", Input)
def test_every_cell_is_decided(slot: Slot, what: Input) -> None:
    expected: Slot | Next = Next.ILLEGAL if (slot, what) in ILLEGAL else MOVES.get((slot, what), Next.STAY)
    assert TRANSITIONS[slot][what] == expected


def slot(turn: Turn) -> Slot:
    """Read anew: a type checker would otherwise believe the comparison before."""
    return turn.slot


def idle(timers: Timers | None = None) -> Turn:
    turn = Turn(0, timers)
    turn.configured(0)
    return turn


def requested() -> Turn:
    turn = idle()
    turn.request_sent(PendingCreate("create-1", (3,), 1))
    return turn


def active() -> Turn:
    turn = idle()
    turn.started("resp_1", None, 1)
    return turn


def test_own_response_resolves_the_request() -> None:
    turn = requested()
    turn.started("resp_1", "create-1", 2)
    assert (turn.slot, turn.response_id, turn.pending_create) == (S.ACTIVE, "resp_1", None)
    turn.done("resp_1", "create-1", 3)
    assert (turn.slot, turn.response_id, turn.since) == (S.IDLE, None, 3)


def test_a_foreign_response_leaves_our_request_open_and_the_slot_occupied_after_it() -> None:
    turn = requested()
    turn.started("resp_vad", None, 2)
    assert slot(turn) is S.ACTIVE
    assert turn.pending_create is not None
    turn.done("resp_vad", None, 3)
    assert slot(turn) is S.REQUESTED, "the upstream may still accept our request"
    turn.request_failed(4, raced=False)
    assert slot(turn) is S.IDLE


def test_a_lost_race_before_the_winner_is_seen_promises_it() -> None:
    turn = requested()
    turn.request_failed(2, raced=True)
    assert slot(turn) is S.PROMISED
    turn.started("resp_vad", None, 3)
    turn.done("resp_vad", None, 4)
    assert slot(turn) is S.IDLE


def test_a_lost_race_while_the_winner_is_active_changes_nothing_else() -> None:
    turn = requested()
    turn.started("resp_vad", None, 2)
    turn.request_failed(3, raced=True)
    assert (turn.slot, turn.pending_create) == (S.ACTIVE, None)
    turn.done("resp_vad", None, 4)
    assert slot(turn) is S.IDLE


@pytest.mark.parametrize("foreign", ["resp_0", "resp_never_seen"])
def test_only_the_holders_done_frees(foreign: str) -> None:
    turn = idle()
    turn.started("resp_0", None, 1)
    turn.done("resp_0", None, 2)
    turn.started("resp_1", None, 3)
    turn.done(foreign, None, 4)
    assert (turn.slot, turn.response_id) == (S.ACTIVE, "resp_1")


def test_a_response_that_replaces_another_makes_the_first_ones_done_stale() -> None:
    turn = active()
    turn.started("resp_2", None, 2)
    turn.done("resp_1", None, 3)
    assert (turn.slot, turn.response_id) == (S.ACTIVE, "resp_2")


def test_done_without_created_keeps_or_ends_a_promise() -> None:
    turn = idle()
    turn.committed(1)
    turn.done("resp_unseen", None, 2)
    assert slot(turn) is S.IDLE
    turn = active()
    turn.done("resp_1", None, 2)
    turn.committed(3)
    turn.done("resp_1", None, 4)
    assert slot(turn) is S.PROMISED, "a done that came before is not the promised response's"


def test_our_own_done_without_created_ends_the_request() -> None:
    turn = requested()
    turn.done("resp_1", "create-1", 2)
    assert (turn.slot, turn.pending_create) == (S.IDLE, None)


@pytest.mark.parametrize("make", [idle, requested, active])
def test_out_of_band_responses_never_touch_the_slot(make: Callable[[], Turn]) -> None:
    turn = make()
    before = (turn.slot, turn.response_id, turn.since)
    turn.side_event(9)
    assert (turn.slot, turn.response_id, turn.since) == before


def test_a_cancel_that_crosses_the_natural_end() -> None:
    turn = active()
    turn.cancel_sent("cancel-1", 2)
    assert slot(turn) is S.CANCELLING
    assert not turn.free_for_configuration
    turn.done("resp_1", None, 3)
    turn.cancel_refused("cancel-1", 4)
    assert slot(turn) is S.IDLE


def test_a_response_before_the_configuration_returns_the_slot_unconfigured() -> None:
    turn = Turn(0)
    turn.started("resp_1", None, 1)
    turn.done("resp_1", None, 2)
    assert slot(turn) is S.UNCONFIGURED
    turn.started("resp_2", None, 3)
    turn.configured(4)
    turn.done("resp_2", None, 5)
    assert slot(turn) is S.IDLE


@pytest.mark.parametrize("make", [lambda: Turn(0), requested, active])
def test_what_this_gateway_may_not_do_raises_and_changes_nothing(make: Callable[[], Turn]) -> None:
    turn = make()
    before = (turn.slot, turn.response_id, turn.pending_create, turn.since)
    with pytest.raises(GateViolation):
        turn.request_sent(PendingCreate("create-2", (), 9))
    assert (turn.slot, turn.response_id, turn.pending_create, turn.since) == before


def test_nothing_to_cancel_is_illegal() -> None:
    with pytest.raises(GateViolation):
        idle().cancel_sent("cancel-1", 1)


@pytest.mark.parametrize("make", [lambda: Turn(0), idle, requested, active])
def test_a_disconnect_closes_every_slot_for_good(make: Callable[[], Turn]) -> None:
    turn = make()
    turn.disconnected(5)
    turn.started("resp_9", None, 6)
    assert (turn.slot, turn.response_id, turn.pending_create) == (S.CLOSED, None, None)


def test_a_create_that_is_never_answered_occupies_the_slot_until_its_cancel_is_answered() -> None:
    timers = Timers()
    turn = idle(timers)
    turn.request_sent(PendingCreate("create-1", (3,), 1))
    assert turn.request_expired("cancel-1", 20)
    assert (turn.slot, turn.pending_create) == (S.CANCELLING, None)
    turn.cancel_refused("cancel-0", 21)
    assert timers.deadline() == 35, "the answer to an earlier cancel says nothing about this one"
    turn.cancel_refused("cancel-1", 22)
    assert slot(turn) is S.CANCELLING, "a response.done may be on the wire"
    assert timers.deadline() == 25
    assert turn.cancel_expired(25)
    assert slot(turn) is S.IDLE


def test_a_create_that_expires_beside_another_response_needs_no_cancel() -> None:
    turn = requested()
    turn.started("resp_vad", None, 2)
    assert not turn.request_expired("cancel-1", 20)
    assert (turn.slot, turn.response_id) == (S.ACTIVE, "resp_vad")


def test_it_knows_who_began_the_response_that_holds_it() -> None:
    turn = active()
    assert turn.response_own is False
    turn.done("resp_1", None, 2)
    assert turn.response_own is None
    turn = requested()
    turn.started("resp_2", "create-1", 2)
    assert turn.response_own is True
    turn.cancel_sent("cancel-1", 3)
    assert turn.response_own is True, "until its end"
    turn.done("resp_2", "create-1", 4)
    assert turn.response_own is None


def test_the_response_of_an_expired_create_is_recognised() -> None:
    turn = requested()
    turn.request_expired("cancel-1", 20)
    create = turn.started("resp_1", "create-1", 21)
    assert create is not None
    assert create.responds == (3,)
    assert (turn.slot, turn.response_id) == (S.CANCELLING, "resp_1")
    turn.cancel_sent("cancel-2", 21)
    turn.done("resp_1", "create-1", 22)
    assert slot(turn) is S.IDLE


def test_the_end_of_an_expired_create_frees_the_slot_although_its_beginning_was_never_seen() -> None:
    turn = requested()
    turn.request_expired("cancel-1", 20)
    turn.done("resp_0", None, 21)
    assert slot(turn) is S.CANCELLING
    turn.done("resp_1", "create-1", 22)
    assert slot(turn) is S.IDLE


def test_the_upstreams_word_that_nothing_runs_frees_the_slot_of_a_lost_end_once() -> None:
    turn = active()
    turn.cancel_sent("cancel-1", 2)
    turn.cancel_refused(None, 3)
    assert turn.cancel_expired(6), "some servers do not say which event an error is about"
    assert slot(turn) is S.IDLE
    turn.started("resp_2", None, 7)
    turn.done("resp_1", None, 8)
    assert (turn.slot, turn.response_id) == (S.ACTIVE, "resp_2"), "its end comes late"


def test_a_cancel_that_is_never_answered_costs_the_connection() -> None:
    turn = active()
    turn.cancel_sent("cancel-1", 2)
    assert not turn.cancel_expired(17)
    assert slot(turn) is S.CANCELLING, "until the caller gives the connection up"
    turn.disconnected(17)
    assert slot(turn) is S.CLOSED


def test_what_ran_on_a_lost_connection_frees_nothing_on_the_next() -> None:
    turn = requested()
    turn.started("resp_1", "create-1", 2)
    turn.lost(3)
    assert (turn.slot, turn.response_id, turn.pending_create) == (S.RECONNECTING, None, None)
    turn.done("resp_1", "create-1", 4)
    assert slot(turn) is S.RECONNECTING
    turn.restored(5)
    assert slot(turn) is S.IDLE


def test_a_response_is_silent_when_it_shows_no_event_for_too_long_and_what_it_shows_is_progress() -> None:
    timers = Timers()
    turn = Turn(0, timers, SlotPatience(silence=30))
    turn.started("resp_1", None, 10)
    assert timers.deadline() == 40
    turn.heard("resp_0", 20)
    turn.heard("resp_1", 35)
    assert turn.progress == 25
    assert timers.pop_due(40) == [Timer.SLOT]
    assert not turn.silence_due(40)
    assert timers.deadline() == 65
    assert turn.silence_due(65)
    turn.started("resp_2", None, 70)
    turn.heard("resp_2", 80)
    assert turn.progress == 35, "what one response has shown counts in the time of the next"


def test_a_wish_to_cancel_ends_with_what_it_was_for() -> None:
    turn = requested()
    turn.cancel_next = True
    turn.started("resp_1", "create-1", 2)
    assert turn.cancel_next
    turn.done("resp_1", "create-1", 3)
    assert not turn.cancel_next


def test_the_user_speaking_blocks_responses_but_not_configuration_and_no_interruption() -> None:
    turn = idle()
    turn.user_speaking = True
    assert turn.free_for_configuration
    assert not turn.free_for_response
    assert turn.free_for_interruption
