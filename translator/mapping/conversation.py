"""Conversation items: history from ``Settings``, the user's text messages, and messages for the agent to say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2s
from typing import Any

from translator.mapping.defaults import Defaults
from translator.mapping.result import MappingResult, item_id, respond
from turngate.protocol.deepgram import InjectAgentMessage, InjectUserMessage, ReplyCutOff, UserTurnEnded
from turngate.protocol.deepgram.settings import HistoryMessage
from turngate.protocol.messages import ClientEvent

#: The call ids that the upstream accepts.
_CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SAY_EXACTLY = "Say exactly the following words, in this language and order, and nothing before or after them:"

_GO_ON = (
    "Your last reply was cut off by the line after the words below. Go on from there in the same language, with what "
    "comes next and nothing else: do not repeat these words, do not greet, and do not mention the interruption."
)


def inject_user_message(event: ClientEvent, message: InjectUserMessage, defaults: Defaults) -> MappingResult:
    """A user message as text. It is added to the conversation at once, and answered by a response."""
    item = {"id": item_id(event, 0), **_message("user", message.content)}
    return MappingResult(items=(item,), intent=respond(event))


def inject_agent_message(event: ClientEvent, message: InjectAgentMessage, defaults: Defaults) -> MappingResult:
    """A message for the agent to say: a separate response, which answers no other request."""
    interrupts = message.behavior == "interrupt"
    return MappingResult(intent=respond(event, overrides=_say(message.message), exclusive=True, interrupts=interrupts))


def user_turn_ended(event: ClientEvent, message: UserTurnEnded, defaults: Defaults) -> MappingResult:
    """The end of the user's speech, which is already in the conversation and is answered by a response."""
    return MappingResult(intent=respond(event))


def reply_cut_off(event: ClientEvent, message: ReplyCutOff, defaults: Defaults) -> MappingResult:
    """A reply that was cut off by the loss of a connection. What was heard of it is in the conversation; the response
    goes on from there, before anything else is answered."""
    if message.rest is not None:
        return MappingResult(intent=respond(event, overrides=_say(message.rest), exclusive=True, first=True))
    return MappingResult(intent=respond(event, append_instructions=f"{_GO_ON}\n\n{message.heard}", first=True))


def _say(words: str) -> dict[str, Any]:
    return {"instructions": f"{_SAY_EXACTLY}\n\n{words}", "tool_choice": "none"}


def history_items(event: ClientEvent, messages: Iterable[HistoryMessage]) -> tuple[dict[str, Any], ...]:
    """The items of an earlier conversation, oldest first. A finished function call becomes the call and its output."""
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
    """The id itself if the upstream accepts it, or else an id derived from it."""
    return name if _CALL_ID.fullmatch(name) else f"call_{blake2s(name.encode(), digest_size=13).hexdigest()}"


def _message(role: str, text: str) -> dict[str, Any]:
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    return {"type": "message", "role": role, "content": [part]}
