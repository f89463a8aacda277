"""What of the upstream's protocol this server has no use for, and why: known, and not to be mistaken for new."""

from __future__ import annotations

from collections.abc import Mapping

_ANOTHER = "another event says the same"
_NOT_ASKED = "nothing here asks for it"
_WHOLE = "what it is part of comes whole"
_OTHER_TRANSPORT = "WebRTC and SIP only"
_UPSTREAM_TOOLS = "tools that the upstream runs by itself are not configured here"

#: Server events, by type: why nothing happens.
UNUSED_EVENTS: Mapping[str, str] = {
    "conversation.created": "a session has one conversation",
    "conversation.item.deleted": _NOT_ASKED,
    "conversation.item.retrieved": _NOT_ASKED,
    "conversation.item.truncated": "the gateway knows what it cut",
    "conversation.item.input_audio_transcription.segment": _WHOLE,
    "input_audio_buffer.cleared": _NOT_ASKED,
    "input_audio_buffer.dtmf_event_received": _OTHER_TRANSPORT,
    "mcp_list_tools.completed": _UPSTREAM_TOOLS,
    "mcp_list_tools.failed": _UPSTREAM_TOOLS,
    "mcp_list_tools.in_progress": _UPSTREAM_TOOLS,
    "output_audio_buffer.cleared": _OTHER_TRANSPORT,
    "output_audio_buffer.started": _OTHER_TRANSPORT,
    "output_audio_buffer.stopped": _OTHER_TRANSPORT,
    "rate_limits.updated": "it changes nothing for a session",
    "response.content_part.added": _WHOLE,
    "response.content_part.done": _ANOTHER,
    "response.function_call_arguments.delta": _WHOLE,
    "response.mcp_call.completed": _UPSTREAM_TOOLS,
    "response.mcp_call.failed": _UPSTREAM_TOOLS,
    "response.mcp_call.in_progress": _UPSTREAM_TOOLS,
    "response.mcp_call_arguments.delta": _UPSTREAM_TOOLS,
    "response.mcp_call_arguments.done": _UPSTREAM_TOOLS,
}

#: Client events, by type: why this server never sends them.
UNSENT_EVENTS: Mapping[str, str] = {
    "conversation.item.delete": "no item is ever taken back: an interrupted one is truncated",
    "conversation.item.retrieve": "every item that matters comes by itself",
    "input_audio_buffer.clear": "audio that was sent was said",
    "output_audio_buffer.clear": _OTHER_TRANSPORT,
}
