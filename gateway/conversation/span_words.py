"""What people and the model say, as attributes of spans. Only for a tracer that wants words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.conversation.span_attributes import Cause
from turngate.protocol.openai.server_events import FunctionCallArgumentsDone, Item, OutputItemDone, Response
from turngate.tracing.spans import Attribute

#: Characters of one attribute.
_WORDS_MAX = 32_768
#: Where the words are in the client's messages.
_INPUT = {"InjectUserMessage": "content", "InjectAgentMessage": "message"}


def asked(message: Mapping[str, Any]) -> dict[str, Attribute]:
    """What a client's message, which is valid, says to the model."""
    kind = message["type"]
    if kind in _INPUT:
        role = "user" if kind == "InjectUserMessage" else "assistant"
        return _messages("gen_ai.input.messages", role, [_text(message.get(_INPUT[kind]))])
    think = message.get("think") or (message.get("agent") or {}).get("think") or ()
    prompts = [message.get("prompt"), *(one.get("prompt") for one in think)]
    texts = [_text(prompt) for prompt in prompts if prompt is not None]
    return {"gen_ai.system_instructions": _json(texts)} if texts else {}


def heard(transcript: str) -> dict[str, Attribute]:
    """What the user has said, as the upstream has understood it."""
    return _messages("gen_ai.input.messages", "user", [_text(transcript)])


def said(response: Response) -> dict[str, Attribute]:
    """What the model has said."""
    return _messages("gen_ai.output.messages", "assistant", [part for item in response.output for part in _parts(item)])


def arguments(cause: Cause) -> dict[str, Attribute]:
    """The arguments of the function call that this event has made."""
    found = cause.arguments if isinstance(cause, FunctionCallArgumentsDone) else None
    if isinstance(cause, OutputItemDone):
        found = cause.item.arguments
    return {} if found is None else {"gen_ai.tool.call.arguments": found[:_WORDS_MAX]}


def result(message: Mapping[str, Any]) -> dict[str, Attribute]:
    """The result of a function call, if this message of the client is one."""
    if message["type"] != "FunctionCallResponse":
        return {}
    found = next((message[name] for name in ("content", "result", "error") if message.get(name) is not None), "")
    return {"gen_ai.tool.call.result": found[:_WORDS_MAX] if isinstance(found, str) else _json(found)}


def _parts(item: Item) -> list[dict[str, Any]]:
    if item.type == "function_call":
        return [{"type": "tool_call", "id": item.call_id, "name": item.name, "arguments": item.arguments}]
    return [_text(part.transcript or part.text) for part in item.content]


def _text(words: Any) -> dict[str, Any]:
    return {"type": "text", "content": words}


def _messages(name: str, role: str, parts: list[dict[str, Any]]) -> dict[str, Attribute]:
    return {name: _json([{"role": role, "parts": parts}])}


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()[:_WORDS_MAX]
