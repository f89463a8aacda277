"""Voice activity detection by energy.

As on the real server, time is counted in received samples: a client that sends no audio does not become silent. The
threshold maps 0 to -60 dBFS, the default 0.5 to -40 dBFS and 1 to -20 dBFS.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from turngate.kernel import energies
from turngate.simulator.audio import Samples
from turngate.simulator.frames import Event

FRAME_MS = 20
#: Speech starts after this many consecutive loud frames, so that a click does not start it.
ONSET_FRAMES = 3
#: Silence that ends a turn with ``semantic_vad``, by eagerness. The real service uses a model instead.
EAGERNESS_MS = {"low": 1500, "medium": 800, "auto": 800, "high": 400}


class Change(NamedTuple):
    """Speech started or stopped at a position, in samples since the start of the session."""

    kind: Literal["started", "stopped"]
    at: int


@dataclass(frozen=True, slots=True)
class VadOptions:
    """The options of a ``turn_detection`` object, with times in samples of the input format."""

    rate: int
    threshold: float
    prefix: int
    silence: int

    @classmethod
    def of(cls, turn_detection: Event, rate: int) -> VadOptions:
        semantic = turn_detection["type"] == "semantic_vad"
        silence = EAGERNESS_MS[turn_detection["eagerness"]] if semantic else turn_detection["silence_duration_ms"]
        prefix = 300 if semantic else turn_detection["prefix_padding_ms"]
        threshold = 0.5 if semantic else turn_detection["threshold"]
        return cls(rate, threshold, prefix * rate // 1000, silence * rate // 1000)


class Vad:
    """The detector. Pass it all audio in order; it returns the changes."""

    def __init__(self, options: VadOptions, position: int) -> None:
        self.speaking = False
        #: Start of the first loud frame and end of the last loud frame of the current speech, in samples.
        self.first_loud = position
        self.last_loud = position
        self.options = options
        self._position = position
        self._frame = options.rate * FRAME_MS // 1000
        self._floor = float((32_768 * 10 ** ((-60 + 40 * options.threshold) / 20)) ** 2 * self._frame)
        self._rest: Samples = array("h")
        self._loud_run = 0

    @property
    def lookback(self) -> int:
        """How many samples before the newest one belong to a turn that starts now."""
        return self.options.prefix + (ONSET_FRAMES + 1) * self._frame

    def hear(self, samples: Samples) -> Iterator[Change]:
        """Process audio; yields the changes in order. Exhaust the iterator before the next call."""
        if self._rest:
            samples = self._rest + samples
        count = len(samples) // self._frame
        if not count:
            self._rest = samples
            return
        self._rest = samples[count * self._frame :]
        loud_frames = [energy >= self._floor for energy in energies(samples, self._frame, b"")]
        if not self.speaking and not any(loud_frames):
            self._position += count * self._frame
            self._loud_run = 0
            return
        for loud in loud_frames:
            self._position += self._frame
            change = self._frame_heard(loud)
            if change:
                yield change

    def reset(self) -> None:
        """Discard speech in progress, because the buffer was committed or cleared."""
        self.speaking = False
        self._loud_run = 0

    def _frame_heard(self, loud: bool) -> Change | None:
        if self.speaking:
            if loud:
                self.last_loud = self._position
            elif self._position - self.last_loud >= self.options.silence:
                self.reset()
                return Change("stopped", self._position)
            return None
        self._loud_run = self._loud_run + 1 if loud else 0
        if self._loud_run < ONSET_FRAMES:
            return None
        self.speaking = True
        self.first_loud = self._position - ONSET_FRAMES * self._frame
        self.last_loud = self._position
        return Change("started", self.first_loud)
