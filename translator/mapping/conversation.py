"""What goes into the conversation: an earlier history, the user's typed words, words for the agent to say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2s
from typing import Any

from translator.mapping.translation import Defaults, Translation, item_id, respond
from turngate.protocol.deepgram import InjectAgentMessage, InjectUserMessage, UserTurnEnded
from turngate.protocol.deepgram.settings import HistoryMessage
from turngate.protocol.messages import ClientEvent

#: What the upstream takes as the id of a call.
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SAY_EXACTLY = "Say exactly the following words, in this language and order, and nothing before or after them:"


def inject_user_message(event: ClientEvent, message: InjectUserMessage, defaults: Defaults) -> Translation:
    """The user's turn, as text, and the wish for an answer to it."""
    item = {"id": item_id(event, 0), **_message("user", message.content)}
    return Translation(items=(item,), intent=respond(event))


def inject_agent_message(event: ClientEvent, message: InjectAgentMessage, defaults: Defaults) -> Translation:
    """The agent's turn, in given words: a response of its own, which no other can stand in for."""
    overrides = {"instructions": f"{_SAY_EXACTLY}\n\n{message.message}", "tool_choice": "none"}
    interrupts = message.behavior == "interrupt"
    return Translation(intent=respond(event, overrides=overrides, exclusive=True, interrupts=interrupts))


def user_turn_ended(event: ClientEvent, message: UserTurnEnded, defaults: Defaults) -> Translation:
    """The user's speech is in the conversation already; it wants an answer."""
    return Translation(intent=respond(event))


def history_items(event: ClientEvent, messages: Iterable[HistoryMessage]) -> tuple[dict[str, Any], ...]:
    """An earlier conversation, oldest first; a finished function call becomes the call and its output."""
    items = (item for message in messages for item in _items(message))
    return tuple({"id": item_id(event, n), **item} for n, item in enumerate(items))


def _items(message: HistoryMessage) -> Iterator[dict[str, Any]]:
    if message.role is not None and message.content is not None:
        yield _message(message.role, message.content)
    for call in message.function_calls or ():
        call_id = _call_id(call.id)
        yield {"type": "function_call", "call_id": call_id, "name": call.name, "arguments": call.arguments}
        yield {"type": "function_call_output", "call_id": call_id, "output": call.response}


def _call_id(name: str) -> str:
    """An id from another service as the upstream takes it: itself where it can be, else one that stands for it."""
    return name if _CALL_ID.fullmatch(name) else f"call_{blake2s(name.encode(), digest_size=13).hexdigest()}"


def _message(role: str, text: str) -> dict[str, Any]:
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    return {"type": "message", "role": role, "content": [part]}
