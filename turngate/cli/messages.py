"""The client messages that the commands send: plain values of the Deepgram Voice Agent protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]

#: The paths a gateway serves, one per dialect.
COMPONENT_PATH = "/openai"
AGENT_PATH = "/v1/agent/converse"

#: Bytes of one sample of 16-bit mono PCM, which the agent's audio is here.
SAMPLE_BYTES = 2
#: What the commands ask the agent to speak in, Hz.
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
    """The message that opens a conversation; ``input_encoding`` and ``input_rate`` (Hz) tell of the audio to follow."""
    think: Message = {"provider": {"type": "open_ai", "model": "gpt-realtime"}}
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
    """A user's turn as text."""
    return {"type": "InjectUserMessage", "content": content}


def update_prompt(prompt: str) -> Message:
    """Text that the server appends to the prompt in force."""
    return {"type": "UpdatePrompt", "prompt": prompt}


def function_result(call_id: str, name: str, content: str) -> Message:
    """The answer to one function call."""
    return {"type": "FunctionCallResponse", "id": call_id, "name": name, "content": content}
