"""A broken promise."""

from __future__ import annotations

from typing import NamedTuple


class Violation(NamedTuple):
    """``promise`` is P1 to P8, ``alive`` (something never ended), ``prompt`` (late for no reason) or ``crash``."""

    promise: str
    at: float
    what: str

    def __str__(self) -> str:
        return f"{self.promise} at {self.at:.3f}: {self.what}"
