"""``python -m benchmarks``: measure, and print. ``make bench`` also writes docs/performance.md."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import uvloop

from benchmarks.machine import divide
from benchmarks.plan import PARTS, SMOKE, Plan, narrowed
from benchmarks.report.page import PAGE, write
from benchmarks.run import run


def main() -> int:
    """Returns 1 when something was lost; a part that does not work raises."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=PARTS, nargs="+", help="these parts alone")
    parser.add_argument("--rounds", type=int, help="rounds over all subjects; figures are medians of them")
    parser.add_argument("--sessions", type=int, nargs="+", help="concurrent sessions")
    parser.add_argument("--seconds", type=float, help="how long each measurement lasts")
    parser.add_argument("--smoke", action="store_true", help="every part, as small and short as can be")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE}; needs every part")
    given = parser.parse_args()
    if given.write and (given.only or given.smoke):
        parser.error(f"{PAGE} is made of all parts at full size")
    plan = narrowed(SMOKE if given.smoke else Plan(), given.only, given.sessions, given.seconds)
    if given.rounds is not None:
        plan = replace(plan, rounds=given.rounds)
    results = uvloop.run(run(plan, divide(), _say))
    _say(f"\n{results.seconds:.0f} s")
    if given.write:
        write(results, f"make bench ROUNDS={plan.rounds}")
        _say(f"written: {PAGE}")
    failures = results.failures()
    for failure in failures:
        _say(f"failed: {failure}")
    return 1 if failures else 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
