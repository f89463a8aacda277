"""The store: the turns of sessions in Redis, changed only by one atomic script (`advance.lua`).

One session whose keys cannot be used (of another type, or written by another version) fails alone: its step says so,
it is logged and counted, and the sweeper leaves it alone until its next turn record.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

import orjson
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from session_state import log_events
from session_state.config import ReservationSettings
from session_state.holds import trace_holds
from session_state.keys import SESSION_KEY, WATCH_CHANNEL
from session_state.script import script_of
from turngate.bus import trouble
from turngate.bus.consumer import reason_of
from turngate.process.log_context import about
from turngate.protocol.messages import AddItems, Intent, Release, SendRelease, TurnRecord, commands_stream
from turngate.tracing.spans import Tracer

SESSIONS = "turngate:sessions"
WAITING = "turngate:waiting"
#: Ids of sessions that are read in one round trip.
_SCANNED = 1_000

_reservations = Counter(
    "turngate_reservations",
    "Results of reservations: granted, held, settled already, full, or fenced: another gateway owns the session since.",
    ["outcome"],
)
_granted = Counter(
    "turngate_releases_granted",
    "Releases by what granted them: a reservation (translator), a turn record or the sweeper (session-state).",
    ["by"],
)
_granted_again = Counter(
    "turngate_releases_granted_again", "Releases of which an earlier one was lost, since its lease had expired."
)
_fenced = Counter("turngate_records_fenced", "Turn records of gateways that do not own their session any more.")
_failed = Counter(
    "turngate_sessions_failed",
    "Steps of sessions whose keys are unreadable, each logged as session_unreadable. Should be zero.",
)


class Outcome(StrEnum):
    """What a step came to."""

    GRANTED = "granted"
    HELD = "held"
    SETTLED = "settled"
    IDLE = "idle"
    FULL = "full"
    #: Another gateway owns the session since: nothing of it has an effect.
    FENCED = "fenced"
    UNKNOWN = "unknown"
    #: The session's keys cannot be used: see `Step.error`.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Step:
    """The result of one step; ``release`` is set when something was granted and not told yet: publish it or carry it
    out."""

    outcome: Outcome
    release: Release | None = None
    #: Some of its intents were granted before, in a release whose lease has ended.
    again: bool = False
    #: Why nothing came of it, if the outcome is `Outcome.FAILED`: Redis refused, or this session's keys are unreadable.
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    """A turn that is asked for, and what the session's gateway shall be told at the same time."""

    record: TurnRecord
    intent: Intent
    #: Told in any case.
    answer: AddItems
    #: Told when this intent is granted, and no other with it; it names the release that is granted then.
    alone: SendRelease


@dataclass(frozen=True, slots=True)
class _Question:
    """A session, what its gateway says of it, and what it asks for."""

    session: str
    record: TurnRecord | None = None
    reservation: Reservation | None = None

    @property
    def release_id(self) -> str:
        """The name of the release, should one be granted."""
        return self.reservation.alone.release if self.reservation is not None else uuid4().hex


class Store:
    """Every operation on session keys. Redis errors pass through."""

    def __init__(self, redis: Redis, settings: ReservationSettings, tracer: Tracer | None = None) -> None:
        self._redis = redis
        self._tracer = tracer
        self._settings = settings
        self._script = script_of("advance.lua")
        self._prefix = settings.redis_prefix
        self._sessions_key = self._prefix + SESSIONS
        self._waiting_key = self._prefix + WAITING

    async def reserve(self, wanted: Sequence[Reservation]) -> list[Step]:
        """Store each intent, tell its gateway the answer, and grant everything that waits if the turn is free, the
        record taken in first."""
        steps = await self._advance([_Question(one.record.session, one.record, one) for one in wanted])
        for step in steps:
            _reservations.labels(step.outcome).inc()
        return self._granted(steps, "reservation")

    async def observe(self, records: Sequence[TurnRecord]) -> list[Step]:
        """Take turn records in, and grant what waits where one frees the turn."""
        steps = await self._advance([_Question(record.session, record) for record in records])
        _fenced.inc(sum(step.outcome is Outcome.FENCED for step in steps))
        return self._granted(steps, "turn")

    async def revisit(self, sessions: Sequence[str]) -> list[Step]:
        """Grant again what was granted and lost, and what a process that died left asleep. A session that fails is
        taken out of the queue, so that it does not come first for ever."""
        steps = await self._advance([_Question(session) for session in sessions])
        failed = [
            session
            for session, step in zip(sessions, steps, strict=True)
            if step.error is not None and not trouble.concerns_server(step.error)
        ]
        if failed:
            await self._redis.zrem(self._waiting_key, *failed)
        return self._granted(steps, "sweeper")

    async def overdue(self, limit: int) -> list[str]:
        """Sessions that should be revisited now."""
        now = await self._now()
        found = await self._redis.zrangebyscore(self._waiting_key, 0, now, start=0, num=limit)
        return [_text(session) for session in found]

    async def forget_silent(self) -> int:
        """Drop sessions whose heartbeat stopped; returns how many. Their other keys expire by themselves."""
        horizon = await self._now() - self._settings.session_ttl_ms
        return int(await self._redis.zremrangebyscore(self._sessions_key, 0, horizon))

    async def known(self) -> int:
        """Live sessions."""
        return int(await self._redis.zcard(self._sessions_key))

    async def waiting(self) -> int:
        """Sessions in which an intent waits."""
        return int(await self._redis.zcard(self._waiting_key))

    async def live(self) -> tuple[int, list[tuple[str, int]]]:
        """The time, and the ids of all live sessions, each with the time at which it was last heard of."""
        now = await self._now()
        found = {
            _text(session): int(seen)
            async for session, seen in self._redis.zscan_iter(self._sessions_key, count=_SCANNED)
        }
        return now, list(found.items())

    async def described(self, sessions: Sequence[tuple[str, int]], now: int) -> list[dict[str, Any] | None]:
        """These sessions of `live` as an operator wants to see them (`describe`), in one round trip; None for those
        that have gone."""
        if not sessions:
            return []
        async with self._redis.pipeline(transaction=False) as pipeline:
            for session, _ in sessions:
                pipeline.hgetall(self._prefix + SESSION_KEY + session)
            replies = await pipeline.execute(raise_on_error=False)
        return [
            self._described(session, reply, now, seen) for (session, seen), reply in zip(sessions, replies, strict=True)
        ]

    async def session(self, session: str) -> dict[str, Any] | None:
        """One session as in `described`; None when it is not known."""
        seen = await self._redis.zscore(self._sessions_key, session)
        if seen is None:
            return None
        (described,) = await self.described([(session, int(seen))], await self._now())
        return described

    def _granted(self, steps: list[Step], by: str) -> list[Step]:
        """Count what was granted by this, and trace how long it was held. Returns the steps."""
        for step in steps:
            if step.outcome is Outcome.GRANTED:
                _granted.labels(by).inc()
                if step.again:
                    _granted_again.inc()
                if self._tracer is not None and step.release is not None:
                    trace_holds(self._tracer, step.release, by, time.time())
        return steps

    def _described(self, session: str, found: Any, now: int, seen: int) -> dict[str, Any] | None:
        """A session for what Redis says of it, which may be an error; None if it says nothing."""
        try:
            if isinstance(found, Exception):
                raise found
            fields = {_text(key): value for key, value in found.items()}
            if "turn" not in fields:
                return None
            return describe(TurnRecord.model_validate_json(fields["turn"]), fields, now, seen)
        except (ResponseError, ValueError, LookupError, TypeError) as error:
            if trouble.concerns_server(error):
                raise
            return {"session": session, "heartbeat_ms_ago": max(0, now - seen), "unreadable": reason_of(error)}

    async def _advance(self, questions: Sequence[_Question]) -> list[Step]:
        """One atomic step for each, in this order, all of them in one round trip."""
        if not questions:
            return []
        named = [(question.release_id, question) for question in questions]
        replies = await self._script.run_all(
            self._redis, [self._call(release_id, question) for release_id, question in named]
        )
        return [
            _isolated(release_id, question.session, reply)
            for (release_id, question), reply in zip(named, replies, strict=True)
        ]

    def _call(self, release_id: str, question: _Question) -> list[Any]:
        """The number of the script's keys, the keys, and its argument."""
        settings, record, asked = self._settings, question.record, question.reservation
        keys = [self._prefix + SESSION_KEY + question.session, self._sessions_key, self._waiting_key]
        given: dict[str, Any] = {
            "session": question.session,
            "release_id": release_id,
            "lease_ms": settings.release_lease_ms,
            "ttl_ms": settings.session_ttl_ms,
            "intents_max": settings.session_intents_max,
            "intents_max_bytes": settings.session_intents_max_bytes,
            "stream_max_length": settings.stream_max_length,
            "watch": self._prefix + WATCH_CHANNEL,
        }
        if record is not None:
            given["record"] = record.model_dump_json()
        if asked is not None:
            keys.append(self._prefix + commands_stream(asked.record.gateway))
            given["intent"] = _of(asked.intent)
            given["answer"] = asked.answer.model_dump_json()
            given["alone"] = asked.alone.model_dump_json()
        return [len(keys), *keys, orjson.dumps(given)]

    async def _now(self) -> int:
        seconds, micros = await self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000


def _isolated(release_id: str, session: str, reply: Any) -> Step:
    """What came of one session's step, whatever it is."""
    try:
        if isinstance(reply, Exception):
            raise reply
        return _step(release_id, session, reply)
    except Exception as error:
        if not trouble.concerns_server(error):
            _failed.inc()
            with about(session):
                log_events.session_unreadable(reason=reason_of(error))
        return Step(Outcome.FAILED, error=error)


def _step(release_id: str, session: str, reply: Sequence[Any]) -> Step:
    """What the script's reply says."""
    outcome, gateway, *granted = reply
    if _text(outcome) != Outcome.GRANTED:
        return Step(Outcome(_text(outcome)))
    epoch, again, *bodies = granted
    if not bodies:
        # The script told the gateway already.
        return Step(Outcome.GRANTED, None, bool(again))
    intents = tuple(Intent.model_validate_json(body) for body in bodies)
    release = Release(id=release_id, session=session, gateway=_text(gateway), epoch=int(epoch), intents=intents)
    return Step(Outcome.GRANTED, release, bool(again))


def raise_refusal(steps: Sequence[Step]) -> None:
    """Raise the error of a step that Redis refused for a reason that concerns the server. Use the others first."""
    for step in steps:
        if step.error is not None and trouble.concerns_server(step.error):
            raise step.error


def _of(intent: Intent) -> dict[str, Any]:
    """An intent as the script takes it."""
    return {
        "seq": intent.seq,
        "kind": kind_of(intent),
        "answers": intent.answers,
        "body": intent.model_dump_json(),
    }


def kind_of(intent: Intent) -> str:
    """``configuration``, ``response``, or ``interruption`` for a response that does not wait for the user's silence."""
    if intent.response is None:
        return "configuration"
    return "interruption" if intent.response.interrupts else "response"


def describe(turn: TurnRecord, fields: dict[str, Any], now: int, seen: int) -> dict[str, Any]:
    """One session for an operator: which gateway owns it, who holds the turn, whether it is parked, what is held, and
    for how long (ms)."""
    heads = {
        int(name.removeprefix("head:")): orjson.loads(value)
        for name, value in fields.items()
        if name.startswith("head:")
    }
    release = orjson.loads(fields["release"]) if "release" in fields else None
    claimed, parked_since, ends_at = int(fields.get("epoch", 0)), turn.parked_since_ms, turn.ends_at_ms
    return {
        # By the clock of Redis, in milliseconds since 1970.
        "at_ms": now,
        **turn.model_dump(mode="json"),
        # Of a gateway that has claimed the session, and whose first record is not here yet.
        "claimed_epoch": claimed if claimed > turn.epoch else None,
        "parked_ms_ago": None if parked_since is None else max(0, now - parked_since),
        "ends_in_ms": None if ends_at is None else max(0, ends_at - now),
        "configured_seq": turn.configured_seq,
        "answered_seq": turn.answered_seq,
        "heartbeat_ms_ago": max(0, now - seen),
        "held": [
            {
                "seq": seq,
                "kind": head["kind"],
                "since_ms_ago": max(0, now - head["since"]),
                "answers": head["answers"] or [],
            }
            for seq, head in sorted(heads.items())
        ],
        "release": release and {"id": release["id"], "expires_in_ms": release["until"] - now, "seqs": release["seqs"]},
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
