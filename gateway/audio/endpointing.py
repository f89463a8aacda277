"""End-pointing: detects the user's turns by loudness, for sessions in which the upstream does not detect them.

A turn starts with a few loud frames and ends with a pause, either silence or no audio at all. Audio between turns is
not sent, except for a short lead before each turn, which may contain a soft onset.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from turngate.protocol.deepgram.audio import LINEAR16, upstream_bytes_per_ms

_FRAME_MS = 20
#: Number of consecutive loud frames that start a turn; a click is shorter.
_ONSET_FRAMES = 3
#: Number of frames before the onset that belong to the turn.
_LEAD_FRAMES = 15
_FULL_SCALE = 32_768

Samples: TypeAlias = NDArray[np.float32]


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
        "_decode",
        "_floor",
        "_heard_at",
        "_lead",
        "_loud",
        "_quiet_ms",
        "_rest",
        "_rules",
        "speaking",
    )

    def __init__(self, encoding: str, rules: EndPointingRules) -> None:
        self._rules = rules
        self._bytes = upstream_bytes_per_ms(encoding) * _FRAME_MS
        self._decode = _linear if encoding == LINEAR16 else _table(encoding)
        self._floor = (_FULL_SCALE * 10 ** (rules.level_dbfs / 20)) ** 2
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
        for at in range(0, whole, self._bytes):
            yield from self._frame(chunk[at : at + self._bytes])

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

    def _frame(self, frame: bytes) -> Iterator[bytes | Mark]:
        samples = self._decode(frame)
        loud = float(np.dot(samples, samples)) >= self._floor * len(samples)
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


def _linear(frame: bytes) -> Samples:
    return np.frombuffer(frame, "<i2").astype(np.float32)


def _table(encoding: str) -> Callable[[bytes], Samples]:
    """A decoder of G.711, which has one logarithmic byte per sample (ITU-T G.711)."""
    code = np.arange(256)
    if encoding == "mulaw":
        code = ~code & 0xFF
        exponent, mantissa = code >> 4 & 7, code & 15
        values = ((2 * mantissa + 33) << exponent + 2) - 132
    else:
        code = code ^ 0x55
        exponent, mantissa = code >> 4 & 7, code & 15
        values = np.where(exponent == 0, 16 * mantissa + 8, (16 * mantissa + 264) << np.maximum(exponent - 1, 0))
    table = values.astype(np.float32)
    # The sign is not needed for the level.
    return lambda frame: table[np.frombuffer(frame, np.uint8)]
