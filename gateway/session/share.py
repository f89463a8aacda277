"""The share of the event loop that one connection may take before others are served."""

from __future__ import annotations

#: Messages, and bytes of them, that are handled one after the other.
_MESSAGES = 16
_BYTES = 65_536


class LoopShare:
    """Counts what the reader of one connection has handled without a pause."""

    __slots__ = ("_bytes", "_messages")

    def __init__(self) -> None:
        self._messages = self._bytes = 0

    def spent(self, size: int) -> bool:
        """Count a message of ``size`` bytes. Returns True if others are to be served now: the caller awaits
        ``asyncio.sleep(0)``."""
        self._messages += 1
        self._bytes += size
        if self._messages < _MESSAGES and self._bytes < _BYTES:
            return False
        self._messages = self._bytes = 0
        return True
