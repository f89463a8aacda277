"""Statistics: percentiles of one run, and medians over rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value that a fraction ``share`` (0 to 1) of the values do not exceed; NaN if there are none."""
    if not ascending:
        return float("nan")
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def median(values: Iterable[float]) -> float:
    """The median; NaN if there are no values."""
    known = list(values)
    return statistics.median(known) if known else float("nan")
