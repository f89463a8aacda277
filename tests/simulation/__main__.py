"""``python -m tests.simulation``: play many seeds, or one of them in full."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter

from tests.progress import Progress
from tests.simulation import plan as plans
from tests.simulation import report
from tests.simulation.history import shown
from tests.simulation.run import Verdict, play, play_seeds

#: Failing seeds whose story is told; the others are only named.
_STORIES = 3


def main() -> int:
    """Returns 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_500, help="how many to play")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes to play on")
    parser.add_argument("--verbose", action="store_true", help="show histories")
    given = parser.parse_args()
    if given.seed is not None:
        return _one(given.seed, verbose=given.verbose)
    return _many(range(given.first, given.first + given.seeds), given.jobs)


def _one(seed: int, *, verbose: bool) -> int:
    plan = plans.draw(seed)
    verdict = play(plan)
    print(report.described(plan))
    if verbose:
        for outcome in verdict.outcomes:
            print(shown(outcome.history, longest=10_000), end="\n\n")
    elif verdict.violations:
        print(report.story(verdict))
    for violation in verdict.violations:
        print(violation)
    return 1 if verdict.violations else 0


def _many(seeds: range, jobs: int) -> int:
    counts: Counter[str] = Counter()
    failing: list[Verdict] = []
    sessions = 0
    progress = Progress(len(seeds), "seeds")
    for done, verdict in enumerate(play_seeds(seeds, jobs), 1):
        sessions += verdict.sessions
        counts += verdict.counts
        progress.at(done, f"{len(failing)} failing")
        if verdict.violations:
            failing.append(verdict)
            progress.close()
            print(f"seed {verdict.seed}: {verdict.violations[0]}", flush=True)
    progress.close()
    times = os.times()
    cpu_seconds = times.user + times.system + times.children_user + times.children_system
    for verdict in failing[:_STORIES]:
        print(f"\n{report.story(verdict)}")
    print(f"\n{report.summary(sessions, len(failing), counts, cpu_seconds)}")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
