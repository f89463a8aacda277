"""The gateway in front of a Realtime server that was not written here, and that deviates from OpenAI's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.end_to_end.client import Client
from tests.end_to_end.independent_upstream import Upstream, independent_upstream
from tests.end_to_end.test_numbers import Number
from turngate.local.stack import Stack


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with independent_upstream() as running:
        yield running


@pytest.fixture
async def own_stack(redis_url: str, upstream: Upstream) -> AsyncIterator[Stack]:
    env = {"TURNGATE_UPSTREAM_URL": upstream.url}
    async with Stack(redis_url=redis_url, translators=1, simulator=False, env=env) as running:
        yield running


@pytest.fixture
async def client(own_stack: Stack) -> AsyncIterator[Client]:
    async with Client(own_stack) as client:
        yield client


async def said(client: Client, words: str) -> None:
    await client.until(
        "ConversationText", lambda message: message["role"] == "assistant" and words in message["content"]
    )
    await client.until("AgentAudioDone")


async def test_settings_are_applied_and_text_turns_answered(client: Client, upstream: Upstream) -> None:
    await client.configured(prompt="Be brief.")
    for question, answer in (("Good morning", "And to you."), ("How are you?", "Well.")):
        await client.say(type="InjectUserMessage", content=question)
        prompt = await upstream.asked()
        assert upstream.instructions(prompt) == "Be brief."
        assert question in upstream.conversation(prompt)
        upstream.answer(prompt, answer)
        await said(client, answer)
    shown = [message["content"] for message in client.of_type("ConversationText") if message["role"] == "user"]
    assert shown == ["Good morning", "How are you?"], "each is shown when the upstream has it"
    assert any(isinstance(message, bytes) for message in client.received), "the agent speaks"
    assert client.of_type("Error") == client.of_type("Warning") == []


async def test_what_comes_in_a_reply_is_held_until_its_end(client: Client, upstream: Upstream) -> None:
    await client.configured(prompt="Be brief.")
    await client.say(type="InjectUserMessage", content="One?")
    first = await upstream.asked()
    await client.say(type="UpdatePrompt", prompt="Never shout.")
    await client.say(type="InjectUserMessage", content="Two?")
    upstream.answer(first, "The first.")
    await said(client, "The first.")
    assert client.of_type("PromptUpdated") == []
    second = await upstream.asked()
    assert upstream.instructions(second) == "Be brief.\n\nNever shout."
    assert "Two?" in upstream.conversation(second)
    upstream.answer(second, "The second.")
    await said(client, "The second.")
    assert len(client.of_type("PromptUpdated")) == 1
    assert client.of_type("Error") == client.of_type("Warning") == []


async def test_a_request_that_collides_is_answered_after_the_response_that_beat_it(
    client: Client, upstream: Upstream, own_stack: Stack
) -> None:
    await client.configured()
    # The server is about to answer this by itself, and tells nobody yet.
    upstream.hear("Spoken?")
    own = await upstream.asked()
    await client.say(type="InjectUserMessage", content="Typed?")
    await upstream.refused("conversation_already_has_active_response")
    upstream.answer(own, "To the spoken.")
    await said(client, "To the spoken.")
    typed = await upstream.asked()
    assert "Typed?" in upstream.conversation(typed)
    upstream.answer(typed, "To the typed.")
    await said(client, "To the typed.")
    assert client.of_type("Error") == client.of_type("Warning") == []
    assert await Number(own_stack, "gateway", "collisions_absorbed_total").now() == 1
