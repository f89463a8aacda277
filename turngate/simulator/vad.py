"""Voice activity by energy: which stretches of the received audio are speech.

Time is counted in samples received since the session began, as the real server does: silence that nobody sends is not
silence. The threshold runs from 0 to 1 over loudness: 0 is -60 dBFS, the default 0.5 is -40 dBFS, 1 is -20 dBFS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from turngate.simulator.audio import Samples
from turngate.simulator.stage import Event

FRAME_MS = 20
#: Speech begins with this many loud frames in a row; a click is shorter.
ONSET_FRAMES = 3
#: The semantic kind has no model to ask here: each eagerness is a fixed silence.
EAGERNESS_MS = {"low": 1500, "medium": 800, "auto": 800, "high": 400}


class Change(NamedTuple):
    """Speech began, or stopped, at a position in samples since the session began."""

    kind: Literal["started", "stopped"]
    at: int


@dataclass(frozen=True, slots=True)
class VadOptions:
    """What a ``turn_detection`` object asks for, in samples of the input format."""

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
    """The detector. Give it all audio in order; it answers with what changed."""

    def __init__(self, options: VadOptions, position: int) -> None:
        self.speaking = False
        #: The first and the end of the last loud frame of the speech in progress, in samples.
        self.first_loud = position
        self.last_loud = position
        self.options = options
        self._position = position
        self._frame = options.rate * FRAME_MS // 1000
        self._floor = float((32_768 * 10 ** ((-60 + 40 * options.threshold) / 20)) ** 2 * self._frame)
        self._rest: Samples = np.zeros(0, np.int16)
        self._loud_run = 0

    @property
    def lookback(self) -> int:
        """Samples before the newest that a turn which begins now would include."""
        return self.options.prefix + (ONSET_FRAMES + 1) * self._frame

    def hear(self, samples: Samples) -> Iterator[Change]:
        """Take audio; yields every change in it, in order. Iterate to the end before giving more."""
        if len(self._rest):
            samples = np.concatenate((self._rest, samples))
        count = len(samples) // self._frame
        self._rest = samples[count * self._frame :].copy()
        frames = samples[: count * self._frame].astype(np.float32).reshape(count, self._frame)
        loud_frames = np.einsum("ij,ij->i", frames, frames) >= self._floor
        if not self.speaking and not loud_frames.any():
            self._position += count * self._frame
            self._loud_run = 0
            return
        for loud in loud_frames.tolist():
            self._position += self._frame
            change = self._frame_heard(loud)
            if change:
                yield change

    def reset(self) -> None:
        """Forget speech in progress: the buffer was committed or cleared."""
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
