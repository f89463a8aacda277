"""What a run has to say: how much was played and exercised, and each failing seed as a story."""

from __future__ import annotations

from collections import Counter

from tests.simulation import plan as plans
from tests.simulation.history import shown
from tests.simulation.plan import Plan
from tests.simulation.run import Verdict
from tests.simulation.shrink import shrink


def summary(sessions: int, failures: int, counts: Counter[str], cpu_seconds: float) -> str:
    """A few lines for the end of a run."""
    rate = f"{sessions / cpu_seconds:.0f} per CPU second" if cpu_seconds else "at once"
    lines = [f"{sessions} conversations ({rate}), {failures} failing seeds", "exercised:"]
    lines += [f"  {number:>8}  {name}" for name, number in sorted(counts.items())]
    return "\n".join(lines)


def story(verdict: Verdict) -> str:
    """A failing seed: what broke, the shortest history that was found, and how to play it again."""
    promise = verdict.violations[0].promise
    plan, shortest = shrink(plans.draw(verdict.seed), promise)
    lines = [f"seed {verdict.seed}:", *(f"  {violation}" for violation in verdict.violations)]
    lines += ["shortened:", *(f"  {violation}" for violation in shortest.violations), described(plan)]
    lines += [shown(outcome.history) for outcome in shortest.outcomes]
    lines.append(f"again: python -m tests.simulation --seed {verdict.seed} --verbose")
    return "\n".join(lines)


def described(plan: Plan) -> str:
    """One line about a plan, its scripts left out."""
    detection = plan.defaults.turn_detection
    return (
        f"  {plan.weather}, {'server' if detection.create_response else 'gateway'} owns turns by {detection.kind}, "
        f"{plan.behaviour.created_delay:g} s from acceptance to created, "
        f"{plan.distance:g} to {plan.distance + plan.jitter:g} s to the upstream"
    )
