"""The demo's runner with short scripts and a fake gateway on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.unit.turngate.cli.fake_gateway import VOICE, FakeGateway, fake_gateway
from turngate.cli.demo.observations import DemoRun, replies
from turngate.cli.demo.runner import DemoRunner
from turngate.cli.demo.script import OPENING, Scenario, Step
from turngate.cli.errors import CommandError
from turngate.cli.functions import Functions
from turngate.cli.messages import COMPONENT_PATH, settings, update_prompt

FUNCTIONS = Functions.model_validate({"functions": [{"name": "get_weather", "parameters": {}}]})
TEXT = Step("text", text="one")
UPDATE = Step("update", text="two", updates=(update_prompt("Rhyme."),))
CALL = Step("call", text="weather in Oslo")
SCENARIO = Scenario("scene", COMPONENT_PATH, settings("Be brief."), (TEXT, UPDATE, CALL), FUNCTIONS)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeGateway]:
    monkeypatch.setattr("turngate.cli.demo.runner.AFTERWARDS_S", 0.0)
    async with fake_gateway() as server:
        yield server


def runner(server: FakeGateway, *scenarios: Scenario) -> tuple[DemoRunner, list[str]]:
    shown: list[str] = []

    def progress(demo_run: DemoRun, scenario: Scenario, step: str) -> None:
        shown.append(f"{scenario.name}: {step}")

    return DemoRunner(scenarios, url=server.url, simulator_url=None, session_state_url=None, progress=progress), shown


async def test_every_step_is_run_observed_and_shown(server: FakeGateway) -> None:
    demo, shown = runner(server, SCENARIO, replace(SCENARIO, name="other", path="/v1/agent/converse"))
    await demo.run()
    steps = [OPENING, "text", "update", "call"]
    assert shown == [f"{scenario}: {step}" for scenario in ("scene", "other") for step in steps]
    assert server.paths == ["/openai?resumable=1", "/v1/agent/converse?resumable=1"]
    said = [reply.text for step in SCENARIO.steps for reply in replies(demo.demo_run.select(SCENARIO, step))]
    assert said == [
        "You said: one",
        "You said: two",
        'The result is {"error": "get_weather has no answer for these arguments"}',
    ]
    assert [seen.type for seen in demo.demo_run.select(SCENARIO, UPDATE) if seen.source == "sent"] == [
        "InjectUserMessage",
        "UpdatePrompt",
    ]
    updated = [seen.step for seen in demo.demo_run.select(SCENARIO) if seen.type == "PromptUpdated"]
    assert updated == [UPDATE.name]
    assert bytes(demo.voice) == VOICE * 6
    assert not demo.demo_run.watched


async def test_observations_are_in_chronological_order(server: FakeGateway) -> None:
    demo, _ = runner(server, SCENARIO)
    await demo.run()
    times = [seen.at for seen in demo.demo_run.observations]
    assert times == sorted(times)


@pytest.mark.parametrize(("text", "why"), [("fail", "FAILED_TO_THINK: nobody thinks"), ("hang up", "code 1011")])
async def test_observations_are_kept_when_the_run_fails(server: FakeGateway, text: str, why: str) -> None:
    demo, shown = runner(server, replace(SCENARIO, steps=(TEXT, Step("bad", text=text), UPDATE)))
    with pytest.raises(CommandError, match=why):
        await demo.run()
    assert shown == [f"scene: {OPENING}", "scene: text", "scene: bad"]
    assert {seen.step for seen in demo.demo_run.observations} == {OPENING, "text", "bad"}
    assert bytes(demo.voice) == VOICE


async def test_a_client_goes_on_when_its_gateway_is_killed(
    server: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("turngate.cli.demo.runner._WORDS_S", 0.0)
    server.handle_given, server.resumed = "h1", [True]
    step = Step("killed", text="begin", kill=True)
    scenario = replace(SCENARIO, steps=(step, TEXT))
    demo = DemoRunner(
        (scenario,),
        url=server.url,
        simulator_url=None,
        session_state_url=None,
        progress=lambda demo_run, scenario, step: None,
        kill_gateway=server.abort,
    )
    await demo.run()
    seen = demo.demo_run.select(scenario, step)
    assert [one.message["description"] for one in seen if one.source in {"fault", "notice"}] == [
        "the gateway is killed",
        "the connection is lost; connecting again ...",
        "the conversation goes on",
    ]
    assert [reply.text for reply in replies(seen)] == ["You said: cut"]
    assert [reply.text for reply in replies(demo.demo_run.select(scenario, TEXT))] == ["You said: one"]
