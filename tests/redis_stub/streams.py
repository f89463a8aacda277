"""A stream and its consumer groups."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Milliseconds and a number, as in an entry's id.
Id = tuple[int, int]
Fields = tuple[bytes, ...]


@dataclass(slots=True)
class Pending:
    """A delivered entry that is not acknowledged yet; times in ms."""

    consumer: bytes
    delivered_at: int
    deliveries: int = 1


@dataclass(slots=True)
class Group:
    """``seen`` is when each consumer last asked for something, in ms."""

    last: Id
    pending: dict[Id, Pending] = field(default_factory=dict)
    seen: dict[bytes, int] = field(default_factory=dict)


@dataclass(slots=True)
class Stream:
    """Entries in the order of their ids, each with its fields as a flat list."""

    entries: dict[Id, Fields] = field(default_factory=dict)
    last: Id = (0, 0)
    groups: dict[bytes, Group] = field(default_factory=dict)

    def add(self, fields: Fields, now_ms: int) -> Id:
        """Append an entry with an id of the server's making."""
        self.last = max((now_ms, 0), (self.last[0], self.last[1] + 1))
        self.entries[self.last] = fields
        return self.last

    def keep(self, most: int) -> int:
        """Drop the oldest entries beyond this number; returns how many."""
        return self._drop([*self.entries][: max(len(self.entries) - most, 0)])

    def keep_from(self, least: Id) -> int:
        """Drop the entries that are older than this; returns how many."""
        return self._drop([entry for entry in self.entries if entry < least])

    def _drop(self, entries: list[Id]) -> int:
        for entry in entries:
            del self.entries[entry]
        return len(entries)

    def unread(self, group: Group, consumer: bytes, most: int, now_ms: int) -> list[Id]:
        """The next entries for this consumer; they are pending from now on."""
        group.seen[consumer] = now_ms
        if group.last >= self.last:
            return []
        found = [entry for entry in self.entries if entry > group.last][:most]
        for entry in found:
            group.pending[entry] = Pending(consumer, now_ms)
        if found:
            group.last = found[-1]
        return found
