"""Owners: which gateway runs a session, and the journal by which another one goes on with it (`owners.lua`).

Only sessions whose clients may return have an owner here; others cost nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from prometheus_client import Counter
from redis.asyncio import Redis
from redis.exceptions import RedisError

from session_state import log_events
from session_state.config import SessionSettings
from session_state.keys import JOURNAL_KEY, SESSION_KEY
from session_state.script import script_of
from turngate.bus import trouble
from turngate.bus.consumer import reason_of
from turngate.process.log_context import about
from turngate.protocol.messages import commands_stream

OWNER_KEY = "turngate:owner:"
RESUME_KEY = "turngate:resume:"

_written = Counter(
    "turngate_journal_entries",
    "Journal entries of sessions whose clients may return: written, gap (the whole is written "
    "next), fenced (another gateway owns the session), or failed (its keys are unreadable).",
    ["outcome"],
)
_claims = Counter(
    "turngate_claims",
    "Sessions that were asked for because their client came to this gateway: claimed, unknown, or failed.",
    ["outcome"],
)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An entry of a session's journal, by the gateway that owns it."""

    session: str
    gateway: str
    epoch: int
    #: One more than that of the entry before, by the same owner; any, if it is whole.
    number: int
    #: It replaces everything that was written before.
    whole: bool
    #: The keys by which a client finds the session from now on. Others are forgotten.
    keys: tuple[str, ...]
    #: What was added or has changed, as JSON, by name.
    parts: Mapping[str, bytes]
    #: The names of what is gone.
    gone: tuple[str, ...] = ()
    #: The owner lets go of the session after it: nobody need wait for more.
    last: bool = False


class Written(StrEnum):
    """What became of an entry."""

    WRITTEN = "written"
    #: An entry before it is missing: write the whole.
    GAP = "gap"
    #: Another gateway owns the session.
    FENCED = "fenced"


@dataclass(frozen=True, slots=True)
class Claim:
    """A session that the caller owns from now on."""

    session: str
    epoch: int
    #: The owner before.
    gateway: str
    #: It has let go of the session: nobody need wait for it.
    complete: bool


class OwnersClient:
    """Every operation on owners and journals, each of them one atomic step. Errors that concern the server pass
    through; those of one session's keys are logged."""

    def __init__(self, redis: Redis, settings: SessionSettings, ttl_ms: int) -> None:
        """What was written is kept for ``ttl_ms`` after the last entry."""
        self._redis = redis
        self._script = script_of("owners.lua")
        self._prefix = settings.redis_prefix
        before, _, after = commands_stream("\0").partition("\0")
        self._common = {
            "ttl_ms": ttl_ms,
            "session_ttl_ms": settings.session_ttl_ms,
            "resume": self._prefix + RESUME_KEY,
            "stream": {"before": self._prefix + before, "after": after},
            "stream_max_length": settings.stream_max_length,
        }

    async def write(self, entries: Sequence[JournalEntry]) -> list[Written | Exception]:
        """Write these entries, in one round trip. Returns what became of each, or the error that concerns only it."""
        if not entries:
            return []
        replies = await self._script.run_all(
            self._redis, [self._call("write", entry.session, entry) for entry in entries]
        )
        return [self._outcome(entry, reply) for entry, reply in zip(entries, replies, strict=True)]

    async def known(self, keys: Sequence[str]) -> int | None:
        """The time (ms) for which one of these keys will be known, if nothing is written any more: the longest; None if
        none is. In one round trip."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.pttl(self._prefix + RESUME_KEY + key)
            found: list[int] = await pipeline.execute()
        # Below 0: there is no such key.
        return max((left for left in found if left >= 0), default=None)

    async def claim(self, keys: Sequence[str], gateway: str) -> Claim | None:
        """Make this gateway the owner of the session that one of these keys belongs to; None if there is none. The
        owner before is told, and completes the journal (`complete`), if it lives: wait for ``JournalComplete``, then
        call `take_up`."""
        outcome = "unknown"
        for key in keys:
            try:
                claim = await self._claim(key, gateway)
            except _UnreadableError:
                outcome = "failed"
                continue
            except Exception:
                _claims.labels("failed").inc()
                raise
            if claim is not None:
                _claims.labels("claimed").inc()
                return claim
        _claims.labels(outcome).inc()
        return None

    async def take_up(self, claim: Claim) -> Mapping[str, bytes] | None:
        """The journal of a session that was claimed, its parts by name; from now on the owner before cannot complete it
        any more. None if there is none, or another gateway has claimed the session meanwhile."""
        reply = await _of_one(claim.session, self._run("take_up", claim.session, epoch=claim.epoch))
        if reply is None:
            return None
        return {_text(name): part for name, part in zip(reply[::2], reply[1::2], strict=True)}

    async def complete(self, session: str, epoch: int, entry: JournalEntry | None) -> bool:
        """Another gateway has claimed the session, whose epoch is now this one: give it the last, whole journal, or
        tell it that there is nothing to add. Returns False if it was too late."""
        return bool(await _of_one(session, self._run("complete", session, entry, epoch=epoch)))

    async def forget(self, session: str, epoch: int) -> None:
        """The session is over. No effect if another gateway owns it."""
        await _of_one(session, self._run("forget", session, epoch=epoch))

    async def epoch(self, session: str) -> int | None:
        """The newest epoch of the session; None if nothing is known of it."""
        found = await _of_one(session, self._redis.hget(self._prefix + OWNER_KEY + session, "epoch"))
        return None if found is None else int(found)

    async def _claim(self, key: str, gateway: str) -> Claim | None:
        found = await _readable(None, self._redis.get(self._prefix + RESUME_KEY + key))
        if found is None:
            return None
        session = _text(found)
        reply = await _readable(session, self._run("claim", session, key=key, gateway=gateway))
        if reply is None:
            return None
        epoch, before, complete = reply
        return Claim(session, int(epoch), _text(before), bool(complete))

    def _call(self, operation: str, session: str, entry: JournalEntry | None = None, **details: Any) -> list[Any]:
        given = {"operation": operation, "session": session, **details, **self._common}
        parts: list[Any] = []
        if entry is not None:
            given["entry"] = {
                "gateway": entry.gateway,
                "epoch": entry.epoch,
                "number": entry.number,
                "whole": entry.whole,
                "last": entry.last,
                "keys": entry.keys,
                "gone": entry.gone,
            }
            parts = [one for part in entry.parts.items() for one in part]
        keys = [self._prefix + key + session for key in (OWNER_KEY, JOURNAL_KEY, SESSION_KEY)]
        return [len(keys), *keys, orjson.dumps(given), *parts]

    async def _run(self, operation: str, session: str, entry: JournalEntry | None = None, **details: Any) -> Any:
        (reply,) = await self._script.run_all(self._redis, [self._call(operation, session, entry, **details)])
        if isinstance(reply, Exception):
            raise reply
        return reply

    def _outcome(self, entry: JournalEntry, reply: Any) -> Written | Exception:
        if isinstance(reply, Exception):
            if trouble.concerns_server(reply):
                raise reply
            with about(entry.session):
                log_events.journal_unreadable(reason=reason_of(reply))
            _written.labels("failed").inc()
            return reply
        outcome = Written(_text(reply))
        _written.labels(outcome).inc()
        return outcome


def count_unknown() -> None:
    """A session was asked for that none of several servers knows."""
    _claims.labels("unknown").inc()


class _UnreadableError(Exception):
    """A key is of another type."""


async def _readable(session: str | None, asked: Awaitable[Any]) -> Any:
    """The reply. Raises `_UnreadableError`, and logs it, if it is an error of this session's keys alone."""
    try:
        return await asked
    except RedisError as error:
        if trouble.concerns_server(error):
            raise
        with about(session):
            log_events.owner_unreadable(reason=reason_of(error))
        raise _UnreadableError from error


async def _of_one(session: str, asked: Awaitable[Any]) -> Any:
    """The reply; None if this session's keys are unreadable."""
    try:
        return await _readable(session, asked)
    except _UnreadableError:
        return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
