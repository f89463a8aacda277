"""deepgram-sdk 5: python sdk_5.py URL."""

from __future__ import annotations

import json
import sys

from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.extensions.types.sockets import AgentV1InjectUserMessageMessage, AgentV1SettingsMessage

url = sys.argv[1]
here = DeepgramClientEnvironment(base=url.replace("ws", "http", 1), production=url, agent=url)
# It knows the models of its time only; turngate answers with its own, and says so in a Warning.
think = {"provider": {"type": "open_ai", "model": "gpt-4o-mini"}, "prompt": "Be brief."}
speak = {"provider": {"type": "deepgram", "model": "aura-2-thalia-en"}}
settings = {"type": "Settings", "audio": {}, "agent": {"think": think, "speak": speak}}

with DeepgramClient(api_key="any", environment=here).agent.v1.connect() as agent:

    def on_message(message: object) -> None:
        kind = getattr(message, "type", "audio")
        print(json.dumps({"type": kind, "text": getattr(message, "content", "")}), flush=True)
        if kind == "Welcome":
            agent.send_settings(AgentV1SettingsMessage.model_validate(settings))
        elif kind == "SettingsApplied":
            agent.send_inject_user_message(AgentV1InjectUserMessageMessage(content="Hello."))
        elif kind == "AgentAudioDone":
            agent._websocket.close()

    agent.on(EventType.MESSAGE, on_message)
    agent.on(EventType.ERROR, lambda error: print(json.dumps({"type": "Error", "text": str(error)}), flush=True))
    agent.start_listening()
