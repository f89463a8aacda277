"""A conversation goes on at another gateway, on real processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import redis.asyncio

from session_state.keys import JOURNAL_KEY
from tests.end_to_end.client import PATIENCE_SECONDS, settings
from tests.end_to_end.line import Line, line
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = "Welcome to the show."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(redis_url: str) -> AsyncIterator[Stack]:
    """Two gateways on one Redis, which wait long enough for each other on a busy machine."""
    url = f"{redis_url.rpartition('/')[0]}/4"
    env = {"TURNGATE_CLAIM_WAIT_MS": "10000"}
    async with Stack(redis_url=url, gateways=2, translators=1, pace=0.2, env=env) as stack:
        yield stack


async def begun(first: Line, *, functions: bool = False) -> None:
    await first.until("Welcome")
    await first.say(**settings(greeting=GREETING, functions=functions))
    await first.until("SettingsApplied")
    await first.until("AgentAudioDone")
    # The gateway has read all pongs that were sent before this one is answered.
    await (await first.socket.ping())


async def returned(second: Line) -> dict[str, object]:
    """The client has found its conversation, sends its Settings again as programs do that see a Welcome, and nobody
    greets."""
    welcome = await second.until("Welcome")
    assert welcome["resumed"] is True
    await second.say(**settings(greeting=GREETING))
    return welcome


def words(*lines: Line) -> str:
    """What the agent has said, but for the greeting."""
    texts = [one for line in lines for one in line.received if one["type"] == "ConversationText"]
    return " ".join(one["content"] for one in texts if one["role"] == "assistant" and one["content"] != GREETING)


def greetings(second: Line) -> list[dict[str, object]]:
    return [message for message in second.received if message.get("content") == GREETING]


async def test_a_client_that_comes_to_another_gateway_finds_its_conversation(two: Stack) -> None:
    name = str(uuid4())
    async with line(two, session=name) as first:
        await begun(first)
        request_id = first.received[0]["request_id"]
        assert "Ada" in await first.turn("My name is Ada.")
        await first.say(type="UpdatePrompt", prompt="Mind the cat.")
        await first.until("PromptUpdated")
        first.cut()
    for gateway in (2, 1, 2):
        async with line(two, gateway=gateway, session=name) as later:
            welcome = await returned(later)
            assert (welcome["request_id"], welcome.get("recovered")) == (request_id, None)
            assert "Mind the cat." in await later.turn("What are your instructions?")
            assert greetings(later) == []
            assert "Error" not in later.types()
            later.cut()


async def test_a_handle_is_good_at_every_gateway_and_used_once(two: Stack) -> None:
    async with line(two, "/openai?resumable=1") as first:
        handle = (await first.until("Welcome"))["resume"]
        await first.say(**settings())
        await first.until("SettingsApplied")
        first.cut()
    async with line(two, f"/openai?resume={handle}", gateway=2) as second:
        welcome = await second.until("Welcome")
        assert welcome["resumed"]
        # By then Redis knows the handle that replaces the first.
        await second.turn("Hello?")
        second.cut()
    async with line(two, f"/openai?resume={handle}") as third:
        assert (await third.until("Welcome"))["resumed"] is False
    async with line(two, f"/v1/agent/converse?resume={welcome['resume']}") as elsewhere:
        assert (await elsewhere.until("Welcome"))["resumed"] is False, "another path"
    async with line(two, f"/openai?resume={welcome['resume']}") as fourth:
        assert (await fourth.until("Welcome"))["resumed"]


async def test_a_reply_goes_on_from_where_it_was_heard(two: Stack) -> None:
    async with line(two, session=str(uuid4())) as whole:
        await begun(whole)
        text = await whole.turn("[say 60 words]")
    name = str(uuid4())
    async with line(two, session=name) as first:
        await begun(first)
        await first.say(type="InjectUserMessage", content="[say 60 words]")
        await first.until("AgentStartedSpeaking")
        first.cut()
    async with line(two, gateway=2, session=name) as second:
        await returned(second)
        await second.until("AgentAudioDone")
        assert words(first, second) == text
        assert second.types().count("AgentStartedSpeaking") == 0, "for the client it is one reply"
        assert second.audio > 0


async def test_a_call_stays_open_and_its_result_goes_to_the_other_gateway(two: Stack) -> None:
    name = str(uuid4())
    async with line(two, session=name) as first:
        await begun(first, functions=True)
        await first.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
        (call,) = (await first.until("FunctionCallRequest"))["functions"]
        first.cut()
    async with line(two, gateway=2, session=name) as second:
        await returned(second)
        await second.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content="Rain")
        assert "Rain" in (await second.until("ConversationText", role="assistant"))["content"]


async def test_a_request_that_was_accepted_is_answered_there(two: Stack) -> None:
    name = str(uuid4())
    async with line(two, session=name) as first:
        await begun(first)
        for text in ("One?", "Two?", "Three?"):
            await first.say(type="InjectUserMessage", content=text)
        await first.until("ConversationText", content="Three?")
        first.cut()
    async with line(two, gateway=2, session=name) as second:
        await returned(second)
        await second.say(type="InjectUserMessage", content="Four?")
        # What was asked before may be answered first.
        while "Four" not in (await second.until("ConversationText", role="assistant"))["content"]:
            pass
        assert all(word in words(first, second) for word in ("One", "Two", "Three"))
        assert "Error" not in second.types()


async def test_the_newest_connection_wins_at_whatever_gateway(two: Stack) -> None:
    name = str(uuid4())
    async with line(two, session=name) as first:
        await begun(first)
        async with line(two, gateway=2, session=name) as second:
            await returned(second)
            await first.socket.wait_closed()
            assert (first.socket.close_code, first.socket.close_reason) == (1008, "SESSION_RESUMED_ELSEWHERE")
            assert "Hello" in await second.turn("Hello?")


async def test_a_session_that_is_over_is_forgotten(two: Stack) -> None:
    name = str(uuid4())
    async with line(two, session=name) as first:
        await begun(first)
        await first.socket.close(1000)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with line(two, gateway=2, session=name) as second:
                if "resumed" not in await second.until("Welcome"):
                    return


async def test_a_gateway_that_empties_hands_its_sessions_over(redis_url: str) -> None:
    url = f"{redis_url.rpartition('/')[0]}/5"
    env = {"TURNGATE_DRAIN_GRACE_MS": "0", "TURNGATE_DRAIN_MS": "600000"}
    async with Stack(redis_url=url, gateways=2, translators=1, pace=0.2, env=env, restarts=False) as stack:
        attached, parked = str(uuid4()), str(uuid4())
        async with line(stack, session=parked) as lost:
            await begun(lost)
            lost.cut()
        async with line(stack, session=attached) as first:
            await begun(first)
            async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as http:
                drained = await http.get(f"{stack.internal_url('gateway')}/drain")
            assert drained.json()["sessions"] == 0
            await first.socket.wait_closed()
            assert first.socket.close_code == 1012
        for name in (attached, parked):
            async with line(stack, gateway=2, session=name) as second:
                assert "recovered" not in await returned(second)
                assert "Hello" in await second.turn("Hello?")
                assert greetings(second) == []


async def answered(second: Line, result: str) -> None:
    """The agent knows the result of its call. A call that died with its gateway before it was written down is made
    again, and answered like any other."""
    seen = len(second.received)
    while True:
        for message in second.received[seen:]:
            if message["type"] == "FunctionCallRequest":
                (call,) = message["functions"]
                await second.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content=result)
            elif message.get("role") == "assistant" and result in message["content"]:
                return
        seen = len(second.received)
        await second.next()


async def test_a_conversation_outlives_a_gateway_that_is_killed(redis_url: str) -> None:
    url = f"{redis_url.rpartition('/')[0]}/5"
    env = {"TURNGATE_CLAIM_WAIT_MS": "200"}
    async with Stack(redis_url=url, gateways=2, translators=1, pace=0.2, env=env, restarts=False) as stack:
        name = str(uuid4())
        async with line(stack, session=name) as first:
            await begun(first, functions=True)
            assert "Ada" in await first.turn("My name is Ada.")
            await first.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
            (call,) = (await first.until("FunctionCallRequest"))["functions"]
            gateway = stack.processes["gateway-1"]
            assert gateway.pid is not None
            gateway._signal(signal.SIGKILL)
            await first.socket.wait_closed()
        async with line(stack, gateway=2, session=name) as second:
            welcome = await returned(second)
            recovered = welcome["recovered"]
            assert isinstance(recovered, dict)
            assert 0 < recovered["messages"] <= len(first.received)
            assert recovered["audio_ms"] > 0
            await second.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content="Rain")
            async with asyncio.timeout(PATIENCE_SECONDS):
                await answered(second, "Rain")
            assert "Hello" in await second.turn("Hello?")
            assert greetings(second) == []


async def test_a_journal_that_cannot_be_used_is_a_new_session(redis_url: str) -> None:
    url = f"{redis_url.rpartition('/')[0]}/5"
    broken = {"about": '{"version":1}', "calls": "7", "unheard": "[]"}
    sessions: dict[str, tuple[str, str]] = {}
    env = {"TURNGATE_CLAIM_WAIT_MS": "200"}
    broker: Any
    async with (
        Stack(redis_url=url, gateways=2, translators=1, pace=0.2, env=env, restarts=False) as stack,
        redis.asyncio.Redis.from_url(url) as broker,
    ):
        for part in broken:
            name = str(uuid4())
            async with line(stack, session=name) as first:
                await begun(first)
                sessions[part] = name, JOURNAL_KEY + first.received[0]["request_id"]
                first.cut()
        stack.processes["gateway-1"].kill()
        for part, value in broken.items():
            name, journal = sessions[part]
            assert await broker.hset(journal, part, value) == 0, "it is in every journal"
            async with line(stack, gateway=2, session=name) as second:
                assert "resumed" not in await second.until("Welcome"), part
                await second.say(**settings(greeting=GREETING))
                await second.until("ConversationText", content=GREETING)
                assert "Hello" in await second.turn("Hello?")
