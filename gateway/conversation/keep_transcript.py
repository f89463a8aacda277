"""Keeps the transcript of a conversation from the upstream's events."""

from __future__ import annotations

from gateway.conversation.context import Context
from gateway.downlink.reply import text_of
from turngate.protocol.openai.server_events import (
    InputTranscriptionCompleted,
    OutputAudioTranscriptDelta,
    OutputAudioTranscriptDone,
    OutputItemDone,
    OutputTextDelta,
    OutputTextDone,
    ServerEvent,
)


def keep_transcript(context: Context, event: ServerEvent) -> None:
    """Note what this event says of the user's words, and of the agent's as far as they are sent to the client."""
    transcript = context.transcript
    match event:
        case InputTranscriptionCompleted():
            transcript.transcribed(event.item_id, event.transcript)
        case OutputAudioTranscriptDelta() | OutputTextDelta():
            _said(context, event.response_id, event.item_id, event.delta)
        case OutputAudioTranscriptDone():
            _said(context, event.response_id, event.item_id, event.transcript, complete=True)
        case OutputTextDone():
            _said(context, event.response_id, event.item_id, event.text, complete=True)
        case OutputItemDone() if event.item.id is not None and event.item.type == "message" and text_of(event.item):
            _said(context, event.response_id, event.item.id, text_of(event.item), complete=True)


def _said(context: Context, response_id: str, item_id: str, text: str, *, complete: bool = False) -> None:
    if context.turn.response_id == response_id and not context.downlink.replies.mutes(response_id):
        context.transcript.said(response_id, item_id, text, complete=complete)
