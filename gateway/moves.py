"""Sessions that move between gateways, of one gateway process. Without it (`TURNGATE_RESUME_WINDOW_MS` or
`TURNGATE_UPSTREAM_RECONNECT_MS` is 0) a session stays where it began."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import Counter

from gateway import log_events
from gateway.admission.resume_keys import Returning
from gateway.conversation.conversation import Ending
from gateway.recent import Recent
from gateway.session.claims import Claims, TakenUp
from gateway.session.journal_writer import JournalWriter
from gateway.session.session import RESUMED_ELSEWHERE, Session, Writing
from session_state.owners import JournalEntry
from turngate.process.log_context import about
from turngate.protocol.messages import JournalComplete, SessionClaimed

_GOING_AWAY = Ending(1012, "SERVER_GOING_AWAY")
_LEFT_MAX, _OVER_MAX = 1_024, 4_096

_handed_over = Counter(
    "turngate_sessions_handed_over",
    "Sessions that were handed over while the gateway emptied; lost if Redis did not take the last entry.",
    ["entry"],
)
for _outcome in ("written", "lost"):
    _handed_over.labels(_outcome)


class Moves:
    """Claims sessions for this gateway, and gives sessions of this gateway to others."""

    def __init__(self, claims: Claims | None = None, journals: JournalWriter | None = None) -> None:
        self._claims = claims
        self._journals = journals
        #: Sessions that were handed over here, and their epochs: Redis has their last entries, or does not get them.
        self._left: Recent[str, int] = Recent(_LEFT_MAX)
        #: The resume keys of sessions that have ended here, and these sessions.
        self._over: Recent[str, str] = Recent(_OVER_MAX)

    @property
    def possible(self) -> bool:
        """Whether sessions move."""
        return self._journals is not None

    @property
    def work(self) -> bool:
        """Whether Redis takes the journals of sessions."""
        return self._journals is not None and self._journals.works

    def writing(
        self, keys: Callable[[str], tuple[str, ...]], fenced: Callable[[Session, JournalEntry], None]
    ) -> Writing | None:
        """How a session is written down; None if it is not. ``keys`` returns the resume keys of a session; ``fenced``
        is called when another gateway owns it, and starts `fenced`."""
        return None if self._journals is None else Writing(self._journals, keys, fenced)

    async def claim(self, returning: Returning, waits: Callable[[], bool]) -> TakenUp | None:
        """The session of another gateway to which this client returns; this gateway is its owner from now on.
        ``waits`` tells whether the client is still there."""
        if self._claims is None or not (keys := self._keys(returning)):
            return None
        return await self._claims.claim(keys, surely=returning.asks, waits=waits)

    async def knows(self, returning: Returning) -> int | None:
        """For how long (ms) Redis will know a session to which this client can return, if nobody writes it any more;
        None if it knows none. Redis errors pass through."""
        if self._claims is None or not (keys := self._keys(returning)):
            return None
        return await self._claims.known(keys)

    async def owns(self, session: Session) -> bool:
        """Whether this gateway still owns the session."""
        return self._claims is None or await self._claims.owns(session.name, session.conversation.epoch)

    async def give(self, claimed: SessionClaimed, session: Session | None) -> None:
        """Another gateway has claimed this session, which may be gone here: stop it at once, and complete its
        journal."""
        if self._claims is None or self._left.get(claimed.session) == claimed.epoch - 1:
            # Its last entry is on its way, or could not be written: the other gateway waits for that, and no longer.
            return
        if session is None or session.conversation.epoch >= claimed.epoch:
            await self._claims.give(claimed.session, claimed.epoch, None)
        else:
            await self.fenced(session, session.hand_over(RESUMED_ELSEWHERE))

    async def fenced(self, session: Session, entry: JournalEntry) -> None:
        """Another gateway owns this session, which was stopped with this last entry: give it that, if it still waits
        for it. What it has been told by the command may be heard of first in a reply of Redis."""
        assert self._claims is not None
        self._left[session.name] = entry.epoch
        await self._claims.give(session.name, entry.epoch + 1, entry)
        session.leave()

    def completed(self, command: JournalComplete) -> None:
        """The journal of a session that was claimed here is complete."""
        if self._claims is not None:
            self._claims.completed(command)

    async def let_go(self, session: Session) -> JournalEntry | None:
        """Hand the session over to the gateway to which its client returns, which is told to connect again. Returns its
        last entry, to `keep`."""
        if self._claims is None or session.handed_over:
            return None
        entry = session.hand_over(_GOING_AWAY, last=True)
        self._left[session.name] = entry.epoch
        written = await self._claims.let_go(entry)
        _handed_over.labels("written" if written else "lost").inc()
        with about(session.name):
            log_events.session_handed_over() if written else log_events.session_not_handed_over()
        session.leave()
        return entry

    async def keep(self, entry: JournalEntry) -> None:
        """See to it that Redis has the last entry of a session until another gateway has the session."""
        assert self._claims is not None
        await self._claims.keep(entry)

    def ended(self, session: Session, keys: Sequence[str]) -> None:
        """The session is over here, whose resume ``keys`` were these. Its journal is not needed, unless it goes on
        elsewhere."""
        if self._journals is None:
            return
        if session.handed_over or session.conversation.journal is None:
            self._journals.leave(session.name)
        else:
            for key in keys:
                self._over[key] = session.name
            self._journals.over(session.name, session.conversation.epoch)

    def _keys(self, returning: Returning) -> list[str]:
        """The resume keys of this client. Redis may not have forgotten yet what has ended here: without that."""
        if self._journals is None:
            return []
        keys = [key.hex() for key in returning.keys]
        return [key for key in keys if not self._journals.is_over(self._over.get(key, ""))]
