"""Configuration messages as partial session objects of the Realtime API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.translator.events import event, session_of, settings, think, translated
from translator.mapping.defaults import Defaults
from translator.mapping.result import Refusal
from translator.mapping.routes import translate
from translator.mapping.turn_detection import TurnDetection

PCM = {"type": "audio/pcm", "rate": 24000}


def speak(**provider: Any) -> dict[str, Any]:
    return {"provider": {"type": "deepgram", **provider}}


def codes(message: dict[str, Any], defaults: Defaults | None = None) -> list[str]:
    return [notice["code"] for notice in translated(message, defaults).notices]


def test_empty_settings_use_the_defaults() -> None:
    assert session_of(settings()) == {
        "type": "realtime",
        "audio": {
            "input": {
                "format": PCM,
                "transcription": {"model": "gpt-transcribe"},
                "turn_detection": {
                    "type": "server_vad",
                    "create_response": True,
                    "interrupt_response": True,
                    "idle_timeout_ms": None,
                },
            },
            "output": {"format": PCM, "voice": "marin"},
        },
    }
    assert codes(settings()) == []


def test_turn_detection_and_transcription_model_come_from_the_defaults() -> None:
    detection = TurnDetection(kind="semantic_vad", create_response=False)
    defaults = Defaults(turn_detection=detection, transcription_model=None, voice="voice_abc")
    audio = session_of(settings({"idleTimeoutMs": 6000}), defaults)["audio"]
    assert audio["input"]["turn_detection"] == {
        "type": "semantic_vad",
        "create_response": False,
        "interrupt_response": True,
    }
    assert audio["input"]["transcription"] is None
    assert audio["output"]["voice"] == {"id": "voice_abc"}


FUNCTION = {"name": "get_weather", "description": "The weather.", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("block", "field", "value"),
    [
        ({"prompt": "Be brief."}, "instructions", "Be brief."),
        ({"prompt": ""}, "instructions", ""),
        ({"functions": [FUNCTION]}, "tools", [{"type": "function", **FUNCTION}]),
        (
            {"functions": [{"name": "stop"}]},
            "tools",
            [{"type": "function", "name": "stop", "parameters": {"type": "object", "properties": {}}}],
        ),
        ({"functions": []}, "tools", []),
        ({"toolChoice": "required"}, "tool_choice", "required"),
        ({"toolChoice": {"type": "function", "name": "f"}}, "tool_choice", {"type": "function", "name": "f"}),
        ({"outputModalities": ["text"]}, "output_modalities", ["text"]),
        ({"outputModalities": ["text", "audio"]}, "output_modalities", ["audio"]),
        ({"maxOutputTokens": 200}, "max_output_tokens", 200),
        ({"maxOutputTokens": 4096}, "max_output_tokens", 4096),
        ({"maxOutputTokens": 4097}, "max_output_tokens", "inf"),
        ({"managedPrompt": {"id": "p"}}, "prompt", {"id": "p"}),
        (
            {"managedPrompt": {"id": "p", "version": "2", "variables": {"name": "Ann"}}},
            "prompt",
            {"id": "p", "version": "2", "variables": {"name": "Ann"}},
        ),
    ],
)
def test_think_fields(block: dict[str, Any], field: str, value: Any) -> None:
    """Rows "component: `agent.think.toolChoice`", "component: `agent.think.outputModalities`", "component:
    `agent.think.maxOutputTokens`", "component: `agent.think.managedPrompt`"."""
    assert session_of(settings({"think": think(**block)}))[field] == value
    assert session_of({"type": "UpdateThink", "think": think(**block)})[field] == value


def test_omitted_think_fields_are_not_sent() -> None:
    assert set(session_of(settings({"think": think()}))) == {"type", "audio"}


def test_the_first_of_several_think_blocks_is_used() -> None:
    assert session_of(settings({"think": [think(prompt="One."), think(prompt="Two.")]}))["instructions"] == "One."


def test_update_think_replaces_the_block() -> None:
    """Row "agent: `UpdateThink`"."""
    assert session_of({"type": "UpdateThink", "think": think()}) == {
        "type": "realtime",
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
    }


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (None, []),
        ("gpt-realtime-2.1", []),
        ("gpt-realtime-mini", ["THINK_MODEL_NOT_CHANGED"]),
        ("gpt-4o-mini", ["THINK_MODEL_NOT_REALTIME"]),
    ],
)
def test_another_model_gets_a_warning(model: str | None, expected: list[str]) -> None:
    """Row "component: `agent.think.provider.model`"."""
    block = {"provider": {"type": "open_ai", "model": model}}
    for message in (settings({"think": block}), {"type": "UpdateThink", "think": block}):
        assert codes(message) == expected
        assert "model" not in session_of(message)


def test_another_providers_model_gets_a_warning() -> None:
    [notice, fields] = translated(
        settings({"think": {"provider": {"type": "google"}, "endpoint": {"url": "https://example.org"}}})
    ).notices
    assert notice["code"] == "THINK_MODEL_NOT_REALTIME"
    assert "google" in notice["description"]
    assert "`endpoint`" in fields["description"]


def test_the_first_think_block_with_the_connected_model_is_used() -> None:
    blocks = [{"provider": {"type": "anthropic", "model": "claude"}, "prompt": "One."}, think(prompt="Two.")]
    message = {"type": "UpdateThink", "think": blocks}
    assert session_of(message)["instructions"] == "Two."
    assert codes(message) == []


def test_think_fields_that_are_not_applied_get_one_warning() -> None:
    """Row "component: `agent.think.provider.temperature`"."""
    provider = {"type": "open_ai", "model": "gpt-realtime", "temperature": 0.5, "reasoning_mode": "low"}
    block = {"provider": {**provider, "credentials": {"type": "iam"}}, "context_length": "max"}
    [notice] = translated(settings({"think": block}), Defaults(model="gpt-realtime")).notices
    assert notice["code"] == "THINK_FIELDS_NOT_APPLIED"
    for name in ("context_length", "provider.temperature", "provider.reasoning_mode", "provider.credentials"):
        assert f"`{name}`" in notice["description"]


@pytest.mark.parametrize(("mode", "effort"), [("none", "minimal"), ("minimal", "minimal"), ("high", "high")])
def test_reasoning_effort(mode: str, effort: str) -> None:
    defaults = Defaults(model="gpt-realtime-2")
    message = settings({"think": {"provider": {"type": "open_ai", "reasoning_mode": mode}}})
    assert session_of(message, defaults)["reasoning"] == {"effort": effort}
    assert codes(message, defaults) == []
    assert "reasoning" not in session_of(message, Defaults(model="gpt-realtime-1.5"))


def test_top_level_fields_that_are_not_applied_get_a_warning() -> None:
    message = settings() | {"tags": ["a"], "experimental": True, "mip_opt_out": True}
    [notice] = translated(message).notices
    assert notice["code"] == "SETTINGS_FIELDS_NOT_APPLIED"
    assert "`tags`, `experimental`" in notice["description"]
    assert "mip_opt_out" not in notice["description"], "no data is used for training"
    assert codes(settings() | {"experimental": False}) == []


def test_speak_fields_that_are_not_applied_get_a_warning() -> None:
    block = {"provider": {"type": "open_ai", "voice": "coral", "volume": 2.0}, "endpoint": {"url": "https://a.b"}}
    [notice] = translated({"type": "UpdateSpeak", "speak": block}).notices
    assert notice["code"] == "SPEAK_FIELDS_NOT_APPLIED"
    assert "`endpoint`, `provider.volume`" in notice["description"]


def test_a_function_endpoint_gets_a_warning() -> None:
    """Row "agent: tool call, endpoint function": the client gets the call, and the endpoint is not sent upstream."""
    function = {**FUNCTION, "endpoint": {"url": "https://example.org", "headers": {"authorization": "x"}}}
    message = settings({"think": think(functions=[function, FUNCTION])})
    assert session_of(message)["tools"] == [{"type": "function", **FUNCTION}] * 2
    [notice] = translated(message).notices
    assert notice["code"] == "FUNCTION_ENDPOINT_NOT_CALLED"
    assert "get_weather" in notice["description"]


@pytest.mark.parametrize(
    ("provider", "voice"),
    [
        ({"type": "open_ai", "voice": "coral"}, "coral"),
        ({"type": "open_ai", "voice": "onyx"}, "ash"),
        ({"type": "open_ai", "voice": {"id": "voice_1"}}, {"id": "voice_1"}),
        ({"type": "open_ai", "voice": "voice_1"}, {"id": "voice_1"}),
        ({"type": "deepgram", "model": "aura-2-thalia-en"}, "marin"),
        ({"type": "deepgram", "model": "aura-orion-en"}, "cedar"),
        ({"type": "deepgram", "version": "v2", "model": "flux-kit-en"}, "marin"),
        ({"type": "aws_polly", "voice": "Matthew", "language": "en-US"}, "cedar"),
    ],
)
def test_voices_are_mapped(provider: dict[str, Any], voice: Any) -> None:
    for message in (
        settings({"speak": {"provider": provider}}),
        {"type": "UpdateSpeak", "speak": {"provider": provider}},
    ):
        assert session_of(message)["audio"]["output"]["voice"] == voice
        assert codes(message) == []


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ({"type": "cartesia", "model_id": "sonic-2", "voice": {"mode": "id", "id": "v-1"}}, "v-1"),
        ({"type": "deepgram", "model": "flux-nobody-en"}, "flux-nobody-en"),
        ({"type": "aws_polly", "voice": "Nobody"}, "Nobody"),
        ({"type": "deepgram"}, "deepgram"),
        ({"type": "open_ai", "voice": "robot"}, "robot"),
        ({"type": "eleven_labs", "model_id": "eleven_turbo_v2_5"}, "eleven_turbo_v2_5"),
    ],
)
def test_a_voice_without_a_counterpart_gets_a_warning(provider: dict[str, Any], name: str) -> None:
    update = {"type": "UpdateSpeak", "speak": {"provider": provider}}
    [notice] = translated(update).notices
    assert notice["code"] == "SPEAK_VOICE_NOT_AVAILABLE"
    assert f" {name} " in notice["description"]
    assert session_of(update) == {"type": "realtime", "audio": {"output": {"speed": 1.0}}}
    assert session_of(settings({"speak": {"provider": provider}}))["audio"]["output"]["voice"] == "marin"


def test_the_first_of_several_voices_that_exists_is_used() -> None:
    preferences = [{"provider": {"type": "cartesia", "model_id": "s"}}, speak(model="aura-2-zeus-en", speed=1.2)]
    message = {"type": "UpdateSpeak", "speak": preferences}
    assert session_of(message) == {"type": "realtime", "audio": {"output": {"voice": "cedar", "speed": 1.2}}}
    assert codes(message) == []


def test_update_speak_resets_the_speed() -> None:
    """Row "agent: `UpdateSpeak`"."""
    first = settings({"speak": speak(model="aura-2-zeus-en", speed=1.2)})
    assert session_of(first)["audio"]["output"]["speed"] == 1.2
    update = {"type": "UpdateSpeak", "speak": speak(model="aura-2-thalia-en")}
    assert session_of(update)["audio"]["output"] == {"voice": "marin", "speed": 1.0}
    assert "speed" not in session_of(settings({"speak": speak(model="aura-2-zeus-en")}))["audio"]["output"]


def test_session_audio_output_takes_precedence() -> None:
    """Row "component: `agent.sessionAudioOutput`"."""
    agent = {
        "speak": speak(model="aura-2-zeus-en", speed=0.9),
        "sessionAudioOutput": {"voice": "sage", "speed": 1.1, "format": {"type": "audio/pcm"}},
    }
    assert session_of(settings(agent))["audio"]["output"] == {"format": PCM, "voice": "sage", "speed": 1.1}
    assert session_of(settings({"sessionAudioOutput": {"speed": 1.2}}))["audio"]["output"]["speed"] == 1.2
    unknown = settings({"sessionAudioOutput": {"voice": "robot"}})
    assert codes(unknown) == ["SPEAK_VOICE_NOT_AVAILABLE"]
    assert session_of(unknown)["audio"]["output"]["voice"] == "marin"


@pytest.mark.parametrize("format_", [{"type": "audio/pcmu"}, {"type": "audio/pcm", "rate": 16000}, {}])
def test_another_output_format_is_refused(format_: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match=r"agent\.sessionAudioOutput\.format") as caught:
        translate(event(settings({"sessionAudioOutput": {"format": format_}})), Defaults())
    assert caught.value.code == "INVALID_SETTINGS"


@pytest.mark.parametrize(
    ("wanted", "sent"), [(-1, None), (None, None), (100, 5000), (5000.5, 5000), (12_000, 12_000), (60_000, 30_000)]
)
def test_the_idle_timeout_is_limited_to_the_upstreams_range(wanted: float | None, sent: int | None) -> None:
    """Row "component: `agent.idleTimeoutMs`"."""
    detection = session_of(settings({"idleTimeoutMs": wanted}))["audio"]["input"]["turn_detection"]
    assert detection["idle_timeout_ms"] == sent


def test_manual_commit_switches_turn_detection_off() -> None:
    """Row "component: `agent.useOpenAIManualAudioCommit`"."""
    session = session_of(settings({"useOpenAIManualAudioCommit": True}))
    assert session["audio"]["input"]["turn_detection"] is None


def test_update_prompt_appends_to_the_instructions() -> None:
    """Row "agent: `UpdatePrompt`"."""
    intent = translated({"type": "UpdatePrompt", "prompt": "Speak French."}).intent
    assert intent is not None
    assert intent.configuration is not None
    assert intent.configuration.append_instructions == "Speak French."
    assert intent.configuration.session == {"type": "realtime"}


def test_repeated_settings_add_no_history() -> None:
    agent = {"context": {"messages": [{"role": "user", "content": "hi"}]}, "think": think(prompt="Two.")}
    assert len(translated(settings(agent)).items) == 1
    again = translated(settings(agent), repeated=True)
    assert again.items == ()
    session = session_of(settings(agent), repeated=True)
    assert session["instructions"] == "Two."
    assert "voice" not in session["audio"]["output"], (
        "the voice may be locked, so it is not sent unless the client sets it"
    )
