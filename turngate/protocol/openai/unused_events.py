"""Events of the upstream protocol that this server does not use, and why. They are known, so they are not reported."""

from __future__ import annotations

from collections.abc import Mapping

_REDUNDANT = "another event contains the same"
_NOT_REQUESTED = "the gateway does not request it"
_PARTIAL = "the complete value follows in another event"
_OTHER_TRANSPORT = "WebRTC and SIP only"
_UPSTREAM_TOOLS = "tools that run in the upstream are not supported"

#: Server events by type, with the reason why they are ignored.
UNUSED_EVENTS: Mapping[str, str] = {
    "conversation.created": "a session has one conversation",
    "conversation.item.deleted": _NOT_REQUESTED,
    "conversation.item.retrieved": _NOT_REQUESTED,
    "conversation.item.truncated": "the gateway knows what it truncated",
    "conversation.item.input_audio_transcription.segment": _PARTIAL,
    "input_audio_buffer.cleared": _NOT_REQUESTED,
    "input_audio_buffer.dtmf_event_received": _OTHER_TRANSPORT,
    "mcp_list_tools.completed": _UPSTREAM_TOOLS,
    "mcp_list_tools.failed": _UPSTREAM_TOOLS,
    "mcp_list_tools.in_progress": _UPSTREAM_TOOLS,
    "output_audio_buffer.cleared": _OTHER_TRANSPORT,
    "output_audio_buffer.started": _OTHER_TRANSPORT,
    "output_audio_buffer.stopped": _OTHER_TRANSPORT,
    "rate_limits.updated": "it does not affect a session",
    "response.content_part.added": _PARTIAL,
    "response.content_part.done": _REDUNDANT,
    "response.function_call_arguments.delta": _PARTIAL,
    "response.mcp_call.completed": _UPSTREAM_TOOLS,
    "response.mcp_call.failed": _UPSTREAM_TOOLS,
    "response.mcp_call.in_progress": _UPSTREAM_TOOLS,
    "response.mcp_call_arguments.delta": _UPSTREAM_TOOLS,
    "response.mcp_call_arguments.done": _UPSTREAM_TOOLS,
}

#: Client events by type, with the reason why they are not sent.
UNSENT_EVENTS: Mapping[str, str] = {
    "conversation.item.delete": "items are never deleted; an interrupted one is truncated",
    "conversation.item.retrieve": "the upstream sends every relevant item without a request",
    "input_audio_buffer.clear": "received speech is never discarded",
    "output_audio_buffer.clear": _OTHER_TRANSPORT,
}
