"""The sessions that there are and were, for the HTTP pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from turngate.simulator.conversation import Conversation
from turngate.simulator.record import Record


@dataclass(slots=True)
class Entry:
    """One session. ``conversation`` is None once it has ended; its record stays."""

    id: str
    model: str
    started_at: float
    record: Record
    conversation: Conversation | None
    ended_at: float | None = None
    close_code: int | None = None

    def end(self, at: float, close_code: int | None) -> None:
        """The connection is closed; ``close_code`` is None when it broke."""
        self.conversation, self.ended_at, self.close_code = None, at, close_code

    def summary(self) -> dict[str, Any]:
        conversation = self.conversation
        return {
            "session": self.id,
            "model": self.model,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "close_code": self.close_code,
            "active_response": conversation.active_response if conversation else None,
            "user_speaking": conversation.user_speaking if conversation else False,
            "violations": len(self.record.violations),
        }

    def whole(self) -> dict[str, Any]:
        return {**self.summary(), **self.record.wire()}


class Ledger:
    """At most ``limit`` sessions, oldest first; at the limit the oldest that has ended goes, or else the oldest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[str, Entry] = {}

    def begin(self, conversation: Conversation, model: str, at: float) -> Entry:
        """Note a session that begins; call `Entry.end` when it is over."""
        if len(self._entries) >= self._limit:
            ended = (entry for entry in self._entries.values() if entry.ended_at is not None)
            oldest = next(ended, None) or next(iter(self._entries.values()))
            del self._entries[oldest.id]
        entry = Entry(conversation.session_id, model, at, conversation.record, conversation)
        self._entries[entry.id] = entry
        return entry

    def get(self, session_id: str) -> Entry | None:
        return self._entries.get(session_id)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())
