"""``session.update``: accepted and refused fields, and partial updates."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.unit.turngate.simulator.client import CITIES, Client, error, only
from turngate.simulator.frames import Event


def at(path: str, value: Any) -> Event:
    """A session object with one value at a dotted path."""
    for name in reversed(path.split(".")):
        value = {name: value}
    found: Event = value
    return found


def vad(**fields: Any) -> Event:
    return at("audio.input.turn_detection", {"type": "server_vad", **fields})


def transcription(**fields: Any) -> Event:
    return at("audio.input.transcription", fields)


def function(parameters: Event) -> Event:
    return {"tools": [{"type": "function", "name": "x", "parameters": parameters}]}


def mcp(**fields: Any) -> Event:
    return {"tools": [{"type": "mcp", "server_label": "docs", **fields}]}


REFUSED = [
    ({"nonsense": 1}, "unknown_parameter", "session.nonsense"),
    ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
    ({"voice": "alloy"}, "unknown_parameter", "session.voice"),
    (at("audio.input.nonsense", 1), "unknown_parameter", "session.audio.input.nonsense"),
    ({"instructions": None}, "invalid_value", "session.instructions"),
    ({"output_modalities": ["text", "audio"]}, "invalid_value", "session.output_modalities"),
    ({"output_modalities": []}, "invalid_value", "session.output_modalities"),
    ({"type": "transcription"}, "invalid_value", "session.type"),
    ({"type": "other"}, "invalid_value", "session.type"),
    (at("audio.input.format", {"type": "audio/pcm", "rate": 16_000}), "integer_below_min_value", "format.rate"),
    (at("audio.output.format", {"type": "audio/pcm", "rate": 48_000}), "integer_above_max_value", "format.rate"),
    (at("audio.input.format", {"type": "audio/opus"}), "invalid_value", "session.audio.input.format.type"),
    (at("audio.input.format", {"type": "audio/pcmu", "rate": 8_000}), "unknown_parameter", "format.rate"),
    (at("audio.input.turn_detection", {"threshold": 0.5}), "missing_required_parameter", "turn_detection.type"),
    (vad(idle_timeout_ms=4_999), "integer_below_min_value", "turn_detection.idle_timeout_ms"),
    (vad(idle_timeout_ms=30_001), "integer_above_max_value", "turn_detection.idle_timeout_ms"),
    (vad(threshold=1.5), "decimal_above_max_value", "turn_detection.threshold"),
    (vad(silence_duration_ms=1.5), "invalid_value", "turn_detection.silence_duration_ms"),
    (vad(create_response="yes"), "invalid_value", "turn_detection.create_response"),
    (vad(eagerness="low"), "unknown_parameter", "turn_detection.eagerness"),
    (transcription(language="en"), "missing_required_parameter", "transcription.model"),
    (transcription(model="whisper-1", keywords=["x"]), "invalid_value", "transcription.keywords"),
    (transcription(model="whisper-1", delay="low"), "invalid_value", "transcription.delay"),
    (transcription(model="gpt-realtime-whisper", prompt="x"), "invalid_value", "transcription.prompt"),
    (at("audio.output.speed", 2), "decimal_above_max_value", "session.audio.output.speed"),
    (at("audio.output.voice", {"name": "x"}), "missing_required_parameter", "session.audio.output.voice.id"),
    ({"max_output_tokens": 0}, "integer_below_min_value", "session.max_output_tokens"),
    ({"max_output_tokens": True}, "invalid_value", "session.max_output_tokens"),
    ({"max_output_tokens": "many"}, "invalid_value", "session.max_output_tokens"),
    (
        {"tools": [{"type": "function", "function": {"name": "x"}}]},
        "missing_required_parameter",
        "session.tools[0].name",
    ),
    ({"tools": [{"type": "function", "name": "x", "function": {}}]}, "unknown_parameter", "session.tools[0].function"),
    ({"tools": [{"type": "function", "name": "a b"}]}, "invalid_value", "session.tools[0].name"),
    ({"tools": [CITIES, CITIES]}, "invalid_value", "session.tools[1].name"),
    ({"tools": [{"name": "x"}]}, "missing_required_parameter", "session.tools[0].type"),
    (function({"properties": []}), "invalid_value", "session.tools[0].parameters.properties"),
    (function({"properties": {"a": 1}}), "invalid_value", "session.tools[0].parameters.properties.a"),
    (function({"required": [[]]}), "invalid_value", "session.tools[0].parameters.required[0]"),
    (function({"items": {"enum": 1}}), "invalid_value", "session.tools[0].parameters.items.enum"),
    ({"tools": [{"type": "mcp"}]}, "missing_required_parameter", "session.tools[0].server_label"),
    ({"tools": [{"type": "mcp", "server_label": None}]}, "invalid_value", "session.tools[0].server_label"),
    (mcp(allowed_tools={"names": []}), "unknown_parameter", "session.tools[0].allowed_tools.names"),
    (mcp(allowed_tools=[1]), "invalid_value", "session.tools[0].allowed_tools[0]"),
    (mcp(require_approval="maybe"), "invalid_value", "session.tools[0].require_approval"),
    ({"tools": {}}, "invalid_value", "session.tools"),
    ({"tools": [CITIES] * 129}, "array_above_max_length", "session.tools"),
    ({"audio": "loud"}, "invalid_value", "session.audio"),
    ({"max_output_tokens": 1.5}, "invalid_value", "session.max_output_tokens"),
    (at("audio.output.speed", "fast"), "invalid_value", "session.audio.output.speed"),
    (at("audio.input.turn_detection", "server_vad"), "invalid_value", "session.audio.input.turn_detection"),
    ({"tool_choice": "maybe"}, "invalid_value", "session.tool_choice"),
    ({"tool_choice": {"type": "function", "name": "nope"}}, "invalid_value", "session.tool_choice"),
    ({"truncation": {"type": "retention_ratio", "retention_ratio": 2}}, "decimal_above_max_value", "retention_ratio"),
    ({"include": ["everything"]}, "invalid_value", "session.include[0]"),
    ({"prompt": {"version": "1"}}, "missing_required_parameter", "session.prompt.id"),
]


@pytest.mark.parametrize(("session", "code", "param"), REFUSED, ids=[f"{code}-{param}" for _, code, param in REFUSED])
def test_refused(client: Client, session: Event, code: str, param: str) -> None:
    before = client.configure()
    refused = error(
        client.send("session.update", event_id="mine", session={"type": "realtime", "instructions": "New.", **session})
    )
    assert refused["code"] == code
    assert refused["param"].endswith(param)
    assert refused["event_id"] == "mine"
    assert client.configure() == before, "nothing of a refused update applies"


def test_the_type_is_required(client: Client) -> None:
    refused = error(client.send("session.update", session={"instructions": "x"}))
    assert (refused["code"], refused["param"]) == ("missing_required_parameter", "session.type")


def test_the_session_is_required(client: Client) -> None:
    assert error(client.send("session.update"))["param"] == "session"
    assert error(client.send("session.update", session=None))["param"] == "session"


def test_absent_fields_stay(client: Client) -> None:
    before = client.configure(instructions="Be kind.", tools=[CITIES])
    after = client.configure(audio={"output": {"voice": "marin"}})
    assert after["audio"]["output"] == {**before["audio"]["output"], "voice": "marin"}
    assert after["audio"]["input"] == before["audio"]["input"]
    assert (after["instructions"], after["tools"]) == ("Be kind.", [CITIES])


def test_null_differs_from_absent(client: Client) -> None:
    client.configure(
        audio={"input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "whisper-1"}}}
    )
    audio = client.configure(audio={"input": {"turn_detection": None}})["audio"]["input"]
    assert audio["turn_detection"] is None
    assert audio["transcription"] == {"model": "whisper-1"}


def test_arrays_replace(client: Client) -> None:
    client.configure(tools=[CITIES])
    other = {"type": "function", "name": "other"}
    assert client.configure(tools=[other])["tools"] == [other]
    assert client.configure(tools=[])["tools"] == []


def test_a_reference_replaces_a_reference(client: Client) -> None:
    client.configure(prompt={"id": "pmpt_1", "version": "2"})
    assert client.configure(prompt={"id": "pmpt_2"})["prompt"] == {"id": "pmpt_2"}


def test_turn_detection_merges_with_its_own_kind_and_replaces_another() -> None:
    client = Client()
    assert client.configure(**vad(threshold=0.9))["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.9,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }
    assert client.configure(**vad(prefix_padding_ms=10))["audio"]["input"]["turn_detection"]["threshold"] == 0.9
    semantic = client.configure(**at("audio.input.turn_detection", {"type": "semantic_vad"}))
    assert semantic["audio"]["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    again = client.configure(**vad())
    assert again["audio"]["input"]["turn_detection"]["threshold"] == 0.5


def test_noise_reduction_keeps_its_strength(client: Client) -> None:
    reduction = "audio.input.noise_reduction"
    first = client.configure(**at(reduction, {"type": "near_field"}))
    assert first["audio"]["input"]["noise_reduction"] == {"type": "near_field", "strength": 1.0}
    client.configure(**at(reduction, {"strength": 0.3}))
    second = client.configure(**at(reduction, {"type": "far_field"}))
    assert second["audio"]["input"]["noise_reduction"] == {"type": "far_field", "strength": 0.3}


def test_a_format_without_its_rate_is_complete(client: Client) -> None:
    client.configure(**at("audio.input.format", {"type": "audio/pcmu"}))
    back = client.configure(**at("audio.input.format", {"type": "audio/pcm"}))
    assert back["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


def test_the_model_stays_whatever_is_asked(client: Client) -> None:
    assert client.configure(model="another")["model"] == "gpt-realtime-2.1"


def test_every_option_at_once(client: Client) -> None:
    session = client.configure(
        tools=[CITIES, {"type": "mcp", "server_label": "docs", "server_url": "https://example.com/mcp"}],
        tool_choice={"type": "function", "name": "get_weather"},
        parallel_tool_calls=True,
        reasoning={"effort": "low"},
        max_output_tokens=100,
        prompt={"id": "pmpt_1", "version": "2", "variables": {"city": "Oslo"}},
        tracing={"workflow_name": "test"},
        truncation={"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 100}},
        include=["item.input_audio_transcription.logprobs"],
        audio={"output": {"voice": {"id": "voice_1"}, "speed": 1.25, "format": {"type": "audio/pcma"}}},
    )
    assert session["reasoning"] == {"effort": "low"}
    assert session["audio"]["output"]["voice"] == {"id": "voice_1"}


def test_the_voice_is_locked_once_it_was_heard() -> None:
    client = Client()
    client.configure(audio={"output": {"voice": "cedar"}})
    client.ask("Good morning")
    before = client.configure()
    refused = error(
        client.send(
            "session.update",
            session={"type": "realtime", "instructions": "New.", "audio": {"output": {"voice": "marin"}}},
        )
    )
    assert refused["code"] == "cannot_update_voice"
    assert refused["message"] == "Cannot update a conversation's voice if assistant audio is present."
    assert refused["param"] is None
    assert client.configure() == before
    assert client.configure(audio={"output": {"voice": "cedar"}}) == before, "the same voice is no change"
    answer = error(client.send("response.create", response={"audio": {"output": {"voice": "marin"}}}))
    assert answer["code"] == "cannot_update_voice"


def test_the_voice_is_not_locked_by_text_output(client: Client) -> None:
    client.ask("Good morning")
    assert client.configure(audio={"output": {"voice": "marin"}})["audio"]["output"]["voice"] == "marin"


def test_the_voice_is_locked_from_the_first_audio_of_a_running_response() -> None:
    client = Client()
    client.send("response.create")
    client.until("response.content_part.added")
    refused = error(client.send("session.update", session={"type": "realtime", **at("audio.output.voice", "marin")}))
    assert refused["code"] == "cannot_update_voice"


def test_the_speed_changes_between_turns_only(client: Client) -> None:
    client.send("response.create")
    refused = error(client.send("session.update", session={"type": "realtime", **at("audio.output.speed", 1.5)}))
    assert refused["param"] == "session.audio.output.speed"
    client.settle()
    assert client.configure(audio={"output": {"speed": 1.5}})["audio"]["output"]["speed"] == 1.5


def test_speed_changes_how_long_the_reply_is() -> None:
    def length(speed: float) -> int:
        client = Client()
        client.configure(audio={"output": {"speed": speed}})
        item = only(client.ask("Good morning"), "response.output_item.done")["item"]["id"]
        (retrieved,) = client.send("conversation.item.retrieve", item_id=item)
        return len(retrieved["item"]["content"][0]["audio"])

    assert length(0.5) == 2 * length(1.0)


def test_tracing_can_be_set_once(client: Client) -> None:
    client.configure(tracing="auto")
    assert (
        error(client.send("session.update", session={"type": "realtime", "tracing": None}))["param"]
        == "session.tracing"
    )
    assert client.configure(tracing="auto")["tracing"] == "auto"


def test_a_sent_event_does_not_change_afterwards(client: Client) -> None:
    first = client.configure(instructions="One.", tools=[CITIES])
    copied = copy.deepcopy(first)
    client.configure(instructions="Two.", tools=[], audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    assert first == copied
