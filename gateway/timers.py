"""The timers of one conversation, by name. Set a timer when a wait begins, and clear it when the wait is over.
`Conversation.tick` handles the timers that are due.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from enum import IntEnum, auto

NEVER = float("inf")


class Timer(IntEnum):
    """What a conversation can wait for."""

    #: The slot changes: a promised response begins, the active one shows an event, a cancelled one ends.
    SLOT = auto()
    #: The upstream answers our ``response.create``.
    CREATE = auto()
    #: The upstream answers our ``session.update``.
    UPDATE = auto()
    #: A failed reply is requested again.
    RETRY = auto()
    #: The client answers function calls.
    CALLS = auto()
    #: The client is silent for too long, or the session reaches its maximum duration.
    LIFETIME = auto()
    #: The transcripts of earlier turns arrive.
    TRANSCRIPTS = auto()
    #: The model begins to reply.
    SLOW_REPLY = auto()
    #: More audio arrives in a turn that the gateway ends.
    MANUAL_TURN = auto()
    #: More audio arrives while the user speaks.
    AUDIO_GAP = auto()
    #: The client has played a greeting that the user may not interrupt.
    GREETING = auto()
    #: A request is published again, or given up.
    REQUESTS = auto()
    #: The client is told that the upstream's connection is being renewed, and then that it could not be.
    RECONNECT = auto()
    #: A new connection answers what restores the conversation.
    RESTORE = auto()
    #: The next connection to the upstream is opened, before this one ends.
    ROLLOVER = auto()
    #: The user, who was speaking when the connection was lost, is heard by the new one.
    RESUMED_SPEECH = auto()
    #: The turn record is published again.
    HEARTBEAT = auto()


class Timers:
    """One time for each `Timer` that is set."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[Timer, float] = {}

    def set(self, timer: Timer, at: float) -> None:
        """Set or move a timer; `NEVER` clears it."""
        if at == NEVER:
            self._at.pop(timer, None)
        else:
            self._at[timer] = at

    def clear(self, timer: Timer) -> None:
        """Clear a timer."""
        self._at.pop(timer, None)

    def pop_due(self, now: float) -> list[Timer]:
        """Clear and return the timers that are due, the earliest first. The handler sets a timer again to wait on."""
        due = sorted((timer for timer, at in self._at.items() if at <= now), key=self._at.__getitem__)
        for timer in due:
            del self._at[timer]
        return due

    def deadline(self) -> float:
        """When the next timer is due; `NEVER` if none is set."""
        return min(self._at.values(), default=NEVER)
