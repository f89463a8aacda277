"""Deepgram's JavaScript SDK, unchanged, in Node; and the handshakes that it makes in a browser."""

from __future__ import annotations

import pytest

from tests.javascript.node import run
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_conversation_with_a_function_call(stack: Stack) -> None:
    said = await run("conversation.mjs", stack.gateway_url, "any-key")
    kinds = [message["type"] for message in said if "type" in message]
    for kind in ("Welcome", "SettingsApplied", "FunctionCallRequest", "AgentStartedSpeaking", "AgentAudioDone"):
        assert kind in kinds, said
    assert "Error" not in kinds
    assert "Warning" not in kinds
    words = [message for message in said if message.get("type") == "ConversationText"]
    assert [message["role"] for message in words].count("assistant") >= 2
    assert sum(message["audio"] for message in said if "audio" in message) > 0
    assert not any("error" in message for message in said)
    assert said[-1] == {"closed": 1000}


async def test_a_program_whose_connection_is_cut_goes_on_with_its_conversation(stack: Stack) -> None:
    """The SDK connects again by itself, and the program, which knows nothing of it, sends its Settings again."""
    said = await run("returning.mjs", stack.gateway_url.rpartition(":")[2], "any-key")
    first, second = [message for message in said if message["type"] == "Welcome"]
    assert second == {**first, "resumed": True}
    words = [message["content"] for message in said if message["type"] == "ConversationText"]
    assert words.count("Welcome to the show.") == 1
    assert "Mind the cat." in words[-1]
    assert not [message for message in said if message["type"] in ("Error", "Warning")]


@pytest.mark.parametrize("scheme", ["token", "bearer"])
async def test_the_handshake_of_a_browser(stack: Stack, scheme: str) -> None:
    url = f"{stack.gateway_url}/v1/agent/converse"
    session = "0f7d2c1e-0000-4000-8000-000000000001"
    (answer,) = await run("browser_handshake.mjs", url, scheme, "any-key", "x-deepgram-session-id", session)
    assert answer == {"protocol": scheme, "first": "Welcome"}


async def test_a_page_connects_with_a_token_that_its_server_made(own_redis_url: str) -> None:
    env = {"TURNGATE_API_KEYS": "k3y", "TURNGATE_TOKEN_SECRET": "a-secret-of-thirty-two-characters-or-more"}
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as locked:
        said = await run("token.mjs", locked.gateway_url.replace("ws:", "http:"), locked.gateway_url, "k3y")
    life, models, refused, first = said
    assert life == {"expiresIn": 45}
    assert [model["id"] for model in models["models"]] == ["gpt-realtime-2.1"]
    assert refused == {"refused": 403}
    assert first == {"first": "Welcome"}
