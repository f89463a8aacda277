"""The messages of the Deepgram Voice Agent protocol that the commands send, as dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

#: The gateway's WebSocket paths, one per dialect.
COMPONENT_PATH = "/openai"
AGENT_PATH = "/v1/agent/converse"

#: Bytes per sample of 16-bit mono PCM, the format of the agent's audio here.
SAMPLE_BYTES = 2
#: The requested sample rate of the agent's audio, in Hz.
OUTPUT_RATE = 24_000

KEEP_ALIVE: Message = {"type": "KeepAlive"}


def settings(
    prompt: str | None = None,
    functions: Sequence[Message] = (),
    *,
    input_encoding: str = "linear16",
    input_rate: int = OUTPUT_RATE,
    greeting: str | None = None,
) -> Message:
    """The first message of a session; ``input_encoding`` and ``input_rate`` (Hz) declare the user's audio."""
    think: Message = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}}
    if prompt is not None:
        think["prompt"] = prompt
    if functions:
        think["functions"] = list(functions)
    agent: Message = {"think": think}
    if greeting is not None:
        agent["greeting"] = greeting
    return {
        "type": "Settings",
        "audio": {
            "input": {"encoding": input_encoding, "sample_rate": input_rate},
            "output": {"encoding": "linear16", "sample_rate": OUTPUT_RATE, "container": "none"},
        },
        "agent": agent,
    }


def user_message(content: str) -> Message:
    """A user message as text."""
    return {"type": "InjectUserMessage", "content": content}


def update_prompt(prompt: str) -> Message:
    """Text that the server appends to the current prompt."""
    return {"type": "UpdatePrompt", "prompt": prompt}


def function_result(call_id: str, name: str, content: str) -> Message:
    """The answer to one function call."""
    return {"type": "FunctionCallResponse", "id": call_id, "name": name, "content": content}
