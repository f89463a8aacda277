"""Current and past sessions, for the HTTP pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from turngate.simulator.realtime_session import RealtimeSession
from turngate.simulator.record import Record


@dataclass(slots=True)
class Entry:
    """One session and its event record. ``live`` is None once the session has ended."""

    id: str
    model: str
    started_at: float
    record: Record
    live: RealtimeSession | None
    #: Aborts its connection.
    abort: Callable[[], None]
    ended_at: float | None = None
    close_code: int | None = None

    def end(self, at: float, close_code: int | None) -> None:
        """Mark the session as ended; ``close_code`` is None if the connection broke."""
        self.live, self.ended_at, self.close_code = None, at, close_code

    def cut_off(self) -> bool:
        """Abort its connection. Returns False if the session has ended."""
        if self.live is None:
            return False
        self.abort()
        return True

    def summary(self) -> dict[str, Any]:
        live = self.live
        return {
            "session": self.id,
            "model": self.model,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "close_code": self.close_code,
            "active_response": live.active_response if live else None,
            "user_speaking": live.user_speaking if live else False,
            "violations": len(self.record.violations),
        }

    def whole(self) -> dict[str, Any]:
        return {**self.summary(), **self.record.wire()}


class Sessions:
    """At most ``limit`` sessions, oldest first. At the limit the oldest ended session is dropped, else the oldest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[str, Entry] = {}

    def begin(self, session: RealtimeSession, model: str, at: float, abort: Callable[[], None]) -> Entry:
        """Add a session, whose connection ``abort`` aborts; call `Entry.end` when it is over."""
        if len(self._entries) >= self._limit:
            ended = (entry for entry in self._entries.values() if entry.ended_at is not None)
            oldest = next(ended, None) or next(iter(self._entries.values()))
            del self._entries[oldest.id]
        entry = Entry(session.session_id, model, at, session.record, session, abort)
        self._entries[entry.id] = entry
        return entry

    def get(self, session_id: str) -> Entry | None:
        return self._entries.get(session_id)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())
