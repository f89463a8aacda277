"""deepgram-sdk 4: python sdk_4.py URL. It takes no other address for the agent, so the one it made is replaced."""

from __future__ import annotations

import json
import sys
import threading

from deepgram import AgentWebSocketEvents, DeepgramClient, SettingsOptions

url = sys.argv[1]
agent = DeepgramClient("any").agent.websocket.v("1")
agent._websocket_url = f"{url}/v1/agent/converse"

over = threading.Event()


def told(kind: str, message: object) -> None:
    text = getattr(message, "content", None) or getattr(message, "description", "")
    print(json.dumps({"type": kind, "text": text}), flush=True)


def on_applied(_: object, settings_applied: object, **__: object) -> None:
    told("SettingsApplied", settings_applied)
    agent.send(json.dumps({"type": "InjectUserMessage", "content": "Hello."}))


def on_text(_: object, conversation_text: object, **__: object) -> None:
    told("ConversationText", conversation_text)


def on_done(_: object, agent_audio_done: object, **__: object) -> None:
    told("AgentAudioDone", agent_audio_done)
    over.set()


def on_error(_: object, error: object, **__: object) -> None:
    told("Error", error)
    over.set()


agent.on(AgentWebSocketEvents.SettingsApplied, on_applied)
agent.on(AgentWebSocketEvents.ConversationText, on_text)
agent.on(AgentWebSocketEvents.AgentAudioDone, on_done)
agent.on(AgentWebSocketEvents.Error, on_error)

options = SettingsOptions()
options.agent.think.provider.type = "open_ai"
options.agent.think.provider.model = "gpt-realtime-2.1"
options.agent.think.prompt = "Be brief."
assert agent.start(options)
assert over.wait(30)
agent.finish()
