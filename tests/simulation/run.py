"""Playing plans: one, or many on several processors."""

from __future__ import annotations

import gc
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.simulation import plan as plans
from tests.simulation.judge import Violation, judge
from tests.simulation.line import Outcome
from tests.simulation.plan import Plan
from tests.simulation.world import World

#: Seeds that one process plays before it reports.
_CHUNK = 25


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one plan. ``counts`` is what was exercised."""

    seed: int
    sessions: int
    violations: tuple[Violation, ...]
    counts: Counter[str]
    outcomes: tuple[Outcome, ...] = field(repr=False, default=())


def play(plan: Plan) -> Verdict:
    """Play this plan and judge it."""
    world = World(plan)
    outcomes = tuple(world.run())
    violations = tuple(violation for outcome in outcomes for violation in judge(outcome))
    return Verdict(plan.seed, len(outcomes), violations, world.counts(), outcomes)


def play_seed(seed: int) -> Verdict:
    """As `play`, without the histories: what travels between processes."""
    verdict = play(plans.draw(seed))
    return Verdict(seed, verdict.sessions, verdict.violations, verdict.counts)


def play_seeds(seeds: Iterable[int], jobs: int = 1) -> Iterator[Verdict]:
    """The verdicts on these seeds, in their order."""
    # What is loaded stays: the collector need not look through it after each world.
    gc.freeze()
    if jobs == 1:
        yield from map(_play_and_clear, seeds)
        return
    # Each process begins as a copy of this one, so that a fault which was put in is in all of them.
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(_play_and_clear, seeds, _CHUNK)


def _play_and_clear(seed: int) -> Verdict:
    """As `play_seed`. A world is garbage when it ends, and little is before: it is collected once, then."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return play_seed(seed)
    finally:
        gc.collect()
        if was_enabled:
            gc.enable()
