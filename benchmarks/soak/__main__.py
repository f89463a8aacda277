"""``python -m benchmarks.soak`` runs the soak test and prints its results."""

from __future__ import annotations

import argparse
import sys

import uvloop

from benchmarks.machine import divide
from benchmarks.soak.evaluation import table
from benchmarks.soak.run import Plan, run
from tests.progress import Progress


def main() -> int:
    """Returns 1 if something was lost or left behind. A session that cannot be opened raises."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--sessions", type=int, default=Plan.sessions, help="number of short sessions")
    parser.add_argument("--staying", type=int, default=Plan.staying, help="number of long sessions")
    given = parser.parse_args()
    plan = Plan(given.sessions, given.staying)
    progress = Progress(plan.warm_up + plan.sessions, "sessions")
    results = uvloop.run(run(plan, divide(), progress.say, progress.at))
    progress.close()
    for line in table(results.rows):
        _say(line)
    _say(f"\n{results.seconds:.0f} s")
    return 0 if results.kept else 1


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
