"""The official Deepgram SDK, synchronous and asynchronous, in a whole conversation: nothing but the URL is ours."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.agent.v1.types import (
    AgentV1AgentAudioDone,
    AgentV1AgentStartedSpeaking,
    AgentV1ConversationText,
    AgentV1FunctionCallRequest,
    AgentV1HistoryContent,
    AgentV1InjectAgentMessage,
    AgentV1InjectionRefused,
    AgentV1InjectUserMessage,
    AgentV1LatencyReport,
    AgentV1ListenUpdated,
    AgentV1PromptUpdated,
    AgentV1ReceiveFunctionCallResponse,
    AgentV1SendFunctionCallResponse,
    AgentV1Settings,
    AgentV1SettingsApplied,
    AgentV1SpeakUpdated,
    AgentV1ThinkUpdated,
    AgentV1UpdateListen,
    AgentV1UpdatePrompt,
    AgentV1UpdateSpeak,
    AgentV1UpdateThink,
    AgentV1UserStartedSpeaking,
    AgentV1Welcome,
)
from deepgram.environment import DeepgramClientEnvironment
from pydantic import BaseModel

from tests.end_to_end.client import FUNCTIONS, PATIENCE_SECONDS
from tests.end_to_end.test_conversation import RECORDINGS
from tests.unit.schemas import accepted_by_deepgram
from turngate.local.stack import Stack

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # The SDK still imports names that `websockets` is about to drop.
    pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning", "ignore:.*legacy:DeprecationWarning"),
]

Kind = TypeVar("Kind", bound=BaseModel)

THINK: dict[str, Any] = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "functions": FUNCTIONS}
SETTINGS: dict[str, Any] = {
    "type": "Settings",
    "audio": {
        "input": {"encoding": "linear16", "sample_rate": 16000},
        "output": {"encoding": "linear16", "sample_rate": 24000, "container": "none"},
    },
    "agent": {
        "listen": {"provider": {"type": "deepgram", "version": "v2", "model": "flux-general-en"}},
        "think": {**THINK, "prompt": "Be kind."},
        "speak": {"provider": {"type": "deepgram", "model": "aura-2-thalia-en"}},
        "greeting": "Hello, I am listening.",
    },
}


class Talk:
    """One socket of the SDK, of either kind, and everything that came on it."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.received: list[Any] = []

    async def send(self, method: str, *arguments: Any) -> None:
        await self._call(getattr(self._socket, f"send_{method}"), *arguments)

    async def until(self, kind: type[Kind], **fields: Any) -> Kind:
        """The next message of this class with these values."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                message = await self._call(self._socket.recv)
                self.received.append(message)
                if isinstance(message, BaseModel):
                    # The SDK itself takes anything; its models do not.
                    accepted_by_deepgram(message.model_dump(exclude_unset=True))
                if isinstance(message, kind) and all(getattr(message, name) == fields[name] for name in fields):
                    return message

    async def _call(self, method: Any, *arguments: Any) -> Any:
        if asyncio.iscoroutinefunction(method):
            return await method(*arguments)
        return await asyncio.to_thread(method, *arguments)

    @property
    def audio_bytes(self) -> int:
        return sum(len(message) for message in self.received if isinstance(message, bytes))


@asynccontextmanager
async def connected(stack: Stack, kind: str) -> AsyncIterator[Talk]:
    here = {"base": stack.gateway_url, "production": stack.gateway_url, "agent": stack.gateway_url}
    environment = DeepgramClientEnvironment(**here, agent_rest=stack.gateway_url)
    if kind == "async":
        async with AsyncDeepgramClient(api_key="a-key", environment=environment).agent.v1.connect() as socket:
            yield Talk(socket)
        return
    connection = DeepgramClient(api_key="a-key", environment=environment).agent.v1.connect()
    blocking = await asyncio.to_thread(connection.__enter__)
    try:
        yield Talk(blocking)
    finally:
        await asyncio.to_thread(connection.__exit__, None, None, None)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_whole_conversation(stack: Stack, kind: str) -> None:
    async with connected(stack, kind) as talk:
        await talk.until(AgentV1Welcome)
        await talk.send("settings", AgentV1Settings.model_validate(SETTINGS))
        await talk.until(AgentV1SettingsApplied)

        # The greeting, word for word.
        await talk.until(AgentV1ConversationText, role="assistant", content="Hello, I am listening.")
        await talk.until(AgentV1AgentAudioDone)
        greeted = talk.audio_bytes
        assert greeted > 0

        # Speech in, speech out.
        await _speak(talk)
        await talk.until(AgentV1UserStartedSpeaking)
        started = await talk.until(AgentV1AgentStartedSpeaking)
        assert started.total_latency >= 0
        await talk.until(AgentV1AgentAudioDone)
        assert talk.audio_bytes > greeted
        assert any(isinstance(message, AgentV1LatencyReport) for message in talk.received)
        assert any(isinstance(message, AgentV1HistoryContent) for message in talk.received)

        # A function, and a reply that knows its result.
        await _ask(talk, '[call get_weather {"city":"Oslo"}]')
        (call,) = (await talk.until(AgentV1FunctionCallRequest)).functions
        assert (call.name, call.client_side) == ("get_weather", True)
        result = AgentV1SendFunctionCallResponse(id=call.id, name=call.name, content="sunny-result")
        await talk.send("function_call_response", result)
        assert (await talk.until(AgentV1ReceiveFunctionCallResponse)).content == "sunny-result"
        await talk.until(AgentV1AgentStartedSpeaking)
        await talk.until(AgentV1AgentAudioDone)
        spoken = [message.content for message in talk.received if isinstance(message, AgentV1ConversationText)]
        assert any("sunny-result" in words for words in spoken)

        # Every update in the middle of a reply, each acknowledged after it.
        await _ask(talk, "[say 40 words]")
        await talk.until(AgentV1AgentStartedSpeaking)
        await talk.send("update_prompt", AgentV1UpdatePrompt(prompt="Be brief."))
        await talk.send("update_think", AgentV1UpdateThink.model_validate({"think": THINK}))
        speak = {"provider": {"type": "deepgram", "model": "aura-2-thalia-en", "speed": 1.1}}
        await talk.send("update_speak", AgentV1UpdateSpeak.model_validate({"speak": speak}))
        listen = {"provider": {"type": "deepgram", "version": "v2", "model": "flux-general-en", "keyterms": ["Oslo"]}}
        await talk.send("update_listen", AgentV1UpdateListen.model_validate({"listen": listen}))
        refused = AgentV1InjectAgentMessage(message="Not now.", behavior="default")
        await talk.send("inject_agent_message", refused)
        await talk.send("keep_alive")
        await talk.send("force_end_turn")
        await talk.until(AgentV1InjectionRefused)
        await talk.until(AgentV1AgentAudioDone)
        acknowledged = [
            await talk.until(kind_)
            for kind_ in (AgentV1PromptUpdated, AgentV1ThinkUpdated, AgentV1SpeakUpdated, AgentV1ListenUpdated)
        ]
        assert len(acknowledged) == 4

        # Words of the agent's own, at rest and into a reply.
        await talk.send("inject_agent_message", AgentV1InjectAgentMessage(message="One moment."))
        await talk.until(AgentV1ConversationText, role="assistant", content="One moment.")
        await talk.until(AgentV1AgentAudioDone)
        await _ask(talk, "[say 200 words]")
        await talk.until(AgentV1AgentStartedSpeaking)
        interrupting = AgentV1InjectAgentMessage(message="Stop there.", behavior="interrupt")
        await talk.send("inject_agent_message", interrupting)
        await talk.until(AgentV1ConversationText, role="assistant", content="Stop there.")
        await talk.until(AgentV1AgentAudioDone)
        assert not [message for message in talk.received if isinstance(message, dict)], "types the SDK does not know"


async def _ask(talk: Talk, words: str) -> None:
    await talk.send("inject_user_message", AgentV1InjectUserMessage(content=words))
    await talk.until(AgentV1ConversationText, role="user", content=words)


async def _speak(talk: Talk) -> None:
    with wave.open(str(RECORDINGS / "hello-16k.wav")) as file:
        speech = file.readframes(file.getnframes())
    for chunk in (speech, bytes(32_000)):
        for at in range(0, len(chunk), 3200):
            await talk.send("media", chunk[at : at + 3200])
