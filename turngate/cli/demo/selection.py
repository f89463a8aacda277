"""What checks select from a run."""

from __future__ import annotations

from collections.abc import Iterator

from turngate.cli.demo.observations import DemoRun, Observation
from turngate.cli.demo.script import Scenario, Step


def steps_of(demo_run: DemoRun) -> Iterator[tuple[Scenario, Step]]:
    """All steps of the script, in order."""
    for scenario in demo_run.script:
        for step in scenario.steps:
            yield scenario, step


def received(demo_run: DemoRun, scenario: Scenario, step: Step, kind: str) -> list[Observation]:
    """The messages of this type that came in this step."""
    return [seen for seen in demo_run.select(scenario, step) if seen.source == "received" and seen.type == kind]


def where(scenario: Scenario, step: Step) -> str:
    """The step, as problems name it."""
    return f"{scenario.name}, {step.name}"
