"""Whole conversations over the public socket, judged from the simulator's own record."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from uuid import uuid4

import pytest

from tests.end_to_end.client import Client, get, preventable, received, record_with, settings
from tests.end_to_end.judge import Judge
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATHS = ["/openai", "/v1/agent/converse"]
RECORDINGS = Path(__file__).parents[2] / "turngate" / "cli" / "demo"
CALL = {"id": "call_9", "name": "f", "client_side": True, "arguments": "{}", "response": "ok"}


def mark() -> str:
    """Something that no other session's record contains."""
    return f"mark-{uuid4().hex}"


@pytest.mark.parametrize("path", PATHS)
async def test_a_text_conversation(stack: Stack, path: str) -> None:
    """Rows "agent: Upgrade", "agent: after the upgrade": the name of the session in a header, and in a `Welcome` at
    once."""
    async with Client(stack, path) as client:
        welcome = await client.until("Welcome")
        assert client.socket.response is not None
        assert client.socket.response.headers["dg-request-id"] == welcome["request_id"]
        await client.configured()
        for words in ("Good morning", "How are you?"):
            assert words in await client.turn(words)
        assert len(client.of_type("SettingsApplied")) == 1
        assert len(client.of_type("AgentAudioDone")) == 2
        assert any(isinstance(message, bytes) for message in client.received), "the agent speaks"


async def test_configuration_in_a_reply_is_held_applied_and_acknowledged_in_this_order(stack: Stack) -> None:
    name = mark()
    async with Client(stack) as client:
        await client.configured(prompt=name)
        await client.say(type="InjectUserMessage", content="[say 60 words]")
        await client.until("AgentStartedSpeaking")
        await client.say(type="UpdatePrompt", prompt="Never shout.")
        await client.say(**settings("Be brief."))
        await client.until("AgentAudioDone")
        await client.until("PromptUpdated")
        await client.until("SettingsApplied")
        record = await record_with(stack, name)
    assert preventable(record) == []
    updates = received(record, "session.update")
    assert [update["slot"]["active_response"] for update in updates] == [None, None]
    assert updates[1]["event"]["session"]["instructions"] == "Be brief."


async def test_a_second_question_in_the_middle_of_a_reply_gets_an_answer_of_its_own(stack: Stack) -> None:
    name = mark()
    async with Client(stack) as client:
        await client.configured(prompt=name)
        await client.say(type="InjectUserMessage", content="[say 40 words]")
        await client.until("AgentStartedSpeaking")
        assert "And now?" in await _second_reply(client)
        record = await record_with(stack, name)
    assert preventable(record) == []
    assert len(received(record, "response.create")) == 2


async def _second_reply(client: Client) -> str:
    await client.say(type="InjectUserMessage", content="And now?")
    await client.until("AgentAudioDone")
    words = await client.until("ConversationText", lambda message: message["role"] == "assistant")
    await client.until("AgentAudioDone")
    return str(words["content"])


@pytest.mark.parametrize("path", PATHS)
async def test_parallel_function_calls_get_one_reply_that_knows_both_results(stack: Stack, path: str) -> None:
    """Row "component: a response asked for right after a function result"."""
    name = mark()
    async with Client(stack, path) as client:
        await client.configured(prompt=name, functions=True)
        await client.say(
            type="InjectUserMessage", content='[call get_weather {"city":"Oslo"}] [call get_time {"city":"Oslo"}]'
        )
        calls = [
            call
            for message in (await client.until("FunctionCallRequest"), await client.until("FunctionCallRequest"))
            for call in message["functions"]
        ]
        assert sorted(call["name"] for call in calls) == ["get_time", "get_weather"]
        for call, result in zip(calls, ("sunny-result", "noon-result"), strict=True):
            await client.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content=result)
        words = await client.until("ConversationText", lambda message: "result" in message["content"])
        assert "sunny-result" in words["content"]
        assert "noon-result" in words["content"]
        record = await record_with(stack, name)
    assert preventable(record) == []
    assert len(received(record, "response.create")) == 2


@pytest.mark.parametrize(("recording", "rate"), [("hello-16k.wav", 16000), ("goodbye-24k.wav", 24000)])
async def test_spoken_words_become_a_turn_and_get_a_spoken_reply(stack: Stack, recording: str, rate: int) -> None:
    """Rows "component: `audio.input` and `audio.output`", "component: JSON as text frames": linear16 at 16 and 24 kHz;
    binary frames are the agent's audio and nothing else."""
    async with Client(stack) as client:
        await client.configured(rate=rate)
        await speak(client, recording, rate)
        await client.until("UserStartedSpeaking")
        await client.until("AgentStartedSpeaking")
        await client.until("AgentAudioDone")
        assert {message["role"] for message in client.of_type("ConversationText")} == {"user", "assistant"}
        spoken = [message for message in client.received if isinstance(message, bytes)]
        assert spoken
        assert all(len(frame) % 2 == 0 and not frame.startswith(b'{"type"') for frame in spoken)


async def speak(client: Client, recording: str, rate: int) -> None:
    """Send a recording and a second of silence after it, in frames of 20 ms, as fast as they go."""
    with wave.open(str(RECORDINGS / recording)) as file:
        assert file.getframerate() == rate
        speech = file.readframes(file.getnframes())
    frame = 2 * rate // 50
    for chunk in (speech, bytes(2 * rate)):
        for at in range(0, len(chunk), frame):
            await client.socket.send(chunk[at : at + frame])


async def test_a_gateway_that_owns_turns_applies_waiting_configuration_before_the_reply(own_redis_url: str) -> None:
    name = mark()
    env = {"TURNGATE_TURN_OWNER": "gateway"}
    async with Stack(redis_url=own_redis_url, pace=0.2, env=env) as stack, Client(stack) as client:
        await client.configured(prompt=name, rate=16000)
        await client.say(type="InjectUserMessage", content="[say 60 words]")
        await client.until("AgentStartedSpeaking")
        await client.say(type="UpdatePrompt", prompt="Listen well.")
        await speak(client, "hello-16k.wav", 16000)
        await client.until("UserStartedSpeaking")
        await client.until("PromptUpdated")
        await client.until("AgentStartedSpeaking")
        await client.until("AgentAudioDone")
        record = await record_with(stack, name)
    assert preventable(record) == []
    order = [
        entry["event"]["type"]
        for entry in record["entries"]
        if entry["event"].get("type") in ("session.update", "response.create", "input_audio_buffer.committed")
    ]
    assert order[-1] == "response.create"
    assert sorted(order[2:4]) == ["input_audio_buffer.committed", "session.update"]
    assert len(order) == 5


async def test_a_history_is_seeded_in_order_and_not_repeated(stack: Stack) -> None:
    """Row "component: `agent.context.messages`": both shapes, as real items; and then nothing greets."""
    name = mark()
    messages = [
        {"type": "History", "role": "user", "content": name},
        {"type": "History", "function_calls": [CALL]},
        {"type": "History", "role": "assistant", "content": "I remember."},
    ]
    async with Client(stack) as client:
        await client.configured(context={"messages": messages}, greeting="Hello!")
        await client.say(**settings(context={"messages": messages}))
        await client.until("SettingsApplied")
        await client.turn("And?")
        record = await record_with(stack, name)
        assert all("Hello!" not in message["content"] for message in client.of_type("ConversationText"))
    items = [entry["event"]["item"] for entry in received(record, "conversation.item.create")]
    assert [(item["type"], item.get("call_id")) for item in items[1:3]] == [
        ("function_call", "call_9"),
        ("function_call_output", "call_9"),
    ]
    assert [item["content"][0]["text"] for item in (items[0], *items[3:])] == [name, "I remember.", "And?"]
    assert [entry for entry in record["entries"] if entry["event"]["type"] == "error"] == []


async def test_an_operator_sees_a_live_session_and_what_it_holds(stack: Stack) -> None:
    async with Client(stack) as client:
        session = (await client.until("Welcome"))["request_id"]
        await client.configured()
        await client.say(type="InjectUserMessage", content="[say 60 words]")
        await client.until("AgentStartedSpeaking")
        await client.say(type="UpdatePrompt", prompt="x")
        async with asyncio.timeout(30):
            while not (described := await get(f"{stack.session_state_url}/sessions/{session}")).get("held"):
                pass
        assert described["slot"] == "active"
        assert [held["kind"] for held in described["held"]] == ["configuration"]
        await client.until("PromptUpdated")
    async with asyncio.timeout(30):
        while session in str(await get(f"{stack.session_state_url}/sessions")):
            pass


async def test_what_is_left_out_of_an_update_stays_but_hints_are_cleared(stack: Stack) -> None:
    """Row "agent: `UpdateListen`"."""
    name = mark()
    flux = {"type": "deepgram", "version": "v2", "model": "flux-general-multi"}
    heard = {**flux, "language_hints": ["de"], "keyterms": ["Oslo"]}
    async with Client(stack, "/v1/agent/converse") as client:
        await client.configured(prompt=name, listen={"provider": heard})
        for provider in (flux, flux, {**flux, "keyterms": []}):
            await client.say(type="UpdateListen", listen={"provider": provider})
            await client.until("ListenUpdated")
        assert client.of_type("Error") == client.of_type("Warning") == []
        record = await record_with(stack, name)
    sent = [entry["event"]["session"]["audio"]["input"] for entry in received(record, "session.update")]
    model = sent[0]["transcription"]["model"]
    assert [audio["transcription"] for audio in sent] == [
        {"model": model, "language": "de", "keywords": ["Oslo"]},
        {"model": model, "language": ""},
        {"model": model},
        {"model": model, "keywords": []},
    ]


async def test_every_frame_to_the_upstream_is_judged(stack: Stack, judge: Judge) -> None:
    """What the fixture around every test here relies on."""
    await judge.hear(stack)
    before = judge.frames
    async with Client(stack) as client:
        await client.configured()
        await client.turn("Hello?")
        await judge.hear(stack)
    assert judge.frames >= before + 3, "the configuration, the text, the request for a reply"
