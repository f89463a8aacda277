"""The statistics: percentiles of one run, medians over rounds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of them do not exceed; NaN of nothing."""
    if not ascending:
        return float("nan")
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def median(values: Iterable[float]) -> float:
    """The median; NaN of nothing."""
    known = list(values)
    return statistics.median(known) if known else float("nan")
