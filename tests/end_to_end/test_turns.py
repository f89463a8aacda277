"""The user's turns in other ways than speaking and waiting: talking over the agent, ending by hand, and silence."""

from __future__ import annotations

import asyncio
import wave

import pytest

from tests.end_to_end.client import PATIENCE_SECONDS, Client, get, preventable, received, record_with, settings
from tests.end_to_end.test_conversation import PATHS, RECORDINGS, mark, speak
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("path", PATHS)
async def test_who_talks_over_the_agent_hears_no_more_of_it_and_the_model_knows_what_was_heard(
    stack: Stack, path: str
) -> None:
    name = mark()
    async with Client(stack, path) as client:
        await client.configured(prompt=name, rate=16000)
        await client.say(type="InjectUserMessage", content="[say 300 words]")
        await client.until("AgentStartedSpeaking")
        await speak(client, "hello-16k.wav", 16000)
        await client.until("UserStartedSpeaking")
        place = len(client.received)
        await client.until("AgentStartedSpeaking")
        between = client.received[place:]
        await client.until("AgentAudioDone")
        record = await record_with(stack, name)
    assert preventable(record) == []
    assert not [message for message in between if isinstance(message, bytes)]
    told = [message for message in between if isinstance(message, dict) and message["type"] == "ConversationText"]
    assert [message for message in told if message["role"] == "assistant"] == []
    (cut,) = received(record, "conversation.item.truncate")
    (truncated,) = [entry["event"] for entry in record["entries"] if entry["event"]["type"].endswith("item.truncated")]
    assert truncated["audio_end_ms"] == cut["event"]["audio_end_ms"] > 0


async def test_without_turn_detection_the_gateway_commits_after_a_pause_and_asks_for_a_reply(stack: Stack) -> None:
    """Row "component: `agent.useOpenAIManualAudioCommit`"."""
    name = mark()
    async with Client(stack) as client:
        await client.configured(prompt=name, rate=16000, useOpenAIManualAudioCommit=True)
        for _ in range(2):
            await speak(client, "hello-16k.wav", 16000)
            await client.until("UserStartedSpeaking")
            await client.until("UtteranceEnd")
            await client.until("AgentStartedSpeaking")
            await client.until("AgentAudioDone")
        record = await record_with(stack, name)
    assert preventable(record) == []
    (update,) = received(record, "session.update")
    assert update["event"]["session"]["audio"]["input"]["turn_detection"] is None
    assert len(received(record, "input_audio_buffer.commit")) == 2
    assert len(received(record, "response.create")) == 2


@pytest.mark.parametrize("manual", [True, False])
async def test_a_client_may_end_the_turn_itself(stack: Stack, manual: bool) -> None:
    """Deepgram: ``ForceEndTurn`` closes the open turn at once."""
    async with Client(stack, "/v1/agent/converse") as client:
        await client.configured(rate=16000, useOpenAIManualAudioCommit=manual)
        with wave.open(str(RECORDINGS / "hello-16k.wav")) as file:
            await client.socket.send(file.readframes(file.getframerate()))
        await client.until("UserStartedSpeaking")
        await client.say(type="ForceEndTurn")
        await client.until("AgentStartedSpeaking")
        await client.until("AgentAudioDone")


async def test_words_that_interrupt_are_spoken_over_the_user_who_is_answered_after_them(stack: Stack) -> None:
    """Row "agent: `InjectAgentMessage` interrupt"."""
    name = mark()
    async with Client(stack, "/v1/agent/converse") as client:
        await client.configured(prompt=name)
        await client.socket.send(b"\x40\x1f" * 12_000)
        await client.until("UserStartedSpeaking")
        await client.say(type="InjectAgentMessage", message="Fire!", behavior="interrupt")
        words = await client.until("ConversationText")
        assert (words["role"], words["content"]) == ("assistant", "Fire!")
        await client.until("AgentAudioDone")
        await client.socket.send(bytes(24_000))
        await client.until("AgentStartedSpeaking")
        await client.until("AgentAudioDone")
        record = await record_with(stack, name)
    assert preventable(record) == []
    assert len(received(record, "response.create")) == 1, "the upstream answers the user by itself"


@pytest.mark.parametrize("path", PATHS)
async def test_a_written_conversation_has_no_sound(stack: Stack, path: str) -> None:
    """Row "component: `agent.think.outputModalities`"."""
    message = settings()
    message["agent"]["think"]["outputModalities"] = ["text"]
    async with Client(stack, path) as client:
        await client.say(**message)
        await client.until("SettingsApplied")
        assert "In writing" in await client.turn("In writing, please")
        assert not [frame for frame in client.received if isinstance(frame, bytes)]
        assert len(client.of_type("AgentStartedSpeaking")) == 1


async def test_a_client_that_falls_silent_is_told_and_let_go(own_redis_url: str) -> None:
    """Rows "agent: idle longer than the limit", "agent: Error `CLIENT_MESSAGE_TIMEOUT`": then the socket closes. The
    component may be silent."""
    env = {"TURNGATE_CLIENT_IDLE_TIMEOUT_MS": "500"}
    async with (
        Stack(redis_url=own_redis_url, translators=1, pace=0, env=env) as stack,
        Client(stack, "/openai") as component,
        Client(stack, "/v1/agent/converse") as client,
    ):
        await component.configured()
        await client.say(**settings())
        assert (await client.until("Error"))["code"] == "CLIENT_MESSAGE_TIMEOUT"
        assert await client.until_closed() == 1000
        assert "Still here" in await component.turn("Still here?")


async def test_a_ping_is_answered_and_a_close_ends_the_session(stack: Stack) -> None:
    """Rows "agent: WebSocket ping", "agent: client close": the pong comes at once; a client that closes hears nothing
    more, and leaves nothing."""
    async with Client(stack, "/v1/agent/converse") as client:
        session = (await client.until("Welcome"))["request_id"]
        await client.configured()
        await (await client.socket.ping())
        await client.say(type="InjectUserMessage", content="[say 60 words]")
        await client.until("AgentStartedSpeaking")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while session in str(await get(f"{stack.session_state_url}/sessions")):
            pass
