"""Warnings about a reply that has not begun.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

NEVER = float("inf")


class SlowReply:
    """The warnings of one session. Call `watch` when it may have changed whether a reply is awaited, `due` at
    `deadline`."""

    __slots__ = ("_due_at", "_interval", "_since")

    def __init__(self, interval: float) -> None:
        """``interval`` between two warnings in seconds; 0 for none."""
        self._interval = interval or NEVER
        #: Since when a reply is awaited; None if none is.
        self._since: float | None = None
        self._due_at = NEVER

    def watch(self, waiting: bool, now: float) -> None:
        """Set whether a reply is awaited, of which nothing has arrived."""
        if not waiting:
            self._since, self._due_at = None, NEVER
        elif self._since is None:
            self._since, self._due_at = now, now + self._interval

    def due(self, now: float) -> float | None:
        """For how many seconds the reply has been awaited, if a warning is due now; None otherwise."""
        if self._since is None or now < self._due_at:
            return None
        self._due_at = now + self._interval
        return now - self._since

    def deadline(self) -> float:
        """When the next warning is due; infinity if none is."""
        return self._due_at
