"""How far a long command is: one line that changes on a terminal, and a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

#: Seconds between two lines: on a terminal, where each replaces the one before, and elsewhere.
_TERMINAL, _ELSEWHERE = 0.2, 30.0
_CLEAR = "\r\x1b[K"


class Progress:
    """Call `at` with what is done so far, and `close` before other output."""

    def __init__(
        self, total: int, what: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``total`` of ``what`` are to be done."""
        self._total = total
        self._what = what
        self._stream = stream or sys.stderr
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._began = self._said = clock()
        self._line = ""

    def at(self, done: int, more: str = "") -> None:
        """So many are done; ``more`` is said too."""
        now = self._clock()
        if now - self._said < (_TERMINAL if self._terminal else _ELSEWHERE):
            return
        self._said = now
        line = f"{done:,} of {self._total:,} {self._what}"
        if done:
            line += f", about {_length((self._total - done) * (now - self._began) / done)} left"
        if more:
            line += f"; {more}"
        self._line = line
        print(f"{_CLEAR}{line}" if self._terminal else line, end="" if self._terminal else "\n", file=self._stream)
        self._stream.flush()

    def say(self, text: str) -> None:
        """Print a result to standard output. On a terminal, the line goes on below it."""
        self.close()
        print(text, flush=True)
        if self._terminal:
            print(self._line, end="", file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing more is said on this line."""
        if self._terminal:
            print(_CLEAR, end="", file=self._stream, flush=True)


def _length(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
