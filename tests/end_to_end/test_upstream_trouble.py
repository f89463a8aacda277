"""An upstream that refuses, is silent, closes early or goes away: a clear Error and a clean close, never a hang."""

from __future__ import annotations

import pytest

from tests.end_to_end.client import Client, get, settings
from turngate.local.ports import free_port
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def arm(stack: Stack, fault: str, count: int = 1) -> None:
    await get(f"{stack.simulator_url}/faults?clear&next={fault}&count={count}")


async def test_a_refused_key_is_named_and_not_worth_another_try(stack: Stack) -> None:
    await arm(stack, "refuse_key")
    # It is told as soon as it is known, which may be before the client could say anything.
    async with Client(stack) as client:
        error = await client.until("Error")
        assert error["code"] == "invalid_api_key"
        assert await client.until_closed() == 1000


@pytest.mark.parametrize("fault", ["http_503", "close_before_created"])
async def test_a_passing_fault_before_the_session_is_dialled_over(stack: Stack, fault: str) -> None:
    await arm(stack, fault, 2)
    async with Client(stack) as client:
        await client.configured()
        assert "Hello" in await client.turn("Hello?")
        assert client.of_type("Error") == []


async def test_refused_settings_are_told_and_may_be_sent_again(stack: Stack) -> None:
    await arm(stack, "error_update")
    async with Client(stack) as client:
        await client.say(**settings())
        assert (await client.until("Error"))["code"] == "server_error"
        await client.configured()


async def test_a_refused_response_is_told_and_the_next_one_comes(stack: Stack) -> None:
    await arm(stack, "error_create")
    async with Client(stack) as client:
        await client.configured()
        await client.say(type="InjectUserMessage", content="One?")
        assert (await client.until("Error"))["code"] == "server_error"
        assert "Two" in await client.turn("Two?")


async def test_an_upstream_that_cannot_be_reached_or_says_nothing(own_redis_url: str) -> None:
    nowhere = f"ws://127.0.0.1:{free_port()}/v1/realtime"
    impatient = {"TURNGATE_UPSTREAM_CONNECT_TIMEOUT_MS": "1000", "TURNGATE_UPSTREAM_REPLY_TIMEOUT_MS": "500"}
    env = {**impatient, "TURNGATE_UPSTREAM_URL": nowhere}
    async with (
        Stack(redis_url=own_redis_url, translators=1, simulator=False, env=env) as stack,
        Client(stack) as client,
    ):
        await client.say(**settings())
        assert (await client.until("Error"))["code"] == "upstream_unreachable"
        assert await client.until_closed() == 1011
    async with Stack(redis_url=own_redis_url, translators=1, pace=0, env=impatient) as stack:
        await arm(stack, "silent")
        async with Client(stack) as client:
            await client.say(**settings())
            assert (await client.until("Error"))["code"] == "upstream_unreachable"
            assert await client.until_closed() == 1011
        await arm(stack, "silent_after_created")
        async with Client(stack, "/v1/agent/converse") as client:
            await client.say(**settings())
            assert (await client.until("Error"))["code"] == "upstream_timeout"
            assert await client.until_closed() == 1000
