"""Sessions that change their gateway: claimed here since their client came here, or given to another gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import Counter
from redis.exceptions import RedisError

from gateway import log_events
from gateway.continuity.journal import read
from gateway.recent import Recent
from session_state.owners import Claim, JournalEntry, OwnersClient, Written
from turngate.bus import trouble
from turngate.bus.trouble import Backoff
from turngate.process.log_context import about
from turngate.protocol.messages import JournalComplete
from turngate.tracing.spans import Tracer

#: Seconds for all attempts to write the last entry of a session.
_LAST_ENTRY = 2.0
_EARLY_MAX = 1_024
#: Seconds for which a journal that was handed over is kept, and between two looks whether it is there. Deepgram's
#: JavaScript SDK connects again after one to five seconds, and if that fails after six and a half.
_KEPT = 10.0
_LOOK = 0.1
_taken_up = Counter(
    "turngate_sessions_taken_up",
    "Sessions of other gateways that go on here, by their journal; incomplete: what the "
    "gateway before had not written is lost.",
    ["journal"],
)
for _journal in ("complete", "incomplete"):
    _taken_up.labels(_journal)
_TROUBLE = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A session that this gateway owns from now on, and what is known of it (`gateway.continuity.journal`)."""

    session: str
    epoch: int
    parts: Mapping[str, Any]
    #: The gateway before has completed the journal: nothing is lost.
    complete: bool
    #: The span of the claim; empty if it is not traced.
    traceparent: str = ""


#: Another gateway has claimed the session, or Redis has lost it.
_OVERTAKEN = TakenUp("", 0, {}, complete=False)


class Claims:
    """The claims of one gateway. Pass it every `JournalComplete`."""

    def __init__(self, owners: OwnersClient, gateway: str, wait: float, tracer: Tracer | None = None) -> None:
        """``wait``: seconds for which a gateway that was the owner may complete the journal."""
        self._tracer = tracer
        self._owners = owners
        self._gateway = gateway
        self._wait = wait
        self._awaited: dict[tuple[str, int], asyncio.Event] = {}
        #: Journals that were completed before anybody waited: the reply to the claim may be read later.
        self._early: Recent[tuple[str, int], None] = Recent(_EARLY_MAX)

    async def claim(
        self, keys: Sequence[str], *, surely: bool = False, waits: Callable[[], bool] = lambda: False
    ) -> TakenUp | None:
        """Become the owner of the session with one of these resume keys. None if there is none, if its journal cannot
        be read, or if Redis cannot be asked: the client gets a new session. ``surely``: the client has had a session;
        if Redis has lost that a moment ago, it is written again. ``waits`` tells whether the client is still there: if
        so, and another gateway has claimed the session meanwhile, to which the client came before, it is claimed once
        more."""
        try:
            taken = await self._claim(keys, surely=surely)
            if taken is _OVERTAKEN and waits():
                taken = await self._claim(keys, surely=False)
        except _TROUBLE as error:
            trouble.note(error, "claim a session")
            return None
        return None if taken is _OVERTAKEN else taken

    async def known(self, keys: Sequence[str]) -> int | None:
        """For how long (ms) Redis will know a session with one of these resume keys, if nobody writes it any more; None
        if it knows none. Redis errors pass through."""
        return await self._owners.known(keys)

    async def _claim(self, keys: Sequence[str], *, surely: bool) -> TakenUp | None:
        """`_OVERTAKEN` if the session cannot be taken up any more."""
        began_at = time.time()
        claim = await self._owners.claim(keys, self._gateway)
        if claim is None and surely:
            await asyncio.sleep(2 * _LOOK)
            claim = await self._owners.claim(keys, self._gateway)
        if claim is None:
            return None
        with about(claim.session):
            return await self._take_up(claim, began_at)

    async def _take_up(self, claim: Claim, began_at: float) -> TakenUp | None:
        """The session of a claim that began then. `_OVERTAKEN` if it cannot be taken up any more, and None if
        it never can."""
        complete = claim.complete or await self._completed(claim)
        journal = await self._owners.take_up(claim)
        if journal is None:
            log_events.session_not_found()
            return _OVERTAKEN
        try:
            parts = read(journal)
        except ValueError as error:
            log_events.session_not_taken_up(exc_info=error)
            return None
        _taken_up.labels("complete" if complete else "incomplete").inc()
        log_events.session_claimed(epoch=claim.epoch, before=claim.gateway, complete=complete)
        return TakenUp(claim.session, claim.epoch, parts, complete, self._traced(claim, began_at, complete=complete))

    def _traced(self, claim: Claim, began_at: float, *, complete: bool) -> str:
        """The span of a claim that was successful, which began then."""
        if self._tracer is None:
            return ""
        span = self._tracer.start("claim", began_at)
        span.set(
            {
                "gen_ai.conversation.id": claim.session,
                "turngate.epoch": claim.epoch,
                "turngate.gateway.before": claim.gateway,
                "turngate.journal.complete": complete,
            }
        )
        span.end(time.time())
        return span.traceparent

    def completed(self, command: JournalComplete) -> None:
        """The owner before has completed the journal of a session."""
        claimed = command.session, command.epoch
        if claimed in self._awaited:
            self._awaited[claimed].set()
        else:
            self._early[claimed] = None

    async def owns(self, session: str, epoch: int) -> bool:
        """Whether this gateway still owns the session, as far as Redis can be asked. Its client has come to this
        gateway, so nobody else speaks to it."""
        try:
            async with asyncio.timeout(self._wait):
                newest = await self._owners.epoch(session)
                return newest is None or newest <= epoch
        except _TROUBLE as error:
            trouble.note(error, "ask for the owner of a session")
            return True

    async def give(self, session: str, epoch: int, entry: JournalEntry | None) -> None:
        """Another gateway has claimed the session, with this epoch or a later one: give it the last entry, or None if
        there is nothing to add."""
        in_time = await _surely("complete a journal", lambda: self._owners.complete(session, epoch, entry))
        with about(session):
            log_events.session_given(epoch=epoch, known=entry is not None, in_time=in_time)

    async def let_go(self, entry: JournalEntry) -> bool:
        """Write the last entry of a session that whoever claims it goes on with. Returns whether it was written."""

        async def write() -> bool:
            (written,) = await self._owners.write([entry])
            if written is Written.FENCED:
                # It was claimed at this very moment, by a gateway that waits for the entry.
                return await self._owners.complete(entry.session, entry.epoch + 1, entry)
            return written is Written.WRITTEN

        return await _surely("hand a session over", write)

    async def keep(self, entry: JournalEntry) -> None:
        """Write the last entry again if Redis loses it, until another gateway has claimed the session, or time is
        up."""
        until = asyncio.get_running_loop().time() + _KEPT
        while asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_LOOK)
            try:
                newest = await self._owners.epoch(entry.session)
                if newest is None:
                    await self._owners.write([entry])
                elif newest > entry.epoch:
                    return
            except _TROUBLE as error:
                trouble.note(error, "keep the journal of a session")

    async def _completed(self, claim: Claim) -> bool:
        claimed = claim.session, claim.epoch
        if claimed in self._early:
            del self._early[claimed]
            return True
        self._awaited[claimed] = event = asyncio.Event()
        try:
            async with asyncio.timeout(self._wait):
                await event.wait()
        except TimeoutError:
            log_events.journal_not_completed(before=claim.gateway)
            return False
        finally:
            del self._awaited[claimed]
        return True


async def _surely(what: str, write: Callable[[], Awaitable[bool]]) -> bool:
    """Write the last entry of a session, as often as it takes while there is time. Returns whether that was of use."""
    backoff = Backoff()
    try:
        async with asyncio.timeout(_LAST_ENTRY):
            while True:
                try:
                    return await write()
                except _TROUBLE as error:
                    trouble.note(error, what)
                    await backoff.pause()
    except TimeoutError:
        return False
