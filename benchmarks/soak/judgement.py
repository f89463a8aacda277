"""What counts as left behind. Values in, verdicts out."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

#: Bytes by which a process may grow for each session that came and went, and bytes by which a heap that is in use moves
#: anyway, so that fewer sessions than `ENOUGH` say nothing about one of them.
PER_SESSION = 2_048
HEAP = 2 << 20
ENOUGH = 500
_WIDTH = 62
#: Samples of memory that make one value, so that a single one decides nothing.
_TOGETHER = 5


@dataclass(frozen=True)
class Row:
    """One thing that must be where it was: it may be ``allowed`` at most afterwards."""

    what: str
    before: float
    after: float
    allowed: float

    @property
    def kept(self) -> bool:
        return self.after <= self.allowed


#: Memory of one process in bytes, each with the number of sessions that had come and gone until then.
Series = Sequence[tuple[int, int]]


#: By how much counts of a kind may be above what they were: a pool may have opened a connection more, and a task be
#: about to end. All others must be the same.
MARGINS = {"file descriptors": 2, "tasks": 2}


def counted(before: Mapping[str, float], after: Mapping[str, float]) -> list[Row]:
    """Rows for counts, named ``whose: what``; what was not there before was 0."""
    return [
        Row(what, before.get(what, 0), after.get(what, 0), before.get(what, 0) + MARGINS.get(what.split(": ")[-1], 0))
        for what in sorted({*before, *after})
    ]


def limited(before: Mapping[str, float], after: Mapping[str, float], limit: float) -> list[Row]:
    """Rows for what may fill up to a limit."""
    return [Row(what, before.get(what, 0), count, max(before.get(what, 0), limit)) for what, count in after.items()]


def memory(process: str, series: Series) -> list[Row]:
    """Rows for the memory of one process: what it came to, and what each session of the second half left in it. Memory
    that grows in the first half and not in the second is being got used to; memory that leaks grows in both."""
    first, second = halves(series)
    sessions = series[-1][0] - series[0][0]
    start, end = _level(series[:_TOGETHER]), _level(series[-_TOGETHER:])
    total = Row(
        f"{process}: memory, MB", start / 2**20, end / 2**20, (start + PER_SESSION * sessions + 2 * HEAP) / 2**20
    )
    if sessions < ENOUGH:
        return [total]
    most = max(PER_SESSION, HEAP / sessions)
    return [total, Row(f"{process}: bytes per session, by halves", growth(first), growth(second), most)]


def halves(series: Series) -> tuple[Series, Series]:
    """By sessions, not by time."""
    middle = (series[0][0] + series[-1][0]) / 2
    return [point for point in series if point[0] <= middle], [point for point in series if point[0] >= middle]


def growth(series: Series) -> float:
    """Bytes per session: the median of the slopes between all pairs (Theil and Sen), which a few odd samples, or one
    step of the heap, do not move as they move a mean. 0 for nothing."""
    slopes = [(later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in _pairs(series)]
    return statistics.median(slopes) if slopes else 0.0


def table(rows: Iterable[Row]) -> list[str]:
    """For a person at a terminal."""
    lines = [f"{'':{_WIDTH}}{'before':>10}{'after':>10}{'at most':>10}"]
    for row in rows:
        values = "".join(f"{_shown(value):>10}" for value in (row.before, row.after, row.allowed))
        lines.append(f"{row.what:{_WIDTH}}{values}  {'ok' if row.kept else 'NOT KEPT'}")
    return lines


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.1f}"


def _level(series: Series) -> float:
    return statistics.median(bytes_ for _, bytes_ in series)


def _pairs(series: Series) -> Iterable[tuple[tuple[int, int], tuple[int, int]]]:
    return ((a, b) for a, b in combinations(series, 2) if b[0] > a[0])
