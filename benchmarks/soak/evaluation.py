"""Decides which resources count as left behind. No I/O."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

#: Bytes by which a process may grow per short session; bytes by which the size of a heap varies anyway; and the number
#: of sessions below which growth per session is meaningless because of that.
PER_SESSION = 2_048
HEAP = 2 << 20
ENOUGH = 500
_WIDTH = 62
#: Number of memory samples that are combined into one value.
_TOGETHER = 5


@dataclass(frozen=True)
class Row:
    """One result: the value afterwards must not exceed ``allowed``."""

    what: str
    before: float
    after: float
    allowed: float

    @property
    def kept(self) -> bool:
        return self.after <= self.allowed


#: Memory samples of one process: the number of short sessions so far, and bytes.
Series = Sequence[tuple[int, int]]


#: Allowed increase of counts, by kind: a pool may have opened another connection, and a task may be about to end. All
#: other counts must not increase.
MARGINS = {"file descriptors": 2, "tasks": 2}
#: It has the other end of every process's connections.
_BROKER = "broker"


def counted(before: Mapping[str, float], after: Mapping[str, float]) -> list[Row]:
    """Rows for counts, which are named ``process: kind``. A count that is missing is 0."""
    names = sorted({*before, *after})
    return [
        Row(what, before.get(what, 0), after.get(what, 0), before.get(what, 0) + _margin(what, names)) for what in names
    ]


def _margin(what: str, names: Sequence[str]) -> float:
    process, _, kind = what.rpartition(": ")
    # A process that leaks connections is found by its own count; the broker sees the margins of all of them.
    processes = sum(name.endswith(f": {kind}") for name in names) - 1 if process == _BROKER else 1
    return MARGINS.get(kind, 0) * max(processes, 1)


def limited(before: Mapping[str, float], after: Mapping[str, float], limit: float) -> list[Row]:
    """Rows for values that may grow up to a limit."""
    return [Row(what, before.get(what, 0), count, max(before.get(what, 0), limit)) for what, count in after.items()]


def memory(process: str, series: Series) -> list[Row]:
    """Rows for the memory of one process: its total, and its growth per session in the second half. A leak grows in
    both halves; memory that grows only in the first half is warm-up."""
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
    """Split a series in halves by number of sessions."""
    middle = (series[0][0] + series[-1][0]) / 2
    return [point for point in series if point[0] <= middle], [point for point in series if point[0] >= middle]


def growth(series: Series) -> float:
    """Growth in bytes per session: the median of the slopes between all pairs of samples (Theil–Sen estimator), which
    is robust against outliers and single steps. 0 for an empty series."""
    slopes = [(later[1] - sooner[1]) / (later[0] - sooner[0]) for sooner, later in _pairs(series)]
    return statistics.median(slopes) if slopes else 0.0


def table(rows: Iterable[Row]) -> list[str]:
    """The results as text for the terminal."""
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
