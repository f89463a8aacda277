"""Property test: for any client event the session emits valid events and continues."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.turngate.simulator.client import CITIES, Client, sound, text_item
from turngate.simulator.frames import Event

VALID: list[Event] = [
    {
        "type": "session.update",
        "event_id": "mine",
        "session": {
            "type": "realtime",
            "instructions": "You are Ada.",
            "tools": [CITIES, {"type": "mcp", "server_label": "docs"}],
            "tool_choice": {"type": "function", "name": "get_weather"},
            "output_modalities": ["text"],
            "max_output_tokens": 100,
            "prompt": {"id": "pmpt_1"},
            "truncation": {"type": "retention_ratio", "retention_ratio": 0.5},
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": {"model": "whisper-1"},
                    "noise_reduction": {"type": "near_field"},
                    "turn_detection": {"type": "server_vad", "threshold": 0.5, "idle_timeout_ms": 5_000},
                },
                "output": {"format": {"type": "audio/pcmu"}, "voice": "alloy", "speed": 1.2},
            },
        },
    },
    {"type": "input_audio_buffer.append", "audio": sound(200)},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "item": text_item("weather in Oslo", id="a"), "previous_item_id": "root"},
    {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": sound(100)}]},
    },
    {
        "type": "conversation.item.create",
        "item": {"type": "function_call", "name": "get_weather", "arguments": "{}", "call_id": "call"},
    },
    {
        "type": "conversation.item.create",
        "item": {"type": "function_call_output", "call_id": "call", "output": "rain", "id": "b"},
    },
    {"type": "conversation.item.retrieve", "item_id": "a"},
    {"type": "conversation.item.truncate", "item_id": "a", "content_index": 0, "audio_end_ms": 0},
    {"type": "conversation.item.delete", "item_id": "a"},
    {
        "type": "response.create",
        "response": {
            "conversation": "auto",
            "metadata": {"a": "b"},
            "input": [text_item("hello"), {"type": "item_reference", "id": "a"}],
            "audio": {"output": {"voice": "alloy"}},
            "tools": [CITIES],
        },
    },
    {"type": "response.create"},
    {"type": "response.cancel", "response_id": None},
]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a JSON value, with each of its keys or indexes."""
    if isinstance(value, dict):
        return [place for key in value for place in ((value, key), *places(value[key]))]
    if isinstance(value, list):
        return [place for index, element in enumerate(value) for place in ((value, index), *places(element))]
    return []


@st.composite
def events(draw: st.DrawFn) -> Event:
    """A valid event, or one in which a value is replaced by any JSON, or a field is added or removed."""
    event = copy.deepcopy(draw(st.sampled_from(VALID)))
    container, key = draw(st.sampled_from(places(event)))
    match draw(st.sampled_from(["valid", "replace", "add", "remove"])):
        case "replace":
            container[key] = draw(JSON)
        case "add" if isinstance(container, dict):
            container[draw(st.text(max_size=5))] = draw(JSON)
        case "remove" if isinstance(container, dict):
            del container[key]
    return event


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(events(), st.sampled_from([0.0, 0.03, 0.4, 6.0])), max_size=12))
def test_any_events(sent: list[tuple[Event, float]]) -> None:
    client = Client()
    for event, pause in sent:
        before = copy.deepcopy(event)
        client.frame(event)
        client.wait(pause)
        assert event == before, "the sent event is not modified"
    client.settle()
    (answer,) = client.send("session.update", session={"type": "realtime"})
    assert answer["type"] == "session.updated"
