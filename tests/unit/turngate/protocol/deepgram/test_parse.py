"""Parsing of client messages, and the errors for invalid ones."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from deepgram.agent.v1 import types as deepgram
from hypothesis import HealthCheck, given
from hypothesis import settings as configured
from hypothesis import strategies as st

from turngate.protocol.deepgram import (
    ClientProtocolError,
    FunctionCallResponse,
    InjectAgentMessage,
    Settings,
    UnknownMessageTypeError,
    UserTurnEnded,
    parse_client_message,
    read_message,
)
from turngate.protocol.deepgram.parse import MAX_DEPTH

THINK: dict[str, Any] = {"provider": {"type": "open_ai", "model": "gpt-4o-mini", "temperature": 1}}

DEEPGRAM_SETTINGS: dict[str, Any] = {
    "type": "Settings",
    "tags": ["a"],
    "experimental": False,
    "mip_opt_out": True,
    "flags": {"history": False},
    "audio": {
        "input": {"encoding": "linear16", "sample_rate": 16000},
        "output": {"encoding": "linear16", "sample_rate": 24000, "container": "none", "bitrate": 48000},
    },
    "agent": {
        "language": "en",
        "listen": {
            "provider": {
                "type": "deepgram",
                "version": "v2",
                "model": "flux-general-multi",
                "language_hints": ["en", "de"],
                "keyterms": ["turngate"],
                "eot_threshold": 0.7,
                "eager_eot_threshold": 0.5,
                "eot_timeout_ms": 5000,
            }
        },
        "think": [
            {
                "provider": {"type": "open_ai", "model": "gpt-4o-mini", "reasoning_mode": "low"},
                "endpoint": {"url": "https://example.org", "headers": {"a": "b"}},
                "functions": [
                    {
                        "name": "f",
                        "description": "d",
                        "parameters": {"type": "object", "properties": {"x": {"anything": [1]}}},
                        "endpoint": {"url": "https://example.org", "method": "post", "headers": {}},
                        "defer_until_eot": True,
                    }
                ],
                "prompt": "Be brief.",
                "context_length": "max",
            },
            THINK,
        ],
        "speak": {"provider": {"type": "cartesia", "model_id": "sonic-2", "voice": {"mode": "id", "id": "v"}}},
        "greeting": "Hello!",
        "context": {
            "messages": [
                {"type": "History", "role": "user", "content": "hi", "conversational_behavior": "default"},
                {
                    "type": "History",
                    "function_calls": [
                        {"id": "c", "name": "f", "client_side": True, "arguments": "{}", "response": "ok"}
                    ],
                },
            ]
        },
    },
}

COMPONENT_SETTINGS: dict[str, Any] = {
    "type": "Settings",
    "audio": {"input": {"encoding": "linear16", "sample_rate": 16000}, "output": None},
    "agent": {
        "idleTimeoutMs": -1,
        "useOpenAIManualAudioCommit": True,
        "sessionAudioOutput": {"format": {"type": "audio/pcm"}, "speed": 1.1, "voice": {"id": "voice_1"}},
        "think": {
            **THINK,
            "toolChoice": {"type": "function", "name": "f"},
            "outputModalities": ["text"],
            "maxOutputTokens": 100,
            "managedPrompt": {"id": "p", "version": "1", "variables": {"name": "Ann"}},
        },
    },
}


def parse(message: dict[str, Any], *, strict: bool = True) -> Any:
    return parse_client_message(orjson.dumps(message), strict=strict)


def settings(agent: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    return {"type": "Settings", "audio": {}, "agent": agent or {}, **fields}


@pytest.mark.parametrize(
    "message",
    [
        DEEPGRAM_SETTINGS,
        COMPONENT_SETTINGS,
        settings(),
        {"type": "UpdatePrompt", "prompt": "More."},
        {"type": "UpdateThink", "think": THINK},
        {"type": "UpdateThink", "think": [THINK, THINK]},
        {"type": "UpdateSpeak", "speak": {"provider": {"type": "deepgram", "model": "aura-2-thalia-en", "speed": 1}}},
        {"type": "UpdateListen", "listen": {"provider": {"type": "deepgram", "keyterms": []}}},
        {"type": "InjectUserMessage", "content": "hi"},
        {"type": "InjectAgentMessage", "message": "hi", "behavior": "queue"},
        {"type": "FunctionCallResponse", "id": "c", "name": "f", "content": "ok"},
        {"type": "FunctionCallResponse", "id": "c", "result": {"any": [1, None]}},
        {"type": "KeepAlive"},
        {"type": "ForceEndTurn"},
    ],
    ids=lambda message: message["type"],
)
def test_every_message_can_be_parsed_and_serialized(message: dict[str, Any]) -> None:
    read = parse(message)
    assert read.unknown_fields == ()
    again = read_message(json.loads(json.dumps(read.wire())))
    assert again == read
    assert again.wire() == read.wire()


def test_messages_of_the_official_sdk_are_accepted() -> None:
    written = deepgram.AgentV1Settings.model_validate(DEEPGRAM_SETTINGS).model_dump(mode="json", exclude_unset=True)
    assert parse(written) == parse(DEEPGRAM_SETTINGS)


def test_properties_of_settings() -> None:
    full = parse(DEEPGRAM_SETTINGS)
    assert (full.input_audio.encoding, full.input_audio.sample_rate) == ("linear16", 16000)
    assert not full.history_enabled
    assert full.greeting is None, "there is no greeting if a conversation is continued"
    bare = parse(settings({"greeting": "Hello!"}))
    assert (bare.input_audio.encoding, bare.input_audio.sample_rate) == ("linear16", 24000)
    assert (bare.output_audio.encoding, bare.output_audio.container) == ("linear16", "none")
    assert bare.history_enabled
    assert bare.greeting == "Hello!"
    assert not bare.manual_audio_commit
    assert parse(settings({"greeting": "Hi", "context": {"messages": []}})).greeting == "Hi"
    assert parse(COMPONENT_SETTINGS).manual_audio_commit


_REASONING = "agent.think.provider.reasoning_mode"


def listening(**provider: Any) -> dict[str, Any]:
    return settings({"listen": {"provider": {"type": "deepgram", "version": "v2", "model": "flux", **provider}}})


@pytest.mark.parametrize(
    ("message", "field", "words"),
    [
        ({"type": "Settings", "agent": {}}, "audio", "is missing"),
        (settings({"think": {"provider": {}}}), "agent.think.provider.type", "is missing"),
        (settings({"think": {"provider": {"type": "a", "model": 3}}}), "agent.think.provider.model", "a string"),
        (settings({"think": [THINK, {}]}), "agent.think[1].provider", "is missing"),
        (
            settings({"think": THINK | {"toolChoice": "maybe"}}),
            "agent.think.toolChoice",
            "'auto', 'none' or 'required'",
        ),
        (
            settings({"think": THINK | {"toolChoice": {"type": "function"}}}),
            "agent.think.toolChoice.name",
            "is missing",
        ),
        (settings({"think": THINK | {"maxOutputTokens": 0}}), "agent.think.maxOutputTokens", "at least 1"),
        (settings({"think": THINK | {"functions": {}}}), "agent.think.functions", "a list"),
        (settings({"think": THINK | {"functions": [{"name": ""}]}}), "agent.think.functions[0].name", "not be empty"),
        (settings({"speak": []}), "agent.speak", "not be empty"),
        (settings({"listen": "deepgram"}), "agent.listen", "an object"),
        (settings({"context": {"messages": [{"role": "user"}]}}), "agent.context.messages[0]", "`content`"),
        (settings(audio={"input": {"sample_rate": "16000"}}), "audio.input.sample_rate", "a whole number"),
        (settings(audio={"input": {"sample_rate": 16000.5}}), "audio.input.sample_rate", "a whole number"),
        (settings(experimental=1), "experimental", "true or false"),
        (settings({"speak": {"provider": {"type": "a", "speed": 9}}}), "agent.speak.provider.speed", "at most 1.5"),
        (listening(eot_threshold=0.4), "agent.listen.provider.eot_threshold", "at least 0.5"),
        (listening(eager_eot_threshold=0.95), "agent.listen.provider.eager_eot_threshold", "at most 0.9"),
        (listening(eot_timeout_ms=60_001), "agent.listen.provider.eot_timeout_ms", "at most 60000"),
        (listening(eot_threshold=0.5, eager_eot_threshold=0.6), "agent.listen.provider", "`eager_eot_threshold` above"),
        (settings({"think": {"provider": {"type": "a", "temperature": 3}}}), "agent.think.provider.temperature", "2"),
        (settings({"think": {"provider": {"type": "a", "reasoning_mode": "x"}}}), _REASONING, "'none', 'minimal'"),
        ({"type": "InjectUserMessage"}, "content", "is missing"),
        ({"type": "InjectUserMessage", "content": ""}, "content", "not be empty"),
        ({"type": "InjectAgentMessage"}, "message", "is missing"),
        ({"type": "FunctionCallResponse", "id": "c", "content": {}}, "content", "a string"),
        ({"type": "UpdateThink", "think": {"prompt": "p"}}, "think.provider", "is missing"),
    ],
)
def test_an_invalid_field_is_named_as_the_client_wrote_it(message: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ClientProtocolError) as caught:
        parse(message)
    assert caught.value.code == "UNPARSABLE_CLIENT_MESSAGE"
    assert caught.value.field == field
    assert f"`{field}`" in caught.value.description
    assert words in caught.value.description


def test_other_errors_keep_pydantics_text() -> None:
    with pytest.raises(ClientProtocolError, match=r"`content` is not valid \(Input should be a valid string"):
        read_message({"type": "InjectUserMessage", "content": "\ud800"})


def test_whole_floats_are_whole_numbers() -> None:
    assert parse(settings(audio={"input": {"sample_rate": 16000.0}})).input_audio.sample_rate == 16000


@pytest.mark.parametrize(
    ("agent", "unknown"),
    [
        ({"think": {**THINK, "timeout": 3}}, ["agent.think.timeout"]),
        ({"think": [{**THINK, "timeout": 3}, THINK]}, ["agent.think[0].timeout"]),
        ({"think": THINK, "mip_opt_out": True}, ["agent.mip_opt_out"]),
        ({"think": {**THINK, "tool_choice": "auto"}}, ["agent.think.tool_choice"]),
        ({"think": {**THINK, "functions": [{"name": "f", "strict": True}]}}, ["agent.think.functions[0].strict"]),
        (
            {"sessionAudioOutput": {"voice": {"id": "v", "b": 1}, "a": 2}},
            ["agent.sessionAudioOutput.a", "agent.sessionAudioOutput.voice.b"],
        ),
    ],
)
def test_unknown_fields_are_refused_or_listed(agent: dict[str, Any], unknown: list[str]) -> None:
    assert list(parse(settings(agent), strict=False).unknown_fields) == unknown
    with pytest.raises(ClientProtocolError) as caught:
        parse(settings(agent))
    assert caught.value.field == unknown[0]
    assert f"`{unknown[0]}`" in caught.value.description


def test_a_long_list_of_unknown_fields_is_shortened() -> None:
    with pytest.raises(ClientProtocolError, match="`a`, `b`, `c` and 2 more") as caught:
        parse({"type": "KeepAlive", "a": 1, "b": 1, "c": 1, "d": 1, "e": 1})
    assert caught.value.field == "a"


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        ('{"type":"KeepAlive",}', "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'"KeepAlive"', "not a JSON object"),
        (b"{}", "has no `type`"),
        (b'{"type":null}', "has no `type`"),
        (b'{"type":["KeepAlive"]}', "not a string"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested deeper"),
        (b"[" * 500_000 + b"]" * 500_000, "not valid JSON"),
    ],
)
def test_invalid_frames_are_refused(frame: bytes | str, words: str) -> None:
    with pytest.raises(ClientProtocolError, match=words) as caught:
        parse_client_message(frame, strict=False)
    assert caught.value.code == "UNPARSABLE_CLIENT_MESSAGE"


def test_a_message_of_maximum_depth_can_be_serialized() -> None:
    nested: Any = 1
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    message = parse({"type": "FunctionCallResponse", "id": "c", "result": nested})
    assert orjson.loads(message.output) == nested
    assert orjson.dumps({"event": {"message": message.wire()}})


@pytest.mark.parametrize("name", ["UpdateThink_Live", "FunctionCallRequest", "UserTurnEnded", "x" * 5000])
def test_an_unknown_type_is_named(name: str) -> None:
    with pytest.raises(UnknownMessageTypeError) as caught:
        parse({"type": name})
    assert name[:64] in caught.value.description
    assert len(caught.value.description) < 120


def test_clients_may_not_send_user_turn_ended() -> None:
    assert read_message({"type": "UserTurnEnded"}) == UserTurnEnded()
    assert read_message(UserTurnEnded().wire()) == UserTurnEnded()


def test_a_stored_agent_is_not_supported() -> None:
    with pytest.raises(ClientProtocolError) as caught:
        parse({"type": "Settings", "audio": {}, "agent": "5f0c7b1e-0000-4000-8000-000000000000"})
    assert caught.value.code == "AGENT_ID_NOT_SUPPORTED"


def test_the_old_field_name_of_an_agent_message_is_accepted() -> None:
    message = parse({"type": "InjectAgentMessage", "content": "hi"})
    assert message == InjectAgentMessage(message="hi")
    assert message.wire() == {"type": "InjectAgentMessage", "message": "hi"}


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({"content": "as it is"}, "as it is"),
        ({"content": "", "result": 1}, ""),
        ({"result": {"t": 21.5}}, '{"t":21.5}'),
        ({"result": "rain"}, '"rain"'),
        ({"result": None}, "null"),
        ({"error": "no such city"}, '{"error":"no such city"}'),
        ({"error": "late", "result": 1}, '{"error":"late"}'),
    ],
)
def test_every_form_of_a_function_result_becomes_a_string(fields: dict[str, Any], output: str) -> None:
    message = parse({"type": "FunctionCallResponse", "id": "c", **fields})
    assert isinstance(message, FunctionCallResponse)
    assert message.output == output


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=8,
)


@configured(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["type", "agent", "audio", "think", "content", "id"]), JSON))
def test_any_object_is_parsed_or_refused(message: dict[str, Any]) -> None:
    for kind in ("Settings", "UpdateThink", "FunctionCallResponse", message.get("type")):
        try:
            read = parse({**message, "type": kind}, strict=False)
        except ClientProtocolError:
            continue
        assert read_message(read.wire()) == read


def test_the_type_of_empty_settings_is_serialized() -> None:
    assert isinstance(parse(settings()), Settings)
    assert parse(settings()).wire() == {"type": "Settings", "audio": {}, "agent": {}}


def test_a_function_result_without_a_result_is_an_error() -> None:
    with pytest.raises(ClientProtocolError) as caught:
        parse({"type": "FunctionCallResponse", "id": "c"})
    assert caught.value.description == "FunctionCallResponse needs `content`, `result` or `error`."
    assert caught.value.field is None
