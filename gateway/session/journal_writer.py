"""Writes the journals of sessions whose clients may return, without any session waiting for it.

What has changed of many sessions goes in one round trip. A server that is slow or down costs a live conversation
nothing here: what could not be written is written as a whole later.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from session_state.owners import JournalEntry, OwnersClient, Written
from turngate.bus import trouble
from turngate.bus.trouble import Backoff, concerns_server

log = structlog.get_logger(__name__)

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
        self._fold = fold
        self._waiting: dict[str, Journaled] = {}
        #: Those with changes that are not urgent.
        self._folding: dict[str, Journaled] = {}
        self._timer: asyncio.TimerHandle | None = None
        #: Sessions that are over, and their epochs.
        self._over: dict[str, int] = {}
        self._some = asyncio.Event()
        self._all_written = asyncio.Event()
        self._all_written.set()

    @property
    def waiting(self) -> int:
        """What is not written yet."""
        return len(self._waiting) + len(self._folding) + len(self._over)

    def changed(self, session: Journaled, *, urgent: bool) -> None:
        """Something of the session has changed. It is written at once if that is ``urgent``, else with others."""
        if urgent:
            self._folding.pop(session.name, None)
            self._add(session)
        elif session.name not in self._waiting:
            self._folding[session.name] = session
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._fold, self._unfold)

    def leave(self, name: str) -> None:
        """Write nothing more of this session: its last entry is written elsewhere."""
        self._waiting.pop(name, None)
        self._folding.pop(name, None)

    def over(self, name: str, epoch: int) -> None:
        """The session has ended: forget its journal."""
        self.leave(name)
        self._over[name] = epoch
        self._wake()

    async def run(self) -> None:
        """Write what comes, until cancelled. What Redis refuses is written later, as it is then."""
        backoff = Backoff()
        while True:
            await self._some.wait()
            taken = [self._waiting.pop(name) for name in [*self._waiting][:_MOST]]
            over, self._over = self._over, {}
            if not self._waiting:
                self._some.clear()
            try:
                await self._write(taken)
                for name, epoch in over.items():
                    await self._owners.forget(name, epoch)
            except Exception as error:
                if not concerns_server(error):
                    raise
                trouble.note(error, "write journals")
                for session in taken:
                    session.journal_lost()
                    self._add(session)
                self._over = over | self._over
                self._wake()
                await backoff.pause()
            else:
                backoff.reset()
            if not self._some.is_set():
                self._all_written.set()

    async def drain(self, timeout: float) -> None:
        """Return when everything that waits is written (sessions that have ended), at the latest after ``timeout``
        seconds."""
        self._unfold()
        try:
            async with asyncio.timeout(timeout):
                await self._all_written.wait()
        except TimeoutError:
            log.warning("journals_not_written", sessions=self.waiting)

    async def _write(self, sessions: list[Journaled]) -> None:
        written: list[tuple[Journaled, JournalEntry]] = []
        for session in sessions:
            try:
                entry = session.journal_entry()
            except Exception as error:
                # A defect that shows in one session must not silence the others.
                log.error("journal_not_written", session=session.name, exc_info=error)
                continue
            if entry is not None:
                written.append((session, entry))
        outcomes = await self._owners.write([entry for _, entry in written])
        for (session, _), outcome in zip(written, outcomes, strict=True):
            if outcome is Written.FENCED:
                session.fenced()
            elif outcome is Written.GAP:
                session.journal_lost()
                self._add(session)
            elif outcome is not Written.WRITTEN:
                session.journal_lost()

    def _unfold(self) -> None:
        self._timer = None
        folded, self._folding = self._folding, {}
        for session in folded.values():
            self._add(session)

    def _add(self, session: Journaled) -> None:
        self._waiting.setdefault(session.name, session)
        self._wake()

    def _wake(self) -> None:
        self._some.set()
        self._all_written.clear()
