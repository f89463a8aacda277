"""Writes the journals of sessions whose clients may return, without any session waiting for it.

What has changed of many sessions goes in one round trip. A server that is slow or down costs a live conversation
nothing here: what could not be written is written as a whole later.
"""

from __future__ import annotations

from typing import Protocol

from gateway import log_events
from gateway.session.folding_queue import FoldingQueue
from session_state.owners import JournalEntry, OwnersClient, Written
from turngate.bus import trouble
from turngate.bus.trouble import Backoff, concerns_server
from turngate.process.log_context import about

#: Sessions in one round trip: so few that building their entries delays no audio.
_MOST = 16


class Journaled(Protocol):
    """A session that is written down. Its owner's name and epoch are in its entries."""

    @property
    def name(self) -> str: ...

    def journal_entry(self) -> JournalEntry | None:
        """What has changed since the last entry; None if nothing has."""

    def journal_lost(self) -> None:
        """What was written is not there any more: the next entry is whole."""

    def fenced(self) -> None:
        """Another gateway owns the session: say nothing more."""


class JournalWriter:
    """The sessions that have something to write, each once. Run `run` meanwhile."""

    def __init__(self, owners: OwnersClient, fold: float) -> None:
        """``fold``: seconds that a change which is not urgent waits for others."""
        self._owners = owners
        #: Sessions by name; of one that is over, its epoch.
        self._queue: FoldingQueue[str, Journaled | int] = FoldingQueue(fold)
        #: Sessions that have ended, and whose journals are not forgotten yet.
        self._ending: set[str] = set()
        #: Redis has taken what was written last.
        self.works = True

    @property
    def waiting(self) -> int:
        """What is not written yet."""
        return len(self._queue)

    def changed(self, session: Journaled, *, urgent: bool) -> None:
        """Something of the session has changed. It is written at once if that is ``urgent``, else with others. Of a
        session that is over, nothing is written: it would take the place of what is to be forgotten."""
        if session.name in self._ending:
            return
        if urgent:
            self._queue.add(session.name, session)
        else:
            self._queue.fold(session.name, session)

    def leave(self, name: str) -> None:
        """Write nothing more of this session: its last entry is written elsewhere."""
        self._queue.remove(name)

    def over(self, name: str, epoch: int) -> None:
        """The session has ended: forget its journal."""
        self._queue.remove(name)
        self._queue.add(name, epoch)
        self._ending.add(name)

    def is_over(self, name: str) -> bool:
        """Whether the session has ended here, and Redis still knows its journal."""
        return name in self._ending

    async def run(self) -> None:
        """Write what comes, until cancelled. What Redis refuses is written later, as it is then."""
        backoff = Backoff()
        while True:
            await self._queue.some.wait()
            taken = dict(filter(None, (self._queue.pop() for _ in range(_MOST))))
            try:
                await self._write([one for one in taken.values() if not isinstance(one, int)])
                for name, epoch in taken.items():
                    if isinstance(epoch, int):
                        await self._owners.forget(name, epoch)
                        self._ending.discard(name)
            except Exception as error:
                if not concerns_server(error):
                    raise
                trouble.note(error, "write journals")
                self.works = False
                for name, one in taken.items():
                    if not isinstance(one, int):
                        one.journal_lost()
                    self._queue.put_back(name, one)
                await backoff.pause()
            else:
                self.works = True
                backoff.reset()
            self._queue.done()

    async def drain(self, timeout: float) -> None:
        """Return when everything that waits is written (sessions that have ended), at the latest after ``timeout``
        seconds."""
        if not await self._queue.drained(timeout):
            log_events.journals_not_written(sessions=self.waiting)

    async def _write(self, sessions: list[Journaled]) -> None:
        written: list[tuple[Journaled, JournalEntry]] = []
        for session in sessions:
            try:
                entry = session.journal_entry()
            except Exception as error:
                # A defect that shows in one session must not silence the others.
                with about(session.name):
                    log_events.journal_failed(exc_info=error)
                continue
            if entry is not None:
                written.append((session, entry))
        outcomes = await self._owners.write([entry for _, entry in written])
        for (session, _), outcome in zip(written, outcomes, strict=True):
            if outcome is Written.FENCED:
                session.fenced()
            elif outcome is Written.GAP:
                session.journal_lost()
                self._queue.put_back(session.name, session)
            elif outcome is not Written.WRITTEN:
                session.journal_lost()
