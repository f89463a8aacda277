"""The atomic script on a real server: what only a server shows, and that every history ends there as on the stub of
Redis, on which the unit tests and the simulation run it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from session_state.config import ReservationSettings
from session_state.keys import SESSION_KEY
from session_state.store import SESSIONS, WAITING, Outcome, Reservation, Store, _Question
from tests.redis_stub.client import StubRedis, at_once
from tests.redis_stub.keyspace import Keyspace
from turngate.bus.entries import body_of
from turngate.protocol.messages import (
    AddItems,
    Configuration,
    Intent,
    ResponseRequest,
    SendRelease,
    Slot,
    TurnRecord,
    commands_stream,
)

#: Long enough that no lease ends by the clock within a history.
SETTINGS = ReservationSettings(
    release_lease_ms=600_000, session_ttl_ms=600_000, session_intents_max=6, session_intents_max_bytes=600
)


@pytest.fixture
async def redis(broker_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(broker_url)
    yield client
    await client.aclose()


def record(version: int, slot: Slot = Slot.IDLE, session: str = "s", **fields: object) -> TurnRecord:
    return TurnRecord.model_validate(
        {"session": session, "gateway": "g", "version": version, "slot": slot, "last_seq": 0, **fields}
    )


@dataclass
class Step:
    """``lease`` in ms: one of 0 has ended at the next step."""

    record: TurnRecord | None
    intent: Intent | None
    lease: int


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Records and intents in no particular order, as a bad network might deliver them."""
    kinds = draw(st.lists(st.booleans(), min_size=1, max_size=8))
    seqs = range(1, len(kinds) + 1)
    calls = ("a", "b")
    intents = [
        Intent(seq=seq, configuration=Configuration(session={"n": seq}))
        if kinds[seq - 1]
        else Intent(
            seq=seq,
            response=ResponseRequest(interrupts=draw(st.booleans())),
            answers=draw(st.sampled_from([(), ("a",), ("b",)])),
        )
        for seq in seqs
    ]

    def one_record(version: int) -> TurnRecord:
        last = draw(st.integers(0, len(kinds)))
        open_ = [seq for seq in range(1, last + 1) if draw(st.booleans())]
        configuration = tuple(seq for seq in open_ if kinds[seq - 1])
        return record(
            version,
            draw(st.sampled_from([Slot.IDLE, Slot.IDLE, Slot.IDLE, Slot.UNCONFIGURED, Slot.ACTIVE, Slot.CLOSED])),
            last_seq=last,
            open_configuration=configuration,
            open_responses=tuple(seq for seq in open_ if not kinds[seq - 1]),
            open_calls=tuple(call for call in calls if draw(st.booleans())),
            user_speaking=draw(st.booleans()),
            configuring_seq=draw(st.sampled_from([None, *configuration[:1]])),
            decided_release=draw(st.sampled_from([None, "release-1", "release-2"])),
            epoch=draw(st.sampled_from([0, 0, 0, 1, 2])),
        )

    return [
        Step(
            one_record(draw(st.integers(1, 12))) if draw(st.booleans()) else None,
            draw(st.sampled_from([None, *intents])),
            draw(st.sampled_from([600_000, 600_000, 0])),
        )
        for _ in range(draw(st.integers(1, 14)))
    ]


def asks(turn: TurnRecord, intent: Intent) -> Reservation:
    """A reservation that tells the gateway ``answer`` and, where it is granted alone, ``alone``."""
    answer = AddItems(session=turn.session, seq=intent.seq)
    return Reservation(turn, intent, answer, SendRelease(session=turn.session, release=uuid4().hex))


async def told(redis: Redis) -> list[str]:
    """What the gateway was told, by type."""
    entries: Any = await redis.xrange(commands_stream("g"))
    return [orjson.loads(body_of(fields))["type"] for _, fields in entries]


class Side:
    """One server that a history is played on, and what it came to."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.steps = 0

    async def step(self, what: Step) -> dict[str, Any]:
        """Everything that can be seen after this step, times left out."""
        self.steps += 1
        release_id = f"release-{self.steps}"
        store = Store(self.redis, SETTINGS.model_copy(update={"release_lease_ms": what.lease}))
        asked = None if what.intent is None else asks(what.record or record(0), what.intent)
        question = _Question("s", what.record, asked)
        call = store._call(release_id, question)
        call[-1] = call[-1].replace(release_id_of(asked).encode(), release_id.encode())
        (reply,) = await store._script.run_all(self.redis, [call])
        keys: Any = await self.redis.hgetall(SESSION_KEY + "s")
        commands: Any = await self.redis.xrange(commands_stream("g"))
        return {
            "reply": reply,
            "keys": {name.decode(): shown(value) for name, value in keys.items()},
            "known": await self.redis.zscore(SESSIONS, "s") is not None,
            "waits": await self.redis.zscore(WAITING, "s") is not None,
            "told": [body_of(fields) for _, fields in commands],
        }


def release_id_of(asked: Reservation | None) -> str:
    return asked.alone.release if asked is not None else "-"


def shown(value: bytes) -> Any:
    """JSON without times."""
    fields = orjson.loads(value)
    return {name: part for name, part in fields.items() if name not in ("since", "until")}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
async def test_every_history_ends_as_on_the_stub(redis: Redis, history: list[Step]) -> None:
    await redis.flushdb()
    now = 1_700_000_000_000_000

    def clock() -> int:
        nonlocal now
        now += 1_000
        return now

    real, stub = Side(redis), Side(StubRedis(at_once(Keyspace(clock))))
    for side in (real, stub):
        await side.redis.xgroup_create(commands_stream("g"), "gateway", mkstream=True)
    for what in history:
        assert await stub.step(what) == await real.step(what)


async def test_a_server_that_was_started_anew_is_given_the_script_again(redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    for _ in range(2):
        await redis.script_flush()
        steps = await store.observe([record(1, session=name) for name in ("s", "other")])
        assert [step.outcome for step in steps] == [Outcome.IDLE, Outcome.IDLE]


async def test_several_sessions_advance_at_once_each_for_itself(redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    intent = Intent(seq=1, response=ResponseRequest())
    free = record(1, last_seq=1, open_responses=(1,))
    busy = record(1, Slot.ACTIVE, session="other", last_seq=1, open_responses=(1,))
    granted, held = await store.reserve([asks(free, intent), asks(busy, intent)])
    assert (granted.outcome, held.outcome) == (Outcome.GRANTED, Outcome.HELD)


async def test_the_gateway_is_told_the_answer_in_any_case_and_the_release_of_one_intent_alone(redis: Redis) -> None:
    store, stream = Store(redis, SETTINGS), commands_stream("g")
    first, second = (Intent(seq=seq, response=ResponseRequest()) for seq in (1, 2))
    busy = record(1, Slot.ACTIVE, last_seq=1, open_responses=(1,))
    await store.reserve([asks(busy, first)])
    assert not await redis.exists(stream), "a stream that nobody reads is not made"
    await redis.xgroup_create(stream, "gateway", mkstream=True)
    (held,) = await store.reserve([asks(busy, first)])
    assert (held.outcome, await told(redis)) == (Outcome.HELD, ["AddItems"])
    (both,) = await store.reserve([asks(record(2, last_seq=2, open_responses=(1, 2)), second)])
    assert both.release is not None
    assert both.release.intents == (first, second), "the caller merges them"
    assert await told(redis) == ["AddItems"] * 2
    (alone,) = await store.reserve([asks(record(1, session="other", last_seq=1, open_responses=(1,)), first)])
    assert (alone.outcome, alone.release) == (Outcome.GRANTED, None)
    assert await told(redis) == ["AddItems"] * 3 + ["SendRelease"]
    described = await store.session("other")
    assert described is not None
    assert described["release"] is not None, "it is outstanding like any other"


async def test_two_reservations_at_once_are_granted_once(redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    turn = record(1, last_seq=2, open_responses=(1, 2))
    steps = await asyncio.gather(
        *(store.reserve([asks(turn, Intent(seq=seq, response=ResponseRequest()))]) for seq in (1, 2) for _ in range(10))
    )
    granted = [step for (step,) in steps if step.outcome is Outcome.GRANTED]
    assert len(granted) == 1


async def test_a_lost_release_is_found_by_the_sweeper(redis: Redis) -> None:
    store = Store(redis, SETTINGS.model_copy(update={"release_lease_ms": 1}))
    turn = record(1, last_seq=1, open_responses=(1,))
    first = asks(turn, Intent(seq=1, response=ResponseRequest()))
    (step,) = await store.reserve([first])
    assert step.outcome is Outcome.GRANTED
    while not (due := await store.overdue(10)):
        pass
    (again,) = await store.revisit(due)
    assert again.release is not None
    assert again.release.id != first.alone.release
    assert again.release.intents == (first.intent,)
    assert (step.again, again.again) == (False, True)


async def test_what_is_granted_after_a_lost_release_was_settled_late_is_not_granted_again(redis: Redis) -> None:
    store = Store(redis, SETTINGS.model_copy(update={"release_lease_ms": 1}))
    await store.reserve([asks(record(1, last_seq=1, open_responses=(1,)), Intent(seq=1, response=ResponseRequest()))])
    while not await store.overdue(10):
        pass
    turn = record(2, last_seq=2, open_responses=(2,))
    (step,) = await store.reserve([asks(turn, Intent(seq=2, response=ResponseRequest()))])
    assert (step.outcome, step.again) == (Outcome.GRANTED, False)


async def test_operators_can_count_what_was_reserved_and_granted(redis: Redis) -> None:
    store = Store(redis, SETTINGS.model_copy(update={"release_lease_ms": 1}))
    intent = Intent(seq=1, response=ResponseRequest())
    names = {
        "held": ("turngate_reservations_total", {"outcome": "held"}),
        "granted": ("turngate_reservations_total", {"outcome": "granted"}),
        "at once": ("turngate_releases_granted_total", {"by": "reservation"}),
        "by a turn record": ("turngate_releases_granted_total", {"by": "turn"}),
        "by the sweeper": ("turngate_releases_granted_total", {"by": "sweeper"}),
        "again": ("turngate_releases_granted_again_total", {}),
    }

    def counted() -> dict[str, float]:
        return {key: REGISTRY.get_sample_value(*name) or 0 for key, name in names.items()}

    before = counted()
    await store.reserve([asks(record(1, Slot.ACTIVE, last_seq=1, open_responses=(1,)), intent)])
    await store.observe([record(2, last_seq=1, open_responses=(1,))])
    while not (due := await store.overdue(10)):
        pass
    await store.revisit(due)
    await store.reserve([asks(record(1, session="other", last_seq=1, open_responses=(1,)), intent)])
    assert {key: count - before[key] for key, count in counted().items()} == {
        "held": 1,
        "granted": 1,
        "at once": 1,
        "by a turn record": 1,
        "by the sweeper": 1,
        "again": 1,
    }


async def test_what_one_session_holds_is_bounded_in_bytes(redis: Redis) -> None:
    store = Store(redis, ReservationSettings(session_intents_max_bytes=100_000))
    turn = record(1, Slot.ACTIVE, last_seq=9, open_configuration=tuple(range(1, 10)))
    large, small = "x" * 200_000, "x" * 40_000
    texts = [large, small]

    async def reserve(seq: int, text: str) -> Outcome:
        (step,) = await store.reserve(
            [asks(turn, Intent(seq=seq, configuration=Configuration(append_instructions=text)))]
        )
        return step.outcome

    assert [await reserve(seq, text) for seq, text in enumerate(texts, 1)] == [Outcome.HELD, Outcome.FULL]
    settled = record(2, Slot.ACTIVE, last_seq=9, open_configuration=tuple(range(2, 10)))
    await store.observe([settled])
    assert [await reserve(seq, small) for seq in (2, 3, 4)] == [Outcome.HELD, Outcome.HELD, Outcome.FULL]
    assert await reserve(2, small) == Outcome.HELD, "what is held already takes no more"


async def test_silent_sessions_are_forgotten(redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    await store.reserve([asks(record(1, Slot.ACTIVE, last_seq=1), Intent(seq=2, response=ResponseRequest()))])
    await store.observe([record(1, session="other")])
    assert {session for session, _ in (await store.live())[1]} == {"s", "other"}
    assert (await store.known(), await store.waiting()) == (2, 1)
    impatient = Store(redis, SETTINGS.model_copy(update={"session_ttl_ms": 0}))
    forgotten = 0
    while forgotten < 2:
        forgotten += await impatient.forget_silent()
    assert await store.known() == 0
    assert not await redis.exists(SESSIONS)


async def test_an_operator_sees_what_is_held(redis: Redis) -> None:
    store = Store(redis, SETTINGS)
    turn = record(3, Slot.ACTIVE, last_seq=1, open_responses=(1,), open_calls=("call_1",), response_id="resp_1")
    await store.reserve([asks(turn, Intent(seq=1, response=ResponseRequest(), answers=("call_1",)))])
    described = await store.session("s")
    assert described is not None
    assert described["slot"] == "active"
    assert described["answered_seq"] == 0
    assert described["release"] is None
    assert [(held["seq"], held["kind"], held["answers"]) for held in described["held"]] == [(1, "response", ["call_1"])]
    assert await store.session("nobody") is None
