"""End-pointing: detects the user's turns by loudness, for sessions in which the upstream does not detect them.

A turn starts with a few loud frames and ends with a pause, either silence or no audio at all. Audio between turns is
not sent, except for a short lead before each turn, which may contain a soft onset.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

from turngate.kernel import energies
from turngate.protocol.deepgram.audio import LINEAR16, upstream_bytes_per_ms

_FRAME_MS = 20
#: Number of consecutive loud frames that start a turn; a click is shorter.
_ONSET_FRAMES = 3
#: Number of frames before the onset that belong to the turn.
_LEAD_FRAMES = 15
_FULL_SCALE = 32_768


class Mark(Enum):
    """Marks the start and the end of a turn in the audio."""

    BEGIN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class EndPointingRules:
    """What counts as speech and as the end of a turn."""

    #: Minimum level of speech, in dBFS.
    level_dbfs: float = -45.0
    #: Seconds of silence, or without audio, that end a turn.
    pause: float = 0.8


class EndPointer:
    """The end-pointer of one client's audio, in the upstream's format. Call `feed`, and `gap` at the `deadline`."""

    __slots__ = (
        "_bytes",
        "_floor",
        "_heard_at",
        "_lead",
        "_levels",
        "_loud",
        "_quiet_ms",
        "_rest",
        "_rules",
        "_samples",
        "speaking",
    )

    def __init__(self, encoding: str, rules: EndPointingRules) -> None:
        self._rules = rules
        self._bytes = upstream_bytes_per_ms(encoding) * _FRAME_MS
        self._levels = b"" if encoding == LINEAR16 else _levels(encoding)
        self._samples = self._bytes if self._levels else self._bytes // 2
        #: The energy of a frame of speech, at least.
        self._floor = (_FULL_SCALE * 10 ** (rules.level_dbfs / 20)) ** 2 * self._samples
        #: Between `Mark.BEGIN` and `Mark.END`.
        self.speaking = False
        self._rest = b""
        self._lead: list[bytes] = []
        self._loud = 0
        self._quiet_ms = 0
        self._heard_at = 0.0

    def feed(self, chunk: bytes, now: float) -> Iterator[bytes | Mark]:
        """Process audio; yields the audio to send and the marks, in order. Exhaust the iterator."""
        self._heard_at = now
        chunk = self._rest + chunk
        whole = len(chunk) - len(chunk) % self._bytes
        self._rest = chunk[whole:]
        starts = range(0, whole, self._bytes)
        for at, energy in zip(starts, energies(chunk, self._samples, self._levels), strict=True):
            yield from self._frame(chunk[at : at + self._bytes], energy >= self._floor)

    def gap(self, now: float) -> bool:
        """Whether a turn ends now because no audio arrives."""
        if self.deadline() > now:
            return False
        self.end()
        return True

    def end(self) -> None:
        """End the current turn."""
        self.speaking = False
        self._loud = self._quiet_ms = 0

    def deadline(self) -> float:
        """When `gap` returns True if no audio arrives; infinity if no turn is open."""
        return self._heard_at + self._rules.pause if self.speaking else float("inf")

    def _frame(self, frame: bytes, loud: bool) -> Iterator[bytes | Mark]:
        if self.speaking:
            yield frame
            self._quiet_ms = 0 if loud else self._quiet_ms + _FRAME_MS
            if self._quiet_ms >= self._rules.pause * 1000:
                self.end()
                yield Mark.END
            return
        self._lead = [*self._lead[1 - _LEAD_FRAMES :], frame]
        self._loud = self._loud + 1 if loud else 0
        if self._loud >= _ONSET_FRAMES:
            self.speaking, self._quiet_ms = True, 0
            yield Mark.BEGIN
            yield b"".join(self._lead)
            self._lead.clear()


@cache
def _levels(encoding: str) -> bytes:
    """The sample of each byte of G.711, which are logarithmic (ITU-T G.711), as pcm16. The sign is not needed for the
    energy."""
    level = _mulaw if encoding == "mulaw" else _alaw
    return array("h", map(level, range(256))).tobytes()


def _mulaw(code: int) -> int:
    code = ~code & 0xFF
    return ((2 * (code & 15) + 33) << (code >> 4 & 7) + 2) - 132


def _alaw(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    return 16 * mantissa + 8 if exponent == 0 else (16 * mantissa + 264) << exponent - 1
