"""A conversation goes on when the connection to the upstream is lost, on real processes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.end_to_end.client import Client, get
from tests.unit.gateway.sound import tone
from turngate.local.stack import Stack
from turngate.simulator.faults import Fault

pytestmark = pytest.mark.asyncio(loop_scope="session")

_LONG = "[say 60 words]"


async def arm(stack: Stack, fault: str, count: int = 1) -> None:
    await get(f"{stack.simulator_url}/faults?clear&next={fault}&count={count}")


def words(client: Client) -> list[str]:
    """What the agent has said, as the client was told."""
    return [one["content"] for one in client.of_type("ConversationText") if one["role"] == "assistant"]


def starts(client: Client) -> int:
    return len(client.of_type("AgentStartedSpeaking"))


async def test_a_connection_that_is_lost_before_the_first_settings_are_confirmed_costs_time_only(stack: Stack) -> None:
    await arm(stack, "close_before_updated")
    async with Client(stack) as client:
        await client.configured()
        assert "Hello" in await client.turn("Hello?")
        assert client.of_type("Error") == []


@pytest.mark.parametrize("fault", ["close_in_response", "abort_in_response"])
async def test_a_reply_that_is_cut_off_goes_on_from_there(stack: Stack, fault: str) -> None:
    async with Client(stack, "/v1/agent/converse") as whole:
        await whole.configured()
        text = await whole.turn(_LONG)
    await arm(stack, fault)
    async with Client(stack, "/v1/agent/converse") as client:
        await client.configured()
        await client.say(type="InjectUserMessage", content=_LONG)
        await client.until("AgentAudioDone")
        assert " ".join(words(client)) == text
        assert (starts(client), len(client.of_type("AgentAudioDone"))) == (1, 1)
        assert client.of_type("Error") == []
        # And the conversation after it.
        assert "And now" in await client.turn("And now?")
        assert len(client.of_type("AgentAudioDone")) == 2


async def test_a_connection_that_does_not_answer_a_cancel_is_replaced(redis_url: str) -> None:
    env = {"TURNGATE_RESPONSE_SILENCE_MS": "500", "TURNGATE_UPSTREAM_REPLY_TIMEOUT_MS": "500"}
    url = f"{redis_url.rpartition('/')[0]}/3"
    async with Stack(redis_url=url, translators=1, pace=0.1, env=env) as stack:
        await arm(stack, Fault.CANCEL_UNANSWERED)
        async with Client(stack) as client:
            await client.configured()
            await client.say(type="InjectUserMessage", content="One?")
            assert (await client.until("Warning"))["code"] == "REPLY_STALLED"
            assert "Two" in await client.turn("Two?")
            assert client.of_type("Error") == []


@pytest.mark.parametrize("form", ["close", "error_then_close", "error"])
async def test_a_session_outlives_the_upstreams_longest_session(redis_url: str, form: str) -> None:
    env = {"TURNGATE_SIMULATOR_SESSION_SECONDS": "1", "TURNGATE_SIMULATOR_SESSION_END": form}
    url = f"{redis_url.rpartition('/')[0]}/3"
    async with Stack(redis_url=url, translators=1, pace=0.1, env=env) as stack, Client(stack) as client:
        await client.configured(functions=True)
        for number in range(4):
            await client.say(type="UpdatePrompt", prompt=f"Mind {number}.")
            await client.until("PromptUpdated")
            await client.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
            (call,) = (await client.until("FunctionCallRequest"))["functions"]
            # Long enough that connections end with the call open.
            await asyncio.sleep(0.6)
            await client.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content=f"Rain {number}")
            await client.until("AgentAudioDone")
            assert f"Rain {number}" in " ".join(words(client))
        await client.turn("What are your instructions?")
        # A reply that was cut off is told in two pieces.
        told = " ".join(words(client)).partition("My instructions are")[2]
        assert all(f"Mind {number}." in told for number in range(4))
        assert client.of_type("Error") == []
        assert len((await get(f"{stack.simulator_url}/sessions"))["sessions"]) > 2


async def test_a_call_is_answered_on_the_next_connection(stack: Stack) -> None:
    async with Client(stack) as client:
        await client.configured(functions=True)
        await client.say(type="InjectUserMessage", content='[call get_weather {"city": "Bergen"}] on another line')
        (call,) = (await client.until("FunctionCallRequest"))["functions"]
        await cut_upstream(stack, "on another line")
        await client.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content="Rain")
        await client.until("ConversationText", lambda message: "Rain" in message["content"])
        assert client.of_type("Error") == []


async def test_the_users_speech_goes_on_and_is_not_announced_again(stack: Stack) -> None:
    async with Client(stack) as client:
        await client.configured(prompt="I was cut while the user spoke.")
        await client.socket.send(tone(24_000, 440.0))
        await client.until("UserStartedSpeaking")
        await cut_upstream(stack, "I was cut while the user spoke.")
        await client.socket.send(tone(24_000, 440.0))
        await client.socket.send(bytes(48_000))
        reply = await client.until("ConversationText", lambda message: message["role"] == "assistant")
        # Both seconds were heard as one turn.
        assert "for 2." in reply["content"]
        assert len(client.of_type("UserStartedSpeaking")) == 1
        assert client.of_type("Error") == []


async def test_a_key_that_is_refused_later_ends_the_session(stack: Stack) -> None:
    async with Client(stack) as client:
        await client.configured(prompt="The key is refused later.")
        await arm(stack, "refuse_key")
        await cut_upstream(stack, "The key is refused later.")
        assert (await client.until("Error"))["code"] == "invalid_api_key"
        assert await client.until_closed() == 1000


async def test_the_client_hears_of_a_long_loss_and_of_its_end(redis_url: str) -> None:
    url = f"{redis_url.rpartition('/')[0]}/3"
    env = {"TURNGATE_UPSTREAM_CONNECT_TIMEOUT_MS": "2000"}
    async with Stack(redis_url=url, translators=1, pace=0.1, env=env) as stack, Client(stack) as client:
        await client.configured()
        # It takes the connection, and says nothing.
        await arm(stack, "silent")
        await cut_upstream(stack, "Be kind.")
        assert (await client.until("Warning"))["code"] == "UPSTREAM_RECONNECTING"
        assert (await client.until("Warning"))["code"] == "UPSTREAM_RECONNECTED"
        assert "Hello" in await client.turn("Hello?")


async def cut_upstream(stack: Stack, mark: str) -> None:
    """Abort the connection of the live session whose record has this text."""
    listed: dict[str, Any] = await get(f"{stack.simulator_url}/sessions")
    for session in listed["sessions"]:
        name = session["session"]
        if session["ended_at"] is None and mark in str(await get(f"{stack.simulator_url}/record/{name}")):
            await get(f"{stack.simulator_url}/cut/{name}")
            return
    raise AssertionError(f"no live session has {mark!r}")


@pytest.mark.parametrize("restore_as", ["items", "message"])
async def test_an_upstream_that_forgets_to_speak_is_reminded(redis_url: str, restore_as: str) -> None:
    """With an assistant's message in its history it answers in text."""
    url = f"{redis_url.rpartition('/')[0]}/3"
    env = {"TURNGATE_RESTORE_AS": restore_as}
    async with Stack(redis_url=url, translators=1, pace=0.1, env=env) as stack, Client(stack) as client:
        await client.configured(functions=True)
        assert "Ada" in await client.turn("My name is Ada.")
        await client.say(type="InjectUserMessage", content='[call get_weather {"city": "Bergen"}]')
        (call,) = (await client.until("FunctionCallRequest"))["functions"]
        await arm(stack, Fault.TEXT_AFTER_HISTORY)
        await cut_upstream(stack, "Ada")
        await client.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content="Rain")
        said = await client.until("ConversationText", lambda message: message["role"] == "assistant")
        await client.until("AgentAudioDone")
        assert "Rain" in said["content"] or "My name is Ada" in said["content"]
        assert "Two" in await client.turn("Two?")
        assert client.of_type("Warning") == []
        assert client.of_type("Error") == []


async def talk(stack: Stack) -> list[dict[str, Any]]:
    """A conversation with functions, updates and speech. Returns what the client was told, but for what depends on
    time."""
    async with Client(stack, "/v1/agent/converse") as client:
        await client.configured(functions=True, greeting="Welcome.")
        await client.until("AgentAudioDone")
        for number in range(2):
            await client.say(type="UpdatePrompt", prompt=f"Mind {number}.")
            await client.until("PromptUpdated")
            await client.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
            (call,) = (await client.until("FunctionCallRequest"))["functions"]
            await client.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content=f"Rain {number}")
            await client.until("AgentAudioDone")
            # Quiet enough for a connection to be replaced.
            await asyncio.sleep(0.8)
            await client.socket.send(tone(24_000, 440.0))
            await client.socket.send(bytes(48_000))
            await client.until("AgentAudioDone")
            await asyncio.sleep(0.8)
        await client.say(type="InjectUserMessage", content="What are your instructions?")
        await client.until("AgentAudioDone")
        return [one for one in client.received if isinstance(one, dict) and one["type"] in ("ConversationText", *_TOLD)]


_TOLD = ("UserStartedSpeaking", "AgentAudioDone", "PromptUpdated", "SettingsApplied", "Error", "Warning")


async def test_a_session_of_many_connections_is_for_its_client_like_one_of_one(redis_url: str) -> None:
    url = f"{redis_url.rpartition('/')[0]}/3"
    async with Stack(redis_url=url, translators=1, pace=1.0) as stack:
        one = await talk(stack)
    env = {"TURNGATE_UPSTREAM_ROLLOVER_MS": "200", "TURNGATE_HEARTBEAT_MS": "100"}
    async with Stack(redis_url=url, translators=1, pace=1.0, env=env) as stack:
        many = await talk(stack)
        connections = (await get(f"{stack.simulator_url}/sessions"))["sessions"]
        assert len(connections) > 8
        assert {session["close_code"] for session in connections if session["ended_at"] is not None} == {1000}
        assert sum(session["violations"] for session in connections) == 0
    assert many == one
