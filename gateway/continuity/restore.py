"""Brings another connection to the point where the conversation is: configuration first, then the items, in order.

1. ``session.update`` with the whole configuration in force; wait for ``session.updated``.
2. Every item of the transcript, in one burst; wait until each is acknowledged or refused.
3. An item that is refused is left out.
4. While the conversation goes on elsewhere: what has changed since, in the same way, until nothing has.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from turngate.protocol.openai.client_events import item_create, item_delete, session_update


class Restore:
    """One attempt. Send what `begin`, `configured` and `catch_up` return; it is complete when `done`."""

    def __init__(self, event_id: str) -> None:
        """``event_id`` of the ``session.update``, which an error repeats."""
        self.event_id = event_id
        #: Why the upstream refused the configuration; None if it did not.
        self.refusal: str | None = None
        #: Items that the upstream refused.
        self.left_out: list[str] = []
        #: What this connection has: the configuration, and the items by id.
        self.session: dict[str, Any] = {}
        self._there: dict[str, dict[str, Any]] = {}
        self._waits_for_update = True
        self._unacknowledged: set[str] = set()

    @property
    def done(self) -> bool:
        """Whether everything that was sent is answered."""
        return not self._waits_for_update and not self._unacknowledged

    @property
    def items(self) -> frozenset[str]:
        """The ids of the items that this connection has."""
        return frozenset(self._there)

    def begin(self, session: dict[str, Any], change: dict[str, Any] | None = None) -> dict[str, Any]:
        """The event that restores this configuration, which is done by the ``change`` if there is one."""
        self._waits_for_update, self.session = True, session
        return session_update(session if change is None else change, self.event_id)

    def configured(self, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The configuration is confirmed. Returns the events that restore these items."""
        if not self._waits_for_update:
            return []
        self._waits_for_update = False
        return self.catch_up(items)

    def catch_up(self, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The events that bring this connection to these items; empty if it has them. Call it when `done`."""
        wanted = {item["id"]: item for item in items if item["id"] not in self.left_out}
        kept = {item_id for item_id, item in self._there.items() if wanted.get(item_id) == item}
        events = [item_delete(item_id, f"{item_id}.gone") for item_id in self._there if item_id not in kept]
        newest_kept = max((place for place, item_id in enumerate(wanted) if item_id in kept), default=-1)
        before = "root"
        for place, (item_id, item) in enumerate(wanted.items()):
            if item_id not in kept:
                # At the end, unless it is one that has changed.
                events.append(item_create(item, item_id, before if place < newest_kept else None))
                self._unacknowledged.add(item_id)
            before = item_id
        self._there = wanted
        return events

    def acknowledged(self, item_id: str | None) -> None:
        """The upstream has added this item."""
        if item_id is not None:
            self._unacknowledged.discard(item_id)

    def refused(self, about: str | None, why: str) -> bool:
        """An error names this event. Returns whether it is one of ours: an item is left out, and without the
        configuration the connection is of no use."""
        if about == self.event_id:
            self.refusal = why
            return True
        if about not in self._unacknowledged:
            return False
        self.left_out.append(about)
        self._there.pop(about, None)
        self._unacknowledged.discard(about)
        return True
