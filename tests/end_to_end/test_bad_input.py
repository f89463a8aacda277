"""Bad input: each gets the reaction that its dialect names, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.end_to_end.client import Client, settings
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGENT, COMPONENT = "/v1/agent/converse", "/openai"
FRAMES = [
    ("not JSON", "{oops", "UNPARSABLE_CLIENT_MESSAGE", ""),
    ("not an object", "[1, 2]", "UNPARSABLE_CLIENT_MESSAGE", ""),
    ("deeply nested", "[" * 100_000, "UNPARSABLE_CLIENT_MESSAGE", ""),
    ("unknown type", '{"type": "Sing"}', None, "Sing"),
    ("missing field", '{"type": "InjectUserMessage"}', "UNPARSABLE_CLIENT_MESSAGE", "content"),
    ("wrong type", '{"type": "UpdatePrompt", "prompt": 7}', "UNPARSABLE_CLIENT_MESSAGE", "prompt"),
]


@pytest.mark.parametrize("path", [AGENT, COMPONENT])
@pytest.mark.parametrize(("what", "frame", "code", "named"), FRAMES, ids=[frame[0] for frame in FRAMES])
async def test_a_bad_frame_is_an_error_that_names_the_field_and_the_session_goes_on(
    stack: Stack, path: str, what: str, frame: str, code: str | None, named: str
) -> None:
    unknown = "UNPARSABLE_CLIENT_MESSAGE" if path == AGENT else "disallowed_client_message_type"
    async with Client(stack, path) as client:
        await client.configured()
        await client.socket.send(frame)
        error = await client.until("Error")
        assert error["code"] == (code or unknown)
        assert named in error["description"]
        assert "Still there" in await client.turn("Still there?")


async def test_an_unknown_field_is_an_error_on_one_path_and_a_warning_on_the_other(stack: Stack) -> None:
    message = {"type": "UpdatePrompt", "prompt": "x", "colour": "red"}
    async with Client(stack, AGENT) as client:
        await client.configured()
        await client.say(**message)
        assert "colour" in (await client.until("Error"))["description"]
    async with Client(stack, COMPONENT) as client:
        await client.configured()
        await client.say(**message)
        assert "colour" in (await client.until("Warning"))["description"]
        await client.until("PromptUpdated")


@pytest.mark.parametrize("first", [b"\x00\x01", b'{"type":"Settings"}', '{"type":"UpdatePrompt","prompt":"x"}'])
async def test_anything_before_settings_ends_an_agent_session_and_only_annoys_the_component(
    stack: Stack, first: bytes | str
) -> None:
    async with Client(stack, AGENT) as client:
        await client.socket.send(first)
        assert (await client.until("Error"))["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
        assert await client.until_closed() == 1000
    async with Client(stack, COMPONENT) as client:
        await client.socket.send(first)
        assert (await client.until("Error"))["code"] == "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS"
        await client.configured()


async def test_settings_twice(stack: Stack) -> None:
    async with Client(stack, AGENT) as client:
        await client.configured()
        await client.say(**settings())
        assert (await client.until("Error"))["code"] == "SETTINGS_ALREADY_APPLIED"
        assert "Fine" in await client.turn("Fine?")
    async with Client(stack, COMPONENT) as client:
        await client.configured()
        await client.configured()


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"agent": "c0ffee00-0000-0000-0000-000000000000"}, "AGENT_ID_NOT_SUPPORTED", "agent"),
        ({"agent": {"think": {"prompt": "no provider"}}}, "UNPARSABLE_CLIENT_MESSAGE", "agent.think.provider"),
        ({"audio": {"input": {"encoding": "opus", "sample_rate": 48000}}}, "INVALID_SETTINGS", "linear16"),
    ],
)
async def test_impossible_settings_end_an_agent_session_with_the_reason(
    stack: Stack, change: dict[str, Any], code: str, named: str
) -> None:
    """Rows "agent: fatal Error", "agent: Error `INVALID_SETTINGS`", "agent: Error `AGENT_ID_NOT_SUPPORTED`": the
    reason, then a close that does not make clients try again."""
    async with Client(stack, AGENT) as client:
        await client.say(**{**settings(), **change})
        error = await client.until("Error")
        assert error["code"] == code
        assert named in error["description"]
        assert await client.until_closed() == 1000


async def test_a_frame_of_20_mb_closes_its_session_and_no_other(stack: Stack) -> None:
    async with Client(stack) as neighbour, Client(stack) as client:
        await neighbour.configured()
        await client.configured()
        with contextlib.suppress(ConnectionClosed):
            await client.socket.send(bytes(20_000_000))
        assert await client.until_closed() == 1009
        assert "Hello" in await neighbour.turn("Hello?")


async def test_a_burst_of_10_000_messages_is_answered_message_by_message(own_redis_url: str) -> None:
    """Where the rate of messages has no limit."""
    env = {"TURNGATE_CLIENT_TEXTS_PER_SECOND": "0", "TURNGATE_CLIENT_TEXT_BYTES_PER_SECOND": "0"}
    async with (
        Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as stack,
        Client(stack) as neighbour,
        Client(stack) as client,
    ):
        await neighbour.configured()
        await client.configured()

        async def burst() -> None:
            for n in range(10_000):
                await client.say(type="InjectUserMessage", content=f"message {n}")

        sending = asyncio.create_task(burst())
        assert "Hello" in await neighbour.turn("Hello?")
        refused = echoed = 0
        async with asyncio.timeout(120):
            while refused + echoed < 10_000:
                await client._receive()
                message = client.received[-1]
                if isinstance(message, dict):
                    refused += message.get("code") == "TOO_MANY_REQUESTS"
                    echoed += message["type"] == "ConversationText" and message["role"] == "user"
        await sending
        assert refused > 0
        assert echoed > 0


async def test_a_client_too_many_is_refused_before_the_upgrade(own_redis_url: str) -> None:
    """Row "agent: Upgrade"."""
    env = {"TURNGATE_SESSIONS_MAX": "1"}
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as stack, Client(stack, AGENT) as client:
        await client.configured()
        with pytest.raises(InvalidStatus) as refused:
            await connect(stack.gateway_url + AGENT)
        assert refused.value.response.status_code == 429
        assert "Still there" in await client.turn("Still there?")


async def test_a_path_that_does_not_exist_is_refused_before_the_upgrade(stack: Stack) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(stack.gateway_url + "/v2/agent")
    assert refused.value.response.status_code == 404
