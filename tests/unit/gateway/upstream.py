"""Upstream events for the tests, each checked against the official SDK before it is parsed."""

from __future__ import annotations

from typing import Any

from tests.unit.schemas import sent_by_openai
from turngate.protocol.openai.server_events import ServerEvent, parse_server_event


def event(kind: str, **fields: Any) -> ServerEvent:
    parsed = parse_server_event(sent_by_openai({"type": kind, "event_id": "event_1", **fields}))
    assert parsed is not None
    return parsed


def created(response_id: str = "resp_1", **fields: Any) -> ServerEvent:
    response = {"id": response_id, "object": "realtime.response", "status": "in_progress", "conversation_id": "conv_1"}
    return event("response.created", response=response | fields)


def done(response_id: str = "resp_1", status: str = "completed", **fields: Any) -> ServerEvent:
    response = {"id": response_id, "object": "realtime.response", "status": status, "conversation_id": "conv_1"}
    return event("response.done", response=response | {"output": []} | fields)


def spoken(item_id: str = "item_1", text: str = "Hello.", status: str = "completed") -> dict[str, Any]:
    content = [{"type": "output_audio", "transcript": text}]
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": content}


def call(call_id: str = "call_1", name: str = "get_weather", status: str = "completed") -> dict[str, Any]:
    arguments = '{"city":"Oslo"}'
    return {
        "id": f"item_{call_id}",
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }


def item_added(item: dict[str, Any], response_id: str = "resp_1") -> ServerEvent:
    return event("response.output_item.added", response_id=response_id, output_index=0, item=item)


def item_done(item: dict[str, Any]) -> ServerEvent:
    return event("conversation.item.done", item=item, previous_item_id=None)


def output_item_done(item: dict[str, Any], response_id: str = "resp_1") -> ServerEvent:
    return event("response.output_item.done", response_id=response_id, output_index=0, item=item)


def output(kind: str, item_id: str = "item_1", response_id: str = "resp_1", **fields: Any) -> ServerEvent:
    """One of the events about the content of an item: ``output_text.delta``, ``output_audio.done`` …"""
    place = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": 0}
    return event(f"response.{kind}", **place, **fields)


def arguments_done(item: dict[str, Any], response_id: str = "resp_1") -> ServerEvent:
    named = {name: item[name] for name in ("call_id", "name", "arguments")}
    return event(
        "response.function_call_arguments.done",
        response_id=response_id,
        item_id=item["id"],
        output_index=0,
        **named,
    )


def speech_started(item_id: str = "user_1", ms: int = 1000) -> ServerEvent:
    return event("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=ms)


def speech_stopped(item_id: str = "user_1", ms: int = 2500) -> ServerEvent:
    return event("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=ms)


def user_words(delta: str, item_id: str = "user_1") -> ServerEvent:
    return event("conversation.item.input_audio_transcription.delta", item_id=item_id, content_index=0, delta=delta)


def user_said(transcript: str, item_id: str = "user_1") -> ServerEvent:
    return event(
        "conversation.item.input_audio_transcription.completed",
        item_id=item_id,
        content_index=0,
        transcript=transcript,
        usage={"type": "duration", "seconds": 1.5},
    )


def error(code: str | None, message: str = "Something.") -> ServerEvent:
    return event("error", error={"type": "invalid_request_error", "code": code, "message": message, "param": None})
