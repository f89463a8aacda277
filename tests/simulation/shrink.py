"""Cutting a failing plan down: fewer steps, fewer sessions, better weather, as long as the same promise breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.plan import Plan
from tests.simulation.run import Verdict, play


def shrink(plan: Plan, promise: str, *, most: int = 300) -> tuple[Plan, Verdict]:
    """The smallest plan that was found within ``most`` attempts, and what is wrong with it."""
    best = play(plan)
    attempts = 0
    shrunk = True
    while shrunk:
        shrunk = False
        for smaller in _smaller(plan):
            attempts += 1
            if attempts > most:
                return plan, best
            verdict = play(smaller)
            if any(violation.promise == promise for violation in verdict.violations):
                plan, best, shrunk = smaller, verdict, True
                break
    return plan, best


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Every plan that is one cut away, the deepest cuts first."""
    scripts = plan.scripts
    if len(scripts) > 2:
        half = len(scripts) // 2
        yield replace(plan, scripts=scripts[:half])
        yield replace(plan, scripts=scripts[half:])
    if len(scripts) > 1:
        for index in range(len(scripts)):
            yield replace(plan, scripts=scripts[:index] + scripts[index + 1 :])
    weather = plan.weather
    for calmer in (
        replace(weather, loss=0.0),
        replace(weather, duplication=0.0),
        replace(weather, lateness=0.0),
        replace(weather, death=0.0),
        replace(weather, refusals=()),
    ):
        if calmer != weather:
            yield replace(plan, weather=calmer)
    for index in range(len(weather.outages)):
        outages = weather.outages[:index] + weather.outages[index + 1 :]
        yield replace(plan, weather=replace(weather, outages=outages))
    for index, script in enumerate(scripts):
        length = len(script.steps)
        size = length // 2
        while size:
            for start in range(0, length, size):
                steps = script.steps[:start] + script.steps[start + size :]
                cut = replace(script, steps=steps)
                yield replace(plan, scripts=(*scripts[:index], cut, *scripts[index + 1 :]))
            size //= 2
    if plan.translators > 1:
        yield replace(plan, translators=1)
    if plan.jitter:
        yield replace(plan, jitter=0.0)
