"""A reply that is slow to come: the client is told every so often, so that silence is not mistaken for a dead line.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

NEVER = float("inf")


class SlowReply:
    """One session's. Say with `watch` whether a reply is awaited; ask `due` when `deadline` has come."""

    __slots__ = ("_due_at", "_interval", "_since")

    def __init__(self, interval: float) -> None:
        """``interval`` is in seconds; 0 for a client that is not told."""
        self._interval = interval or NEVER
        #: When the waiting began; None while nothing is awaited.
        self._since: float | None = None
        self._due_at = NEVER

    def watch(self, waiting: bool, now: float) -> None:
        """Whether the model is to reply and nothing of it has come. To be called whenever that may have changed."""
        if not waiting:
            self._since, self._due_at = None, NEVER
        elif self._since is None:
            self._since, self._due_at = now, now + self._interval

    def due(self, now: float) -> float | None:
        """How long the reply has been awaited (seconds), where the client is to be told so now, else None."""
        if self._since is None or now < self._due_at:
            return None
        self._due_at = now + self._interval
        return now - self._since

    def deadline(self) -> float:
        """When the client is to be told next; infinity when never."""
        return self._due_at
