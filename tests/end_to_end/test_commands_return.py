"""The commands' client, whose connection is lost, goes on with its conversation on a real gateway."""

from __future__ import annotations

import pytest

from turngate.cli.agent_session import open_session
from turngate.cli.functions import Functions
from turngate.cli.messages import Message, settings, update_prompt
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

_PATIENCE, _TEXT = 30.0, "ConversationText"


async def test_a_conversation_goes_on_with_its_memory_and_one_greeting(stack: Stack) -> None:
    heard: list[str] = []
    told: list[str] = []

    def observe(direction: str, message: Message | bytes) -> None:
        if not isinstance(message, bytes) and message.get("role") == "assistant" and message["type"] == _TEXT:
            heard.append(message["content"])

    opening = settings("Be brief.", greeting="Welcome to the show.")
    async with open_session(
        stack.gateway_url, "/v1/agent/converse", opening, Functions(), observe=observe, notice=told.append
    ) as session:
        await session.until(lambda: session.tracker.replies == 1, timeout_s=_PATIENCE, what="greeting")
        await session.say("My name is Ada.")
        await session.until(lambda: session.tracker.replies == 2, timeout_s=_PATIENCE, what="reply")
        await session.request(update_prompt("Mind the cat."))
        await session.until(lambda: session.settled, timeout_s=_PATIENCE, what="PromptUpdated")
        assert session._client._connection is not None
        session._client._connection.transport.abort()
        await session.until(lambda: session._client._open and len(told) == 2, timeout_s=_PATIENCE, what="return")
        await session.say("What are your instructions?")
        await session.until(lambda: session.tracker.replies == 3, timeout_s=_PATIENCE, what="reply after the return")
    assert told == ["the connection is lost; connecting again ...", "the conversation goes on"]
    assert heard.count("Welcome to the show.") == 1
    assert "Mind the cat." in heard[-1]
