"""``turngate demo``: runs the script, prints the timeline, and reports the checks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
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
from turngate.cli.demo.balancer import balanced
from turngate.cli.demo.check_result import CheckResult
from turngate.cli.demo.checks import run_checks
from turngate.cli.demo.observations import DemoRun
from turngate.cli.demo.runner import DemoRunner
from turngate.cli.demo.script import Scenario, killed_gateway, lost_connection, script
from turngate.cli.demo.timeline import render, timeline
from turngate.cli.errors import FAILED, CommandError, run
from turngate.cli.functions import Functions
from turngate.cli.messages import OUTPUT_RATE
from turngate.cli.wav import parse_wav, write_wav

_RECORDINGS = {"hello": "hello-16k.wav", "rivers": "rivers-16k.wav", "goodbye": "goodbye-24k.wav"}


@dataclass(frozen=True, slots=True)
class Services:
    """The addresses of the services; None for one that is not available."""

    url: str
    simulator_url: str | None
    session_state_url: str | None
    #: Kills the gateway that serves the client; another one is there.
    kill_gateway: Callable[[], None] | None = None


def demo(
    url: Annotated[str | None, typer.Option(help="A running gateway. Default: start all services.")] = None,
    simulator_url: Annotated[
        str | None, typer.Option(help="With --url: the HTTP address of the gateway's simulator, for its event record.")
    ] = None,
    session_state_url: Annotated[
        str | None, typer.Option(help="With --url: the admin HTTP of a session-state process.")
    ] = None,
    api_key: ApiKey = None,
    out: Annotated[Path, typer.Option(help="File for the agent's audio (24000 Hz WAV).")] = Path("out/demo.wav"),
) -> None:
    """Run a scripted conversation with speech and text, show it as a timeline, and check what happened.

    The exit code is 0 only if no expectation failed.
    """
    given = None if url is None else Services(url, simulator_url, session_state_url)
    run(_demo(given, out, Console(highlight=False), api_key))


async def _demo(given: Services | None, out: Path, console: Console, api_key: str | None) -> int:
    assets = files("turngate.cli.demo")
    functions = Functions.model_validate_json((assets / "functions.json").read_bytes())
    recordings = {name: parse_wav(file, (assets / file).read_bytes()) for name, file in _RECORDINGS.items()}
    mark = uuid4().hex[:8]
    async with _services(given, console) as services:
        scenarios = script(functions, recordings, mark)
        if services.simulator_url is not None:
            scenarios = (*scenarios, lost_connection(mark))
        if services.kill_gateway is not None:
            scenarios = (*scenarios, killed_gateway(mark))
        runner = DemoRunner(
            scenarios,
            url=services.url,
            simulator_url=services.simulator_url and services.simulator_url.rstrip("/"),
            session_state_url=services.session_state_url and services.session_state_url.rstrip("/"),
            progress=lambda demo_run, scenario, step: _show(console, demo_run, scenario, step),
            api_key=api_key,
            kill_gateway=services.kill_gateway,
        )
        broken_off: CommandError | None = None
        try:
            await runner.run()
        except CommandError as error:
            broken_off = error
    seconds = write_wav(out, bytes(runner.voice), OUTPUT_RATE)
    console.print(f"\n{seconds:.1f} s of the agent's voice in {out}", style="dim")
    results = run_checks(runner.demo_run)
    if broken_off is not None:
        results.insert(0, CheckResult("the script was run to its end", (str(broken_off),)))
    return _report(console, results)


@asynccontextmanager
async def _services(given: Services | None, console: Console) -> AsyncIterator[Services]:
    """The given services, or a new stack. It uses the simulator unless the environment configures another upstream."""
    if given is not None:
        yield given
        return
    from turngate.local.stack import Stack, StackError  # Only this command needs it.

    simulated = not os.environ.get("OPENAI_API_KEY") and not os.environ.get("TURNGATE_UPSTREAM_URL")
    upstream = "the simulator" if simulated else "the one configured in the environment"
    console.print(f"starting turngate; the upstream is {upstream}", style="dim")
    try:
        async with Stack(simulator=simulated, gateways=2) as stack, balanced(stack.gateway_urls) as url:
            simulator_url = stack.simulator_url if simulated else None
            # The load balancer prefers the first gateway, which must not come back.
            kill = stack.processes["gateway-1"].kill_permanently
            yield Services(url, simulator_url, stack.session_state_url, kill)
    except StackError as error:
        raise CommandError(str(error)) from None


def _show(console: Console, demo_run: DemoRun, scenario: Scenario, step: str) -> None:
    """Print one step of the timeline, with seconds since the first observation."""
    console.print(Text.assemble("\n", (f"{scenario.name} ({scenario.path}): {step}", "bold")))
    start = demo_run.observations[0].at
    for line in timeline(demo_run, scenario, step):
        console.print(render(line, start), soft_wrap=True)


def _report(console: Console, results: list[CheckResult]) -> int:
    """Print all results; returns the exit code."""
    console.print()
    for check_result in results:
        console.print(draw(check_result), soft_wrap=True)
    failed = sum(check_result.failed for check_result in results)
    met = sum(not check_result.failed and check_result.unchecked is None for check_result in results)
    unchecked = len(results) - met - failed
    rest = "".join(f", {count} {what}" for count, what in ((failed, "failed"), (unchecked, "not checked")) if count)
    console.print(f"\n{met} of {len(results)} expectations met{rest}", style="bold")
    return FAILED if failed else 0


def draw(check_result: CheckResult) -> Text:
    """One result for a terminal, with its problems."""
    if check_result.unchecked is not None:
        return Text.assemble(("  – ", "yellow"), f"{check_result.expectation} (not checked: {check_result.unchecked})")
    if not check_result.failed:
        return Text.assemble(("  ✓ ", "bold green"), check_result.expectation)
    problems = "".join(f"\n      {problem}" for problem in check_result.problems)
    return Text.assemble(("  ✗ ", "bold red"), check_result.expectation, problems)
