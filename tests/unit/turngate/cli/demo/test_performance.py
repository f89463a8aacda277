"""The shell of the demo, with short scripts, at a stand-in on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.unit.turngate.cli.standin import VOICE, StandIn, standin
from turngate.cli.demo.observations import Performance, replies
from turngate.cli.demo.performance import Performer
from turngate.cli.demo.script import OPENING, Scene, Step
from turngate.cli.errors import CommandError
from turngate.cli.functions import Functions
from turngate.cli.messages import COMPONENT_PATH, settings, update_prompt

FUNCTIONS = Functions.model_validate({"functions": [{"name": "get_weather", "parameters": {}}]})
TEXT = Step("text", text="one")
UPDATE = Step("update", text="two", updates=(update_prompt("Rhyme."),))
CALL = Step("call", text="weather in Oslo")
SCENE = Scene("scene", COMPONENT_PATH, settings("Be brief."), (TEXT, UPDATE, CALL), FUNCTIONS)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    monkeypatch.setattr("turngate.cli.demo.performance.AFTERWARDS_S", 0.0)
    async with standin() as server:
        yield server


def performer(server: StandIn, *scenes: Scene) -> tuple[Performer, list[str]]:
    shown: list[str] = []

    def progress(performance: Performance, scene: Scene, step: str) -> None:
        shown.append(f"{scene.name}: {step}")

    return Performer(scenes, url=server.url, simulator_url=None, session_state_url=None, progress=progress), shown


async def test_every_step_is_performed_observed_and_shown(server: StandIn) -> None:
    demo, shown = performer(server, SCENE, replace(SCENE, name="other", path="/v1/agent/converse"))
    await demo.perform()
    steps = [OPENING, "text", "update", "call"]
    assert shown == [f"{scene}: {step}" for scene in ("scene", "other") for step in steps]
    assert server.paths == ["/openai", "/v1/agent/converse"]
    said = [reply.text for step in SCENE.steps for reply in replies(demo.performance.select(SCENE, step))]
    assert said == [
        "You said: one",
        "You said: two",
        'The result is {"error": "get_weather has no answer for these arguments"}',
    ]
    assert [seen.type for seen in demo.performance.select(SCENE, UPDATE) if seen.source == "sent"] == [
        "InjectUserMessage",
        "UpdatePrompt",
    ]
    updated = [seen.step for seen in demo.performance.select(SCENE) if seen.type == "PromptUpdated"]
    assert updated == [UPDATE.name]
    assert bytes(demo.voice) == VOICE * 6
    assert not demo.performance.watched


async def test_observations_are_in_the_order_of_their_time(server: StandIn) -> None:
    demo, _ = performer(server, SCENE)
    await demo.perform()
    times = [seen.at for seen in demo.performance.observations]
    assert times == sorted(times)


@pytest.mark.parametrize(("text", "why"), [("fail", "FAILED_TO_THINK: nobody thinks"), ("hang up", "code 1011")])
async def test_what_was_seen_before_the_end_is_kept(server: StandIn, text: str, why: str) -> None:
    demo, shown = performer(server, replace(SCENE, steps=(TEXT, Step("bad", text=text), UPDATE)))
    with pytest.raises(CommandError, match=why):
        await demo.perform()
    assert shown == [f"scene: {OPENING}", "scene: text", "scene: bad"]
    assert {seen.step for seen in demo.performance.observations} == {OPENING, "text", "bad"}
    assert bytes(demo.voice) == VOICE
