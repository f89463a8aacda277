"""A share of a core for each process, enforced by the kernel: what many small machines are like, on one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Microseconds within which a share is used up; short, so that waiting for the next ones is no latency to speak of.
_PERIOD = 10_000
_ROOTS = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup"))


@contextmanager
def limited(pids: Iterable[int], share: float) -> Iterator[bool]:
    """Let each process use this share of a core until the end; False where that cannot be had: nothing is limited."""
    groups: list[Path] = []
    try:
        try:
            root = next(root for root in _ROOTS if (root / "cgroup.procs").exists())
            for pid in pids:
                group = root / f"turngate-benchmark-{pid}"
                group.mkdir()
                groups.append(group)
                _set(group, share)
                (group / "cgroup.procs").write_text(str(pid))
        except (StopIteration, OSError):
            _release(groups)
            groups = []
        yield bool(groups)
    finally:
        _release(groups)


def _set(group: Path, share: float) -> None:
    quota = round(_PERIOD * share)
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{quota} {_PERIOD}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
        (group / "cpu.cfs_quota_us").write_text(str(quota))


def _release(groups: Iterable[Path]) -> None:
    for group in groups:
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()
