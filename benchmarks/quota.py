"""Limits processes to a share of a core with cgroups, in order to simulate small machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: The cgroup period in microseconds; short, so that throttling adds little latency.
_PERIOD = 10_000
_ROOTS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))


@contextmanager
def limited(pids: Iterable[int], share: float, period: int = _PERIOD) -> Iterator[bool]:
    """Limit each process to this share of a core, in each ``period`` of so many microseconds. Yields False, and limits
    nothing, if cgroups are not available."""
    groups: list[Path] = []
    try:
        try:
            root = next(root for root in _ROOTS if (root / "cgroup.procs").exists())
            for pid in pids:
                group = root / f"turngate-benchmark-{pid}"
                group.mkdir()
                groups.append(group)
                _set(group, share, period)
                (group / "cgroup.procs").write_text(str(pid))
        except (StopIteration, OSError):
            _release(groups)
            groups = []
        yield bool(groups)
    finally:
        _release(groups)


def _set(group: Path, share: float, period: int) -> None:
    quota = round(period * share)
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{quota} {period}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(period))
        (group / "cpu.cfs_quota_us").write_text(str(quota))


def _release(groups: Iterable[Path]) -> None:
    for group in groups:
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()
