"""Client events of the OpenAI Realtime API: one function for each type that this server sends.

Each takes an ``event_id``, which an ``error`` event repeats if it concerns that event.
"""

from __future__ import annotations

from typing import Any

import pybase64

#: The metadata key for the ``event_id`` of a ``response.create``. Only metadata is repeated in the response's events.
REQUEST_KEY = "turngate"


def session_update(session: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Change the session; ``session`` contains ``type`` and only the fields that change."""
    return {"type": "session.update", "event_id": event_id, "session": session}


def item_create(item: dict[str, Any], event_id: str, previous: str | None = None) -> dict[str, Any]:
    """Add an item at the end of the conversation, or after the item with the id ``previous``."""
    event = {"type": "conversation.item.create", "event_id": event_id, "item": item}
    return event if previous is None else event | {"previous_item_id": previous}


def item_delete(item_id: str, event_id: str) -> dict[str, Any]:
    """Remove an item from the conversation."""
    return {"type": "conversation.item.delete", "event_id": event_id, "item_id": item_id}


def response_create(response: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Request a response; its metadata contains ``event_id``, which `Response.request_id` returns."""
    metadata = {**(response.get("metadata") or {}), REQUEST_KEY: event_id}
    return {"type": "response.create", "event_id": event_id, "response": {**response, "metadata": metadata}}


def response_cancel(response_id: str | None, event_id: str) -> dict[str, Any]:
    """Cancel a response; None for the active response of the default conversation."""
    event = {"type": "response.cancel", "event_id": event_id}
    return event if response_id is None else event | {"response_id": response_id}


def commit_audio(event_id: str) -> dict[str, Any]:
    """Commit the input audio buffer, without an automatic response."""
    return {"type": "input_audio_buffer.commit", "event_id": event_id}


def item_truncate(item_id: str, audio_end_ms: int, event_id: str) -> dict[str, Any]:
    """Keep only the first ``audio_end_ms`` milliseconds of an assistant's audio item, the part that was heard.

    The upstream also removes the item's transcript.
    """
    part = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
    return {"type": "conversation.item.truncate", "event_id": event_id, **part}


def append_event(audio: bytes, event_id: str) -> dict[str, Any]:
    """The same as `append_audio`, as an object, for audio that is queued with other events."""
    return {"type": "input_audio_buffer.append", "event_id": event_id, "audio": pybase64.b64encode_as_string(audio)}


#: What is before and after the base64 in `append_audio`, for who cannot afford the call.
APPEND_BEGINS = b'{"type":"input_audio_buffer.append","audio":"'
APPEND_ENDS = b'"}'


def append_audio(audio: bytes) -> bytes:
    """The JSON of an ``input_audio_buffer.append``, ready to send.

    ``audio`` is in the session's input format (default: 16-bit little-endian mono PCM at 24 kHz), at most 15 MiB.
    """
    return APPEND_BEGINS + pybase64.b64encode(audio) + APPEND_ENDS
