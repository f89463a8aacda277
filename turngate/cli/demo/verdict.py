"""What an expectation says in the end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """One expectation, judged."""

    #: What was expected, as a sentence that is true when it is met.
    expectation: str
    #: What was seen instead; empty when the expectation is met.
    problems: tuple[str, ...] = ()
    #: Why it could not be judged; None when it was.
    unchecked: str | None = None

    @property
    def failed(self) -> bool:
        """Whether this alone makes the demo fail. What could not be judged does not."""
        return bool(self.problems)


def judged(expectation: str, problems: Iterable[str]) -> Verdict:
    """The verdict on an expectation that is met when there is no problem."""
    return Verdict(expectation, tuple(problems))
