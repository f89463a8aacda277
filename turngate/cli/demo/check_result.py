"""The result of a check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check."""

    #: What was expected, as a sentence that is true if the check passed.
    expectation: str
    #: What was observed instead; empty if the check passed.
    problems: tuple[str, ...] = ()
    #: Why the check could not be made; None if it was.
    unchecked: str | None = None

    @property
    def failed(self) -> bool:
        """Whether the check failed. A check that could not be made has not failed."""
        return bool(self.problems)


def check_result_of(expectation: str, problems: Iterable[str]) -> CheckResult:
    """The result of a check that passes if there are no problems."""
    return CheckResult(expectation, tuple(problems))
