"""deepgram-sdk 6: python sdk_6.py URL. Its first release ends a session at a message that it does not know, so it asks
for no History, and the server must be started with TURNGATE_LATENCY_REPORTS=0."""

from __future__ import annotations

import json
import sys

from deepgram import DeepgramClient
from deepgram.agent.v1.types import AgentV1InjectUserMessage, AgentV1Settings
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment

url = sys.argv[1]
here = DeepgramClientEnvironment(base=url.replace("ws", "http", 1), production=url, agent=url)
think = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": "Be brief."}
settings = {"type": "Settings", "flags": {"history": False}, "audio": {}, "agent": {"think": think}}

with DeepgramClient(api_key="any", environment=here).agent.v1.connect() as agent:

    def on_message(message: object) -> None:
        kind = getattr(message, "type", "audio")
        print(json.dumps({"type": kind, "text": getattr(message, "content", "")}), flush=True)
        if kind == "Welcome":
            agent.send_settings(AgentV1Settings.model_validate(settings))
        elif kind == "SettingsApplied":
            agent.send_inject_user_message(AgentV1InjectUserMessage(type="InjectUserMessage", content="Hello."))
        elif kind == "AgentAudioDone":
            agent._websocket.close()

    agent.on(EventType.MESSAGE, on_message)
    agent.on(EventType.ERROR, lambda error: print(json.dumps({"type": "Error", "text": str(error)}), flush=True))
    agent.start_listening()
