"""The rules of reservation, one by one: the shipped script, run by Lua on a stub of Redis, with a clock of our own.
`tests/integration/test_store.py` runs the same script on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from session_state.config import ReservationSettings
from session_state.keys import SESSION_KEY
from session_state.store import WAITING, Reservation, Store, _Question
from tests.redis_stub.client import StubRedis, at_once
from tests.redis_stub.keyspace import Keyspace
from turngate.protocol.messages import (
    AddItems,
    Configuration,
    Intent,
    ResponseRequest,
    SendRelease,
    Slot,
    TurnRecord,
)

_KEY = SESSION_KEY + "s"


def record(version: int, slot: Slot = Slot.IDLE, **fields: Any) -> TurnRecord:
    return TurnRecord(session="s", gateway="g", version=version, slot=slot, **fields)


def configuration(seq: int) -> Intent:
    return Intent(seq=seq, configuration=Configuration(session={"instructions": str(seq)}))


def response(seq: int, *answers: str) -> Intent:
    return Intent(seq=seq, response=ResponseRequest(), answers=answers)


@dataclass(frozen=True)
class Result:
    """``granted`` are the numbers of the intents in the release."""

    outcome: str
    granted: Sequence[int]
    again: bool


class Session:
    """One session's keys. A release that is granted to a request at ``now`` has the id ``r<now>``."""

    def __init__(self, **settings: int) -> None:
        self._now = 0
        self._keyspace = Keyspace(lambda: self._now * 1000)
        given = {"release_lease_ms": 1_000, "session_intents_max": 8, **settings}
        self._store = Store(StubRedis(at_once(self._keyspace)), ReservationSettings(**given))  # type: ignore[arg-type]

    def step(self, turn: TurnRecord | None = None, intent: Intent | None = None, now: int = 0) -> Result:
        self._now = now
        asked = None
        if intent is not None:
            answer, alone = AddItems(session="s", seq=intent.seq), SendRelease(session="s", release=f"r{now}")
            asked = Reservation(turn or record(0), intent, answer, alone)
        (step,) = asyncio.run(self._store._advance([_Question("s", turn, asked)]))
        if step.outcome != "granted":
            return Result(step.outcome, (), step.again)
        return Result(step.outcome, orjson.loads(self._keyspace.execute("HGET", _KEY, "release"))["seqs"], step.again)

    def held(self) -> list[int]:
        """The intents that wait."""
        fields = self._keyspace.execute("HKEYS", _KEY)
        return sorted(int(name[5:]) for name in fields if name.startswith(b"head:"))

    def listen(self, *channels: bytes) -> None:
        """Somebody subscribes to these channels."""
        self._keyspace.listened |= set(channels)

    def refuse(self, *commands: str) -> None:
        """These commands are refused from now on."""
        self._keyspace.refused = frozenset(commands)

    def told(self) -> list[tuple[bytes, dict[str, Any]]]:
        """What was published, and where."""
        return [(channel, orjson.loads(body)) for channel, body in self._keyspace.published]

    def look_again(self) -> int | None:
        """When the sweeper should look at it."""
        at = self._keyspace.execute("ZSCORE", WAITING, "s")
        return None if at is None else int(at)


def seqs(result: Result) -> list[int]:
    return [*result.granted]


def test_no_record_means_not_free() -> None:
    assert Session().step(None, response(1)).outcome == "unknown"


def test_a_free_turn_grants_at_once() -> None:
    result = Session().step(record(1, last_seq=1, open_responses=(1,)), response(1))
    assert (result.outcome, seqs(result)) == ("granted", [1])


def test_an_active_turn_holds_and_its_end_grants_everything_configuration_first() -> None:
    session = Session()
    busy = record(1, Slot.ACTIVE, last_seq=2, open_configuration=(2,), open_responses=(1,))
    assert session.step(busy, response(1)).outcome == "held"
    assert session.step(busy, configuration(2)).outcome == "held"
    assert seqs(session.step(record(2, last_seq=2, open_configuration=(2,), open_responses=(1,)))) == [1, 2]


def test_an_older_record_changes_nothing() -> None:
    session = Session()
    session.step(record(5, Slot.ACTIVE, last_seq=1, open_responses=(1,)), response(1))
    assert session.step(record(4, last_seq=1, open_responses=(1,))).outcome == "held"


def test_nothing_overtakes_an_intent_that_is_still_on_its_way() -> None:
    session = Session()
    turn = record(1, last_seq=2, open_configuration=(1, 2))
    assert session.step(turn, configuration(2)).outcome == "held"
    assert seqs(session.step(turn, configuration(1))) == [1, 2]


def test_one_release_at_a_time_until_its_lease_ends() -> None:
    session = Session()
    turn = record(1, last_seq=2, open_responses=(1, 2))
    first = session.step(turn, response(1))
    assert (seqs(first), first.again) == ([1], False)
    assert session.step(turn, response(2), now=999).outcome == "held"
    later = session.step(now=1_000)
    assert (seqs(later), later.again) == ([1, 2], True)


def test_a_release_that_was_settled_late_was_not_lost() -> None:
    session = Session()
    session.step(record(1, last_seq=1, open_responses=(1,)), response(1))
    result = session.step(record(2, last_seq=2, open_responses=(2,)), response(2), now=1_000)
    assert (seqs(result), result.again) == ([2], False)


def test_a_decided_release_is_granted_again_without_waiting_for_its_lease() -> None:
    session = Session()
    assert seqs(session.step(record(1, last_seq=1, open_responses=(1,)), response(1))) == [1]
    assert seqs(session.step(record(2, last_seq=1, open_responses=(1,), decided_release="r0"), now=1)) == [1]


def test_configuration_on_its_way_holds_up_further_configuration_but_no_response() -> None:
    session = Session()
    turn = record(1, last_seq=1, open_configuration=(1,))
    assert seqs(session.step(turn, configuration(1))) == [1]
    turn = record(2, last_seq=2, open_configuration=(1,), open_responses=(2,), configuring_seq=1)
    assert seqs(session.step(turn, response(2))) == [2]
    session = Session()
    session.step(record(1, last_seq=1, open_configuration=(1,)), configuration(1))
    turn = record(2, last_seq=3, open_configuration=(1, 2), open_responses=(3,), configuring_seq=1)
    assert session.step(turn, configuration(2)).outcome == "held"
    assert session.step(turn, response(3)).outcome == "held", "it waits together with configuration, so it waits for it"


def test_parallel_calls_are_answered_together() -> None:
    session = Session()
    turn = record(1, last_seq=2, open_responses=(1, 2), open_calls=("a", "b"))
    assert session.step(turn, response(1, "a")).outcome == "held"
    assert seqs(session.step(turn, response(2, "b"))) == [1, 2]


def test_a_result_that_cannot_come_along_leaves_its_call_open() -> None:
    session = Session()
    turn = record(1, last_seq=3, open_responses=(1, 2, 3), open_calls=("a", "b"))
    session.step(turn, response(1, "a"))
    assert session.step(turn, response(3, "b")).outcome == "held", "2 is on its way, and 3 goes after it"
    assert seqs(session.step(turn, response(2))) == [1, 2, 3]


def test_an_open_call_holds_up_results_but_not_other_responses() -> None:
    session = Session()
    turn = record(1, last_seq=2, open_responses=(1, 2), open_calls=("a", "b"))
    session.step(turn, response(1, "a"))
    assert seqs(session.step(turn, response(2))) == [2]


def test_before_the_first_configuration_only_configuration_goes() -> None:
    session = Session()
    turn = record(1, Slot.UNCONFIGURED, last_seq=2, open_configuration=(2,), open_responses=(1,))
    assert session.step(turn, response(1)).outcome == "held"
    assert seqs(session.step(turn, configuration(2))) == [2]


def test_nobody_is_answered_while_the_user_speaks() -> None:
    session = Session()
    turn = record(1, last_seq=2, open_configuration=(2,), open_responses=(1,), user_speaking=True)
    assert session.step(turn, response(1)).outcome == "held"
    assert seqs(session.step(turn, configuration(2))) == [2]


def test_words_that_interrupt_do_not_wait_for_the_users_silence_but_for_the_slot() -> None:
    words = Intent(seq=2, response=ResponseRequest(exclusive=True, interrupts=True))
    session = Session()
    busy = record(1, Slot.CANCELLING, last_seq=2, open_responses=(2,), user_speaking=True)
    assert session.step(busy, words).outcome == "held"
    assert seqs(session.step(record(2, last_seq=2, open_responses=(2,), user_speaking=True))) == [2]


def test_words_that_interrupt_do_not_overtake_what_waits_for_the_users_silence() -> None:
    session = Session()
    speaking = record(1, last_seq=2, open_responses=(1, 2), user_speaking=True)
    session.step(speaking, response(1))
    words = Intent(seq=2, response=ResponseRequest(exclusive=True, interrupts=True))
    assert session.step(speaking, words).outcome == "held"
    assert seqs(session.step(record(2, last_seq=2, open_responses=(1, 2)))) == [1, 2]


def test_a_settled_intent_is_not_taken_and_a_waiting_one_is_forgotten_when_settled() -> None:
    session = Session()
    assert session.step(record(1, last_seq=1), response(1)).outcome == "settled"
    session.step(record(2, Slot.ACTIVE, last_seq=2, open_responses=(2,)), response(2))
    session.step(record(3, Slot.ACTIVE, last_seq=2))
    assert not session.held()
    assert session.look_again() is None


def test_a_closed_session_forgets_everything_and_stays_closed() -> None:
    session = Session()
    session.step(record(1, Slot.ACTIVE, last_seq=1, open_responses=(1,)), response(1))
    assert session.step(record(9, Slot.CLOSED)).outcome == "settled"
    assert session.step(record(2, last_seq=1, open_responses=(1,)), response(1)).outcome == "settled"
    assert not session.held()


def test_more_than_may_wait_is_not_taken() -> None:
    session = Session()
    turn = record(1, Slot.ACTIVE, last_seq=9, open_responses=tuple(range(1, 10)))
    for seq in range(1, 9):
        assert session.step(turn, response(seq)).outcome == "held"
    assert session.step(turn, response(9)).outcome == "full"


def test_more_bytes_than_may_wait_are_not_taken_but_one_intent_may_be_large() -> None:
    session = Session(session_intents_max_bytes=1_000)
    turn = record(1, Slot.ACTIVE, last_seq=3, open_configuration=(1, 2, 3))
    large = Intent(seq=1, configuration=Configuration(session={"instructions": "x" * 5_000}))
    assert session.step(turn, large).outcome == "held"
    assert session.step(turn, configuration(2)).outcome == "full"
    assert session.step(turn, large).outcome == "held", "it waits already"


def test_the_sweeper_looks_again_when_the_lease_ends_while_something_waits() -> None:
    session = Session()
    turn = record(1, last_seq=1, open_responses=(1,))
    session.step(turn, response(1), now=5)
    assert session.look_again() == 1_005
    session.step(turn, response(1), now=500)
    assert session.look_again() == 1_005, "the release is outstanding"
    session.step(record(2, last_seq=1), now=600)
    assert session.look_again() is None


def test_a_record_that_is_not_renewed_is_forgotten() -> None:
    session = Session(session_ttl_ms=1_000)
    session.step(record(5, Slot.ACTIVE))
    assert session.step(now=999).outcome == "idle"
    assert session.step(now=1_000).outcome == "unknown"


def test_nothing_is_told_if_nobody_watches() -> None:
    session = Session()
    session.listen(b"turngate:watch:another")
    session.step(record(1, Slot.ACTIVE, last_seq=1, open_responses=(1,)), response(1))
    assert session.told() == []


@pytest.mark.parametrize("channel", [b"turngate:watch", b"turngate:watch:s"])
def test_those_who_watch_are_told_the_record_what_is_held_and_what_is_released(channel: bytes) -> None:
    session = Session()
    session.listen(channel)
    busy = record(1, Slot.ACTIVE, last_seq=1, open_responses=(1,))
    session.step(busy, response(1), now=5)
    session.step(record(2, last_seq=1, open_responses=(1,)), now=7)
    (where, held), (_, released) = session.told()
    assert (where, held["now"]) == (channel, 5)
    assert orjson.loads(held["fields"]["turn"]) == orjson.loads(busy.model_dump_json())
    assert orjson.loads(held["fields"]["head:1"])["since"] == 5
    assert "release" not in held["fields"]
    assert orjson.loads(released["fields"]["release"])["seqs"] == [1]
    assert not [name for told in (held, released) for name in told["fields"] if name.startswith("body:")]


def test_those_who_watch_are_told_the_end_once() -> None:
    session = Session()
    session.listen(b"turngate:watch:s")
    session.step(record(1))
    session.step(record(2, Slot.CLOSED))
    session.step(record(2, Slot.CLOSED))
    assert [orjson.loads(told["fields"]["turn"])["slot"] for _, told in session.told()] == ["idle", "closed"]


@pytest.mark.parametrize("refused", ["PUBSUB", "PUBLISH"])
def test_a_server_that_does_not_let_it_publish_grants_all_the_same(refused: str) -> None:
    session = Session()
    session.listen(b"turngate:watch:s")
    session.refuse(refused)
    assert seqs(session.step(record(1, last_seq=1, open_responses=(1,)), response(1))) == [1]
