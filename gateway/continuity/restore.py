"""Brings a new connection to the point where the conversation is: configuration first, then the items, in order.

1. ``session.update`` with the whole configuration in force; wait for ``session.updated``.
2. Every item of the transcript, in one burst; wait until each is acknowledged or refused.
3. An item that is refused is left out.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from turngate.protocol.openai.client_events import item_create, session_update


class Restore:
    """One attempt. Send what `begin` and `configured` return; it is complete when `done`."""

    def __init__(self, event_id: str) -> None:
        """``event_id`` of the ``session.update``, which an error repeats."""
        self.event_id = event_id
        self.done = False
        #: Why the upstream refused the configuration; None if it did not.
        self.refusal: str | None = None
        #: Items that the upstream refused.
        self.left_out: list[str] = []
        self._waits_for_update = True
        self._unacknowledged: set[str] = set()

    def begin(self, session: dict[str, Any]) -> dict[str, Any]:
        """The event that restores the configuration."""
        return session_update(session, self.event_id)

    def configured(self, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The configuration is confirmed. Returns the events that restore these items."""
        if not self._waits_for_update:
            return []
        self._waits_for_update = False
        created = [item_create(item, event_id=item["id"]) for item in items]
        self._unacknowledged = {event["item"]["id"] for event in created}
        self.done = not created
        return created

    def acknowledged(self, item_id: str | None) -> None:
        """The upstream has added this item."""
        if item_id in self._unacknowledged:
            self._settle(item_id)

    def refused(self, about: str | None, why: str) -> bool:
        """An error names this event. Returns whether it is one of ours: an item is left out, and without the
        configuration the connection is of no use."""
        if about == self.event_id:
            self.refusal = why
            return True
        if about not in self._unacknowledged:
            return False
        self.left_out.append(about)
        self._settle(about)
        return True

    def _settle(self, item_id: str) -> None:
        self._unacknowledged.discard(item_id)
        self.done = not self._unacknowledged and not self._waits_for_update
