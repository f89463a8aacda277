"""A short soak test, which must find nothing left behind."""

from __future__ import annotations

import os

from benchmarks.machine import Cores
from benchmarks.soak.run import Plan, run


async def test_a_short_soak_leaves_nothing_behind() -> None:
    here = frozenset(os.sched_getaffinity(0))
    results = await run(Plan(sessions=20, staying=2), Cores(here, here), lambda _: None)
    # So few sessions are not enough to evaluate memory, which has separate unit tests.
    assert [row for row in results.rows if not (row.kept or "memory" in row.what or "bytes" in row.what)] == []
    seen = " ".join(row.what for row in results.rows)
    for part in (
        "gateway-1: tasks",
        "translator-1: tasks",
        "session-state-1: memory",
        "broker: file",
        "turns: entries",
    ):
        assert part in seen
