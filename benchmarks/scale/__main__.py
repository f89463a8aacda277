"""``python -m benchmarks.scale`` prints docs/scale.md from what was measured and simulated.

``--simulate`` runs the simulation (two minutes), and writes its results, the figure and the page: ``make scale``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.scale import costs, results
from benchmarks.scale.page import page

PAGE, FIGURE = Path("docs/scale.md"), Path("docs/images/scale-loss.svg")


def main() -> int:
    """Returns 1 if the results of the simulation are not those of the unit costs and settings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--simulate", action="store_true", help=f"simulate, and write {PAGE}")
    parser.add_argument("--sessions", type=int, help="simulate so many sessions, and print the results as text only")
    given = parser.parse_args()
    measured = costs.read()
    if given.sessions is not None:
        found = results.simulate(measured, results.plans(measured, given.sessions), _say)
        for name, loss in found.losses.items():
            _say(f"{name}: {loss.lost_during}, others {loss.others_during}, over after {loss.over:.0f} s")
        return 0
    if given.simulate:
        # It needs matplotlib: better now than after the run.
        from benchmarks.scale.figure import figure

        found = results.simulate(measured, results.plans(measured), _say)
        results.write(found)
        FIGURE.write_text(figure(found.losses[results.PLAIN]))
        PAGE.write_text(page(measured, found))
        return 0
    simulated: results.Simulated | None
    try:
        simulated = results.read()
    except (OSError, ValueError):
        simulated = None
    if simulated is None or not results.up_to_date(simulated, measured):
        _say("docs/scale.md is simulated from other unit costs or settings than these: make scale")
        return 1
    print(page(measured, simulated), end="")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
