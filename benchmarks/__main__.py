"""``python -m benchmarks`` measures and prints the results. ``make bench`` also writes docs/performance.md."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import uvloop

from benchmarks.machine import divide
from benchmarks.plan import EVERY_PART, PEERS, SMOKE, Plan, narrowed
from benchmarks.run import run
from tests.progress import Progress

PAGE = Path("docs/performance.md")


def main() -> int:
    """Returns 1 if frames or answers were lost. A part that does not work raises."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=EVERY_PART, nargs="+", help="run only these parts")
    parser.add_argument("--peers", action="store_true", help="also measure other servers, those that are installed")
    parser.add_argument("--rounds", type=int, help="number of rounds over all subjects; results are their medians")
    parser.add_argument("--sessions", type=int, nargs="+", help="concurrent sessions")
    parser.add_argument("--seconds", type=float, help="duration of each measurement")
    parser.add_argument("--smoke", action="store_true", help="run every part with minimal size and duration")
    parser.add_argument(
        "--write", nargs="?", type=Path, const=PAGE, metavar="FILE", help=f"write this page ({PAGE}); needs every part"
    )
    given = parser.parse_args()
    if given.write and (given.only or (given.smoke and given.write == PAGE)):
        parser.error(f"{PAGE} needs all parts at full size")
    if given.write:
        # It needs matplotlib: better now than after the run.
        from benchmarks.report.page import write
    plan = narrowed(SMOKE if given.smoke else Plan(), given.only, given.sessions, given.seconds)
    if given.peers and PEERS not in plan.parts:
        plan = replace(plan, parts=(*plan.parts, PEERS))
    if given.rounds is not None:
        plan = replace(plan, rounds=given.rounds)
    progress = Progress(len(plan.parts), "parts")
    results = uvloop.run(run(plan, divide(), progress.say, progress.at))
    progress.close()
    _say(f"\n{results.seconds:.0f} s")
    if given.write:
        write(results, f"make bench ROUNDS={plan.rounds}{' PEERS=1' * given.peers}", given.write)
        _say(f"written: {given.write}")
    failures = results.failures()
    for failure in failures:
        _say(f"failed: {failure}")
    return 1 if failures else 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
