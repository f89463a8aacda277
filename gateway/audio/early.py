"""The user's audio that cannot be sent upstream yet."""

from __future__ import annotations


class EarlyAudio:
    """Keeps at most ``limit`` bytes, in the upstream's format; beyond it the oldest are dropped."""

    __slots__ = ("_audio", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._audio = bytearray()

    def __len__(self) -> int:
        """Bytes that are kept."""
        return len(self._audio)

    def keep(self, audio: bytes) -> bool:
        """Keep this; False if something was dropped."""
        self._audio += audio
        excess = len(self._audio) - self._limit
        if excess <= 0:
            return True
        # Whole samples of 16 bits.
        del self._audio[: excess + excess % 2]
        return False

    def take(self) -> bytes:
        """Return all of it and keep nothing."""
        audio, self._audio = bytes(self._audio), bytearray()
        return audio
