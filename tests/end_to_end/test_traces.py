"""Whole traces, from real processes to a real receiver of OTLP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.collector import Collector, Received, collector, tree
from tests.end_to_end.client import PATIENCE_SECONDS, Client, get
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPLY = "realtime_inference gpt-realtime-2.1"
FIRST = [
    "gateway: invoke_agent",
    f"  gateway: {REPLY} -> translate",
    "  gateway: request InjectUserMessage -> translate",
    "    translator: translate",
    "  gateway: request UpdatePrompt -> release",
    "    session-state: hold",
    "    translator: release",
    "      gateway: apply -> request UpdatePrompt",
    "    translator: translate",
]
SECOND = [
    "gateway: invoke_agent",
    f"  gateway: {REPLY}",
    "  gateway: request InjectUserMessage",
    "    session-state: hold",
    "    translator: translate",
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traced(redis_url: str) -> AsyncIterator[tuple[Stack, Collector]]:
    """A stack that sends its traces to a collector."""
    url = f"{redis_url.rpartition('/')[0]}/5"
    with collector() as collected:
        async with Stack(redis_url=url, translators=1, pace=0.2, env=collected.env) as stack:
            yield stack, collected


def session_of(client: Client) -> str:
    return str(client.of_type("Welcome")[0]["request_id"])


async def until_held(stack: Stack, session: str, count: int) -> None:
    """Return when so many intents are held at session-state."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len((await get(f"{stack.session_state_url}/sessions/{session}")).get("held", ())) < count:
            await asyncio.sleep(0.01)


def named(trace: list[Received], name: str) -> Received:
    (found,) = [span for span in trace if span.name == name]
    return found


async def test_what_is_asked_for_in_a_reply_is_held_released_and_applied(traced: tuple[Stack, Collector]) -> None:
    stack, collected = traced
    async with Client(stack) as client:
        await client.configured()
        session = session_of(client)
        await client.say(type="InjectUserMessage", content="[say 60 words]")
        await client.until("AgentStartedSpeaking")
        await client.say(type="UpdatePrompt", prompt="Mind the cat.")
        await client.say(type="InjectUserMessage", content="And now?")
        await until_held(stack, session, 2)
        await client.until("PromptUpdated")
        await client.until("AgentAudioDone")
        first = await collected.trace(session, 1, FIRST)
        second = await collected.trace(session, 2, SECOND)
    assert (tree(first), tree(second)) == (FIRST, SECOND)
    release, asked = named(first, "release"), named(second, "request InjectUserMessage")
    carried = (release.trace, release.id)
    assert asked.links == named(second, REPLY).links == (carried,), "the release of the other"
    assert release.links == ((asked.trace, asked.id),), "one release for both"
    hold, apply = named(first, "hold"), named(first, "apply")
    assert hold.attributes["turngate.release.by"] == "turn"
    assert hold.attributes["turngate.release.merged"] == 2
    reply = named(first, REPLY)
    assert hold.began_at < reply.ended_at <= hold.ended_at <= apply.began_at < apply.ended_at
    assert named(first, "request UpdatePrompt").ended_at == apply.ended_at == named(first, "invoke_agent").ended_at
    assert {span.attributes["gen_ai.conversation.id"] for span in [*first, *second]} == {session}
