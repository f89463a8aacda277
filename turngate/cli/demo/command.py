"""``turngate demo``: perform the script, draw the timeline, judge the expectations."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.text import Text

from turngate.cli.client import ApiKey
from turngate.cli.demo.expectations import judge
from turngate.cli.demo.observations import Performance
from turngate.cli.demo.performance import Performer
from turngate.cli.demo.script import Scene, script
from turngate.cli.demo.timeline import render, timeline
from turngate.cli.demo.verdict import Verdict
from turngate.cli.errors import FAILED, CommandError, run
from turngate.cli.functions import Functions
from turngate.cli.messages import OUTPUT_RATE
from turngate.cli.wav import parse_wav, write_wav

_RECORDINGS = {"hello": "hello-16k.wav", "rivers": "rivers-16k.wav", "goodbye": "goodbye-24k.wav"}


@dataclass(frozen=True, slots=True)
class Services:
    """Where the demo goes; None for what is not there to be asked."""

    url: str
    simulator_url: str | None
    session_state_url: str | None


def demo(
    url: Annotated[str | None, typer.Option(help="A running gateway; without it, the demo starts everything.")] = None,
    simulator_url: Annotated[
        str | None, typer.Option(help="With --url: the HTTP of the simulator behind it, for its record.")
    ] = None,
    session_state_url: Annotated[
        str | None, typer.Option(help="With --url: the admin HTTP of a session-state.")
    ] = None,
    api_key: ApiKey = None,
    out: Annotated[Path, typer.Option(help="Where the agent's voice goes: 24000 Hz WAV.")] = Path("out/demo.wav"),
) -> None:
    """Hold a scripted conversation by voice and text, show whose turn it is throughout, and check what happened.

    Exits with 0 only if every expectation is met.
    """
    given = None if url is None else Services(url, simulator_url, session_state_url)
    run(_demo(given, out, Console(highlight=False), api_key))


async def _demo(given: Services | None, out: Path, console: Console, api_key: str | None) -> int:
    assets = files("turngate.cli.demo")
    functions = Functions.model_validate_json((assets / "functions.json").read_bytes())
    recordings = {name: parse_wav(file, (assets / file).read_bytes()) for name, file in _RECORDINGS.items()}
    mark = uuid4().hex[:8]
    async with _services(given, console) as services:
        performer = Performer(
            script(functions, recordings, mark),
            url=services.url,
            simulator_url=services.simulator_url and services.simulator_url.rstrip("/"),
            session_state_url=services.session_state_url and services.session_state_url.rstrip("/"),
            progress=lambda performance, scene, step: _show(console, performance, scene, step),
            api_key=api_key,
        )
        broken_off: CommandError | None = None
        try:
            await performer.perform()
        except CommandError as error:
            broken_off = error
    seconds = write_wav(out, bytes(performer.voice), OUTPUT_RATE)
    console.print(f"\n{seconds:.1f} s of the agent's voice in {out}", style="dim")
    verdicts = judge(performer.performance)
    if broken_off is not None:
        verdicts.insert(0, Verdict("the conversation was held to its end", (str(broken_off),)))
    return _report(console, verdicts)


@asynccontextmanager
async def _services(given: Services | None, console: Console) -> AsyncIterator[Services]:
    """What was given, or a stack of its own: with the simulator, unless there is a key for the real service."""
    if given is not None:
        yield given
        return
    from turngate.local.stack import Stack, StackError  # Only this command needs it.

    simulated = not os.environ.get("OPENAI_API_KEY") and not os.environ.get("TURNGATE_UPSTREAM_URL")
    upstream = "the simulator" if simulated else "a real one, by your settings"
    console.print(f"starting turngate; the model is {upstream}", style="dim")
    try:
        async with Stack(simulator=simulated) as stack:
            yield Services(stack.gateway_url, stack.simulator_url if simulated else None, stack.session_state_url)
    except StackError as error:
        raise CommandError(str(error)) from None


def _show(console: Console, performance: Performance, scene: Scene, step: str) -> None:
    """Draw one step of the timeline; seconds count from the first thing that was seen."""
    console.print(Text.assemble("\n", (f"{scene.name} ({scene.path}): {step}", "bold")))
    start = performance.observations[0].at
    for line in timeline(performance, scene, step):
        console.print(render(line, start), soft_wrap=True)


def _report(console: Console, verdicts: list[Verdict]) -> int:
    """Print every verdict; the exit code."""
    console.print()
    for verdict in verdicts:
        console.print(draw(verdict), soft_wrap=True)
    failed = sum(verdict.failed for verdict in verdicts)
    met = sum(not verdict.failed and verdict.unchecked is None for verdict in verdicts)
    unchecked = len(verdicts) - met - failed
    rest = "".join(f", {count} {what}" for count, what in ((failed, "failed"), (unchecked, "not checked")) if count)
    console.print(f"\n{met} of {len(verdicts)} expectations met{rest}", style="bold")
    return FAILED if failed else 0


def draw(verdict: Verdict) -> Text:
    """One verdict for a terminal, with what was seen instead."""
    if verdict.unchecked is not None:
        return Text.assemble(("  – ", "yellow"), f"{verdict.expectation} (not checked: {verdict.unchecked})")
    if not verdict.failed:
        return Text.assemble(("  ✓ ", "bold green"), verdict.expectation)
    problems = "".join(f"\n      {problem}" for problem in verdict.problems)
    return Text.assemble(("  ✗ ", "bold red"), verdict.expectation, problems)
