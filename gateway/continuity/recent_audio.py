"""The user's audio that the upstream has been sent and has not committed: it is sent again on another connection.

While the user speaks, that is the audio since the beginning of the speech; otherwise the last moments, in which speech
may have begun that the upstream has not announced yet. Positions are in bytes since the beginning of the connection;
the upstream names them in milliseconds (``audio_start_ms``, ``audio_end_ms``).

`sent` runs for every frame of audio.
"""

from __future__ import annotations

from collections import deque

#: Milliseconds that are kept while nobody speaks: the longest prefix of a turn, and the time until it is announced.
_BEFORE_MS = 1_500
#: Beyond this number, pieces are joined to such of so many bytes at least: an object for every few bytes would need
#: many times their memory, and only whole pieces are dropped.
_MOST_PIECES = 1_024
_JOINED_BYTES = 16_384


class RecentAudio:
    """Keeps at most ``limit`` bytes while the user speaks."""

    __slots__ = ("_begin", "_bytes_per_ms", "_dropped", "_end", "_keep", "_limit", "_pieces", "_started", "_stopped")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes_per_ms = 48
        self._pieces: deque[bytes] = deque()
        #: The position of the first byte that is kept, and that after the last.
        self._begin = self._end = 0
        #: Where the user's speech began and ended; None if it has not.
        self._started: int | None = None
        self._stopped: int | None = None
        self._dropped = False
        self._keep = min(limit, _BEFORE_MS * self._bytes_per_ms)

    def __len__(self) -> int:
        """Bytes that are kept."""
        return self._end - self._begin

    @property
    def dropped(self) -> bool:
        """Whether speech was dropped because there was too much of it."""
        return self._dropped

    def use(self, bytes_per_ms: int) -> None:
        """The session's input format has so many bytes per millisecond."""
        self._bytes_per_ms = bytes_per_ms
        self._set_keep()

    def sent(self, audio: bytes) -> None:
        """This was sent upstream."""
        pieces = self._pieces
        pieces.append(audio)
        self._end += len(audio)
        if self._end - self._begin > self._keep:
            self._trim()
        if len(pieces) > _MOST_PIECES:
            self._join()

    def started(self, start_ms: int | None) -> None:
        """The user began to speak at this time of the connection's audio; None if unknown."""
        if self._started is None:
            self._started = self._begin if start_ms is None else start_ms * self._bytes_per_ms
        self._stopped = None
        self._set_keep()

    def stopped(self, end_ms: int | None) -> None:
        """The user stopped speaking at this time of the connection's audio; None if unknown."""
        self._stopped = self._end if end_ms is None else min(end_ms * self._bytes_per_ms, self._end)

    def committed(self) -> bytes:
        """The user's turn was committed. Returns its audio, and keeps what came after it."""
        end = self._end if self._stopped is None else self._stopped
        kept = b"".join(self._pieces)
        start = self._begin if self._started is None else max(self._started, self._begin)
        turn = kept[start - self._begin : max(end - self._begin, 0)]
        rest = kept[max(end - self._begin, 0) :]
        self._pieces.clear()
        self._pieces.append(rest)
        self._begin = self._end - len(rest)
        self._started = self._stopped = None
        self._dropped = False
        self._set_keep()
        return turn

    def take(self) -> bytes:
        """The connection is lost: returns what must be sent again on the next one, whose positions begin at 0."""
        kept = b"".join(self._pieces)
        if self._started is not None:
            kept = kept[max(self._started - self._begin, 0) :]
        self._pieces.clear()
        self._begin = self._end = 0
        self._started = self._stopped = None
        self._dropped = False
        self._set_keep()
        return kept

    def _set_keep(self) -> None:
        before = _BEFORE_MS * self._bytes_per_ms
        self._keep = self._limit if self._started is not None else min(self._limit, before)
        self._trim()

    def _trim(self) -> None:
        pieces, begin, last = self._pieces, self._begin, self._end - self._keep
        while pieces and begin + len(pieces[0]) <= last:
            begin += len(pieces.popleft())
        if begin > self._begin:
            self._begin = begin
            self._dropped |= self._started is not None and begin > self._started

    def _join(self) -> None:
        joined: deque[bytes] = deque()
        part, size = [], 0
        for piece in self._pieces:
            part.append(piece)
            size += len(piece)
            if size >= _JOINED_BYTES:
                joined.append(b"".join(part))
                part, size = [], 0
        self._pieces = joined
        joined.append(b"".join(part))
