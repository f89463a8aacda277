"""The figure of docs/scale.md."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report import plot
from benchmarks.scale.results import Loss

#: Seconds from the beginning that are not shown, since the load has to settle.
_FIRST = 10


def figure(loss: Loss) -> str:
    """What the sessions of a server that is lost feel, and what the others feel, over time; as SVG."""
    plan = loss.plan
    assert plan.lost_at is not None
    names = plan.names
    others = [max(loss.share[name][second] for name in names[1:]) for second in range(len(loss.share[names[0]]))]
    panels = {
        "The wait of a request for its release (p99 by the second), in seconds": {
            "sessions of the lost server": _shown(loss.p99_lost),
            f"sessions of the {plan.servers - 1} others": _shown(loss.p99_others),
        },
        "CPU of a Redis server, in % of its core": {
            "the lost server": _shown([100 * share for share in loss.share[names[0]]]),
            f"the busiest of the {plan.servers - 1} others": _shown([100 * share for share in others]),
        },
    }
    return plot.over_time(
        f"One of {plan.servers} Redis servers is away for {plan.back_at - plan.lost_at:.0f} s; "
        f"{plan.sessions:,} sessions (simulated)",
        "seconds from the loss",
        [second - plan.lost_at for second in range(_FIRST, int(plan.seconds))],
        panels,
        span=(0.0, plan.back_at - plan.lost_at, "away"),
        logarithmic=(True, False),
    )


def _shown(values: Sequence[float | None]) -> Sequence[float | None]:
    return values[_FIRST:]
