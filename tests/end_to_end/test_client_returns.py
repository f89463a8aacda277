"""A client whose connection is lost finds its conversation, on real processes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.end_to_end.client import PATIENCE_SECONDS, settings
from tests.end_to_end.line import line
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("how", ["header", "subprotocol", "handle"])
async def test_a_client_that_returns_finds_its_conversation(stack: Stack, how: str) -> None:
    name = str(uuid4())
    ids: dict[str, Any] = {"header": {"session": name}, "subprotocol": {"browser": name}, "handle": {}}[how]
    path = "/v1/agent/converse"
    sent = settings(greeting="Welcome to the show.")
    async with line(stack, f"{path}?resumable=1" if how == "handle" else path, **ids) as first:
        welcome = await first.until("Welcome")
        assert ("resume" in welcome, "resumed" in welcome) == (how == "handle", False)
        await first.say(**sent)
        await first.until("SettingsApplied")
        await first.until("AgentAudioDone")
        assert "Ada" in await first.turn("My name is Ada.")
        await first.say(type="UpdatePrompt", prompt="Mind the cat.")
        await first.until("PromptUpdated")
        first.cut()
    async with line(stack, f"{path}?resume={welcome['resume']}" if how == "handle" else path, **ids) as second:
        again = await second.until("Welcome")
        assert (again["request_id"], again["resumed"]) == (welcome["request_id"], True)
        assert ("resume" in again) == (how == "handle")
        assert again.get("resume", "") != welcome.get("resume")
        # What a program does that sees a Welcome.
        await second.say(**sent)
        await second.until("SettingsApplied")
        await second.say(type="InjectUserMessage", content="What are your instructions?")
        assert "Mind the cat." in (await second.until("ConversationText", role="assistant"))["content"]
        greetings = [message for message in second.received if message.get("content") == "Welcome to the show."]
        assert greetings == []


async def test_a_reply_goes_on_without_its_client_which_gets_the_rest(stack: Stack) -> None:
    name = str(uuid4())
    async with line(stack, session=name) as first:
        await first.say(**settings())
        await first.until("SettingsApplied")
        await first.say(type="InjectUserMessage", content="[say 60 words]")
        await first.until("AgentStartedSpeaking")
        first.cut()
    async with line(stack, session=name) as second:
        assert (await second.until("Welcome"))["resumed"]
        await second.until("AgentAudioDone")
        assert second.types().count("AgentStartedSpeaking") == 0
        assert second.types().count("ConversationText") == 1
        assert second.audio > 0


async def test_a_call_that_did_not_arrive_is_sent_again_and_stays_open(stack: Stack) -> None:
    name = str(uuid4())
    async with line(stack, session=name) as first:
        await first.say(**settings(functions=True))
        await first.until("SettingsApplied")
        await first.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
        first.cut()
    await asyncio.sleep(0.5)
    async with line(stack, session=name) as second:
        (call,) = (await second.until("FunctionCallRequest"))["functions"]
        await second.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content="Rain")
        assert "Rain" in (await second.until("ConversationText", role="assistant"))["content"]


async def test_what_has_arrived_is_not_sent_again(stack: Stack) -> None:
    name = str(uuid4())
    async with line(stack, session=name) as first:
        await first.say(**settings(functions=True))
        await first.until("SettingsApplied")
        await first.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
        (call,) = (await first.until("FunctionCallRequest"))["functions"]
        # The library answers the ping that follows.
        await asyncio.sleep(0.3)
        first.cut()
    async with line(stack, session=name) as second:
        await second.until("Welcome")
        await second.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content="Rain")
        await second.until("ConversationText", role="assistant")
        assert {"FunctionCallRequest", "SettingsApplied"}.isdisjoint(second.types())


async def test_a_client_that_says_what_it_has_gets_exactly_the_rest(stack: Stack) -> None:
    async with line(stack, "/v1/agent/converse?resumable=1") as first:
        handle = (await first.until("Welcome"))["resume"]
        await first.say(**settings())
        await first.until("SettingsApplied")
        await first.say(type="InjectUserMessage", content="Hello?")
        await first.until("ConversationText", role="user")
        received = len(first.received)
        await first.until("AgentAudioDone")
        rest = first.received[received:]
        first.cut()
    async with line(stack, f"/v1/agent/converse?resume={handle}&received={received}") as second:
        assert (await second.until("Welcome"))["resumed"]
        await second.until("AgentAudioDone")
        assert second.received[1:] == rest


async def test_the_newest_connection_wins(stack: Stack) -> None:
    name = str(uuid4())
    async with line(stack, session=name) as first:
        await first.say(**settings())
        await first.until("SettingsApplied")
        async with line(stack, session=name) as second:
            assert (await second.until("Welcome"))["resumed"]
            await first.socket.wait_closed()
            assert (first.socket.close_code, first.socket.close_reason) == (1008, "SESSION_RESUMED_ELSEWHERE")
            assert "Hello" in await second.turn("Hello?")


@pytest.mark.parametrize("query", ["resume=guessed", "resume=", f"resume={'x' * 1000}", "resume=%ff%00&received=-1"])
async def test_a_wrong_handle_is_a_new_session_and_says_so(stack: Stack, query: str) -> None:
    async with line(stack, f"/v1/agent/converse?{query}") as client:
        welcome = await client.until("Welcome")
        assert welcome["resumed"] is False
        await client.say(**settings())
        await client.until("SettingsApplied")


async def test_a_handle_is_used_once(stack: Stack) -> None:
    async with line(stack, "/openai?resumable=1") as first:
        handle = (await first.until("Welcome"))["resume"]
        first.cut()
    async with line(stack, f"/openai?resume={handle}") as second:
        assert (await second.until("Welcome"))["resumed"]
    async with line(stack, f"/openai?resume={handle}") as third:
        assert not (await third.until("Welcome"))["resumed"]


async def test_a_client_that_says_good_bye_is_gone(stack: Stack) -> None:
    name = str(uuid4())
    async with line(stack, session=name) as first:
        await first.say(**settings())
        await first.until("SettingsApplied")
        await first.socket.close(1000)
    async with line(stack, session=name) as second:
        assert "resumed" not in await second.until("Welcome")


async def test_a_client_that_does_not_return_in_time_finds_a_new_session(redis_url: str) -> None:
    env = {"TURNGATE_RESUME_WINDOW_MS": "200"}
    url = f"{redis_url.rpartition('/')[0]}/3"
    async with Stack(redis_url=url, translators=1, pace=0.1, env=env) as stack:
        async with line(stack, "/openai?resumable=1") as first:
            handle = (await first.until("Welcome"))["resume"]
            await first.say(**settings())
            await first.until("SettingsApplied")
            first.cut()
        await asyncio.sleep(1.0)
        async with line(stack, f"/openai?resume={handle}") as second:
            assert not (await second.until("Welcome"))["resumed"]


async def test_a_gateway_that_stops_does_not_wait_for_clients_that_are_gone(redis_url: str) -> None:
    env = {"TURNGATE_DRAIN_GRACE_MS": "0", "TURNGATE_DRAIN_MS": "600000"}
    url = f"{redis_url.rpartition('/')[0]}/3"
    async with Stack(redis_url=url, translators=1, pace=0.1, env=env) as stack:
        async with line(stack, session=str(uuid4())) as client:
            await client.say(**settings())
            await client.until("SettingsApplied")
            client.cut()
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
            drained = await http.get(f"{stack.internal_url('gateway')}/drain")
        assert drained.json()["sessions"] == 0
