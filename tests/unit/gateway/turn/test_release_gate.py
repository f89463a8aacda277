"""The release gate: the client's order, and the fence."""

from __future__ import annotations

import pytest

from gateway.turn.release_gate import Drop, ReleaseGate, Sendable
from gateway.turn.requests import Kind, OpenRequests
from gateway.turn.slot import Turn
from turngate.protocol.messages import AddItems, Configuration, RefuseRequest, ResponseRequest, SendRelease, Slot

C, R = Kind.CONFIGURATION, Kind.RESPONSE


class Bench:
    """A release gate over open requests of these kinds and an idle turn."""

    def __init__(self, *kinds: Kind) -> None:
        self.requests = OpenRequests(10)
        self.turn = Turn(0)
        self.turn.configured(0)
        self.updating = False
        self.gate = ReleaseGate(self.requests, self.turn, lambda: self.updating)
        for kind in kinds:
            self.requests.accept(kind, {}, 0)

    def translate(self, *seqs: int) -> list[int]:
        ready = []
        for seq in seqs:
            for command in self.gate.translated(AddItems(session="s", seq=seq)):
                request = self.requests.get(command.seq)
                if request is not None:
                    request.translated = True
                ready.append(command.seq)
        return ready

    def release(
        self, configures: tuple[int, ...] = (), responds: tuple[int, ...] = (), *, interrupts: bool = False
    ) -> Sendable | Drop | None:
        self.gate.offer(
            SendRelease(
                session="s",
                release="r",
                configuration=Configuration() if configures else None,
                configures=configures,
                response=ResponseRequest(interrupts=interrupts) if responds else None,
                responds=responds,
            )
        )
        decided = self.gate.release()
        return None if decided is None else decided[1]


def test_translations_leave_in_order_and_once() -> None:
    bench = Bench(R, R, R)
    assert bench.translate(3) == []
    assert bench.translate(1) == [1]
    assert bench.translate(1) == []
    assert bench.translate(2) == [2, 3]
    assert bench.translate(2, 3) == []


def test_the_first_of_two_answers_stands() -> None:
    bench = Bench(R, R)
    bench.gate.translated(AddItems(session="s", seq=2, items=({"id": "a"},)))
    bench.gate.translated(RefuseRequest(session="s", seq=2, code="c", description="d"))
    ready = bench.gate.translated(AddItems(session="s", seq=1))
    assert [type(command) for command in ready] == [AddItems, AddItems]


def test_a_request_that_was_given_up_is_passed_over() -> None:
    bench = Bench(R, R)
    assert bench.translate(2) == []
    bench.requests.settle([1])
    assert [command.seq for command in bench.gate.advance()] == [2]
    assert bench.translate(1) == []


def test_a_release_waits_for_everything_before_it() -> None:
    bench = Bench(R, R)
    bench.translate(2)
    assert bench.release(responds=(2,)) is None
    assert bench.gate.release() is None
    bench.translate(1)
    decided = bench.gate.release()
    assert decided is not None
    assert isinstance(decided[1], Sendable)
    assert bench.gate.release() is None, "it is decided once"


@pytest.mark.parametrize("slot", [slot for slot in Slot if slot is not Slot.IDLE])
def test_nothing_that_needs_a_free_turn_passes_a_turn_that_is_not_free(slot: Slot) -> None:
    bench = Bench(C, R)
    bench.translate(1, 2)
    bench.turn.slot = slot
    assert bench.release(responds=(2,)) is Drop.OCCUPIED
    if slot is not Slot.UNCONFIGURED:
        assert bench.release(configures=(1,)) is Drop.OCCUPIED
        assert bench.release(configures=(1,), responds=(2,)) is Drop.OCCUPIED


def test_before_the_first_configuration_only_configuration_passes() -> None:
    bench = Bench(C, R)
    bench.translate(1, 2)
    bench.turn.slot = Slot.UNCONFIGURED
    what = bench.release(configures=(1,), responds=(2,))
    assert isinstance(what, Sendable)
    assert what.configuration is not None
    assert (what.configures, what.response, what.responds) == ((1,), None, ())


def test_while_the_user_speaks_configuration_passes_and_a_response_does_not() -> None:
    bench = Bench(C, R)
    bench.translate(1, 2)
    bench.turn.user_speaking = True
    assert bench.release(responds=(2,)) is Drop.OCCUPIED
    what = bench.release(configures=(1,), responds=(2,))
    assert isinstance(what, Sendable)
    assert what.response is None


def test_words_that_interrupt_pass_while_the_user_speaks_but_never_into_a_response() -> None:
    bench = Bench(R)
    bench.translate(1)
    bench.turn.user_speaking = True
    bench.turn.slot = Slot.ACTIVE
    assert bench.release(responds=(1,), interrupts=True) is Drop.OCCUPIED
    bench.turn.slot = Slot.IDLE
    what = bench.release(responds=(1,), interrupts=True)
    assert isinstance(what, Sendable)
    assert what.responds == (1,)


def test_what_is_settled_or_on_its_way_is_not_sent_again() -> None:
    bench = Bench(C, R)
    bench.translate(1, 2)
    bench.requests.send([1])
    bench.updating = True
    what = bench.release(configures=(1,), responds=(2,))
    assert isinstance(what, Sendable)
    assert (what.configuration, what.responds) == (None, (2,))
    bench.requests.settle([2])
    assert bench.release(configures=(1,), responds=(2,)) is Drop.STALE


def test_a_release_that_is_only_half_new_is_dropped() -> None:
    bench = Bench(C, C)
    bench.translate(1, 2)
    bench.requests.settle([1])
    assert bench.release(configures=(1, 2)) is Drop.STALE


def test_configuration_does_not_overtake_configuration() -> None:
    bench = Bench(C, C)
    bench.translate(1, 2)
    assert bench.release(configures=(2,)) is Drop.STALE


def test_one_session_update_at_a_time() -> None:
    bench = Bench(C)
    bench.translate(1)
    bench.updating = True
    assert bench.release(configures=(1,)) is Drop.STALE


def test_a_newer_release_replaces_one_that_waits() -> None:
    bench = Bench(R, R)
    bench.translate(1)
    assert bench.release(responds=(2,)) is None
    what = bench.release(responds=(1,))
    assert isinstance(what, Sendable)
    assert what.responds == (1,)


def test_an_empty_release_is_stale() -> None:
    assert Bench().release() is Drop.STALE


def test_the_rest_of_a_reply_goes_before_every_other_response() -> None:
    bench = Bench(R, C)
    rest = bench.requests.accept(R, {"type": "ReplyCutOff"}, 0)
    bench.translate(1, 2)
    assert bench.release(responds=(1,)) is None, "it waits until the rest was translated"
    bench.translate(rest.seq)
    decided = bench.gate.release()
    assert decided is not None
    assert decided[1] is Drop.OCCUPIED, "session-state grants it again, with the rest"
    assert isinstance(bench.release(configures=(2,)), Sendable)
    assert isinstance(bench.release(responds=(1, rest.seq)), Sendable)
    bench.requests.send([rest.seq])
    assert bench.requests.continuing is None
