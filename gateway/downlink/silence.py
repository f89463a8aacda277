"""How long a client hears nothing because the connection was lost in the middle of a reply, or while one was due.

No I/O and no clock: times are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable


class Silence:
    """One at a time: it begins when what has arrived is played, and ends with the next audio."""

    __slots__ = ("_heard", "_since")

    def __init__(self, heard: Callable[[float], None]) -> None:
        """``heard`` is called with its length in seconds."""
        self._heard = heard
        self._since: float | None = None

    def begins(self, at: float) -> None:
        """The connection is lost; all audio will have been played then."""
        if self._since is None:
            self._since = at

    def ends(self, now: float) -> None:
        """Audio arrives."""
        if self._since is not None:
            self._heard(max(now - self._since, 0.0))
            self._since = None

    def is_expected(self) -> None:
        """Nobody waits for audio: the user speaks, or nothing is left to be said, or it was said without audio."""
        self._since = None
