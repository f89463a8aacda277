"""The session's configuration: validation, initial values, and how a partial update applies.

A configuration is immutable: an update returns a new one, so a response keeps the one it started with.
"""

from __future__ import annotations

from typing import Any

from turngate.simulator import tool_config
from turngate.simulator.errors import RefusedError, invalid, missing
from turngate.simulator.frames import Event
from turngate.simulator.validation import (
    anything,
    array,
    choice,
    fields,
    flag,
    integer,
    mapping,
    nullable,
    number,
    string_or,
    tagged,
    text,
)

DEFAULT_INSTRUCTIONS = "You are a helpful voice assistant. Answer briefly, in the language of the user."
DEFAULT_VOICE = "alloy"

#: ``audio/pcm`` is 16-bit little-endian mono at 24 kHz, the other two are 8 kHz.
audio_format = tagged(
    {
        "audio/pcm": fields({"type": anything, "rate": integer(24_000, 24_000)}),
        "audio/pcmu": fields({"type": anything}),
        "audio/pcma": fields({"type": anything}),
    }
)
voice = string_or(fields({"id": text()}, required=("id",)))
max_output_tokens = string_or(integer(1, 4096), "inf")
reasoning = nullable(fields({"effort": nullable(choice("minimal", "low", "medium", "high", "xhigh"))}))
prompt = nullable(fields({"id": text(), "version": nullable(text()), "variables": nullable(mapping)}, required=("id",)))


def output_modalities(value: Any, path: str) -> None:
    """Exactly one modality. Audio output always includes its transcript, and the combination is refused."""
    if value not in (["audio"], ["text"]):
        raise invalid(path, f"Invalid modalities: {value!r}. Supported combinations are: ['text'] and ['audio'].")


_turn_detection = tagged(
    {
        "server_vad": fields(
            {
                "type": anything,
                "threshold": number(0.0, 1.0),
                "prefix_padding_ms": integer(0),
                "silence_duration_ms": integer(0),
                "idle_timeout_ms": nullable(integer(5_000, 30_000)),
                "create_response": flag,
                "interrupt_response": flag,
            }
        ),
        "semantic_vad": fields(
            {
                "type": anything,
                "eagerness": choice("low", "medium", "high", "auto"),
                "create_response": flag,
                "interrupt_response": flag,
            }
        ),
    }
)
#: ISO 639-1 or 639-3; empty to reset it.
_language = text(pattern="(?:[a-z]{2,3})?")
_transcription = fields(
    {
        "model": text(),
        "language": nullable(_language),
        "languages": nullable(array(_language)),
        "keywords": nullable(array(text())),
        "prompt": nullable(text()),
        "delay": nullable(choice("minimal", "low", "medium", "high", "xhigh")),
    }
)
_truncation = string_or(
    tagged(
        {
            "retention_ratio": fields(
                {
                    "type": anything,
                    "retention_ratio": number(0.0, 1.0),
                    "token_limits": nullable(fields({"post_instructions": integer(0)})),
                },
                required=("retention_ratio",),
            )
        }
    ),
    "auto",
    "disabled",
)
_noise_reduction = fields({"type": choice("near_field", "far_field"), "strength": number(0.0)})
_audio_input = fields(
    {
        "format": audio_format,
        "transcription": nullable(_transcription),
        "noise_reduction": nullable(_noise_reduction),
        "turn_detection": nullable(_turn_detection),
    }
)
_audio_output = fields({"format": audio_format, "voice": voice, "speed": number(0.25, 1.5)})
_update = fields(
    {
        "type": choice("realtime"),
        "model": text(),
        "output_modalities": output_modalities,
        "instructions": text(),
        "audio": fields({"input": _audio_input, "output": _audio_output}),
        "tools": tool_config.tools,
        "tool_choice": tool_config.tool_choice,
        "parallel_tool_calls": flag,
        "reasoning": reasoning,
        "max_output_tokens": max_output_tokens,
        "prompt": prompt,
        "tracing": nullable(
            string_or(
                fields({"workflow_name": nullable(text()), "group_id": nullable(text()), "metadata": anything}), "auto"
            )
        ),
        "truncation": _truncation,
        "include": nullable(array(choice("item.input_audio_transcription.logprobs"))),
    },
    required=("type",),
)

#: Default values of objects, by their ``type``. The live service's silence duration is 200 ms.
_DEFAULTS: dict[str, Event] = {
    "server_vad": {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    },
    "semantic_vad": {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    },
    "audio/pcm": {"type": "audio/pcm", "rate": 24_000},
}

#: Fields that an update replaces instead of merging.
_ATOMIC = frozenset({"tools", "tool_choice", "prompt", "tracing", "truncation", "include"})


def initial(session_id: str, model: str, expires_at: int) -> Event:
    """The session object of ``session.created``; ``expires_at`` in epoch seconds."""
    return {
        "id": session_id,
        "object": "realtime.session",
        "type": "realtime",
        "model": model,
        "expires_at": expires_at,
        "output_modalities": ["audio"],
        "instructions": DEFAULT_INSTRUCTIONS,
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "truncation": "auto",
        "prompt": None,
        "tracing": None,
        "include": None,
        "audio": {
            "input": {
                "format": _DEFAULTS["audio/pcm"],
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": _DEFAULTS["server_vad"],
            },
            "output": {"format": _DEFAULTS["audio/pcm"], "voice": DEFAULT_VOICE, "speed": 1.0},
        },
    }


def updated(current: Event, patch: Any, *, voice_locked: bool, responding: bool) -> Event:
    """The configuration after a ``session.update``. Raises `RefusedError`, and applies nothing, if a field is invalid.

    ``voice_locked``: the conversation contains assistant audio. ``responding``: a response of the default conversation
    is active.
    """
    if isinstance(patch, dict) and patch.get("type") == "transcription":
        raise invalid(
            "session.type", "Passing a transcription session update event to a realtime session is not allowed."
        )
    _update(patch, "session")
    # The URL determines the model; the live service ignores it here and reports the original one.
    session = _merge(current, {name: value for name, value in patch.items() if name != "model"})
    before, after = current["audio"]["output"], session["audio"]["output"]
    refuse_locked_voice(before["voice"], after["voice"], voice_locked)
    if responding and before["speed"] != after["speed"]:
        raise invalid("session.audio.output.speed", "The speed can only be changed between model turns.")
    if current["tracing"] is not None and session["tracing"] != current["tracing"]:
        raise invalid("session.tracing", "Tracing cannot be changed once it is enabled for a session.")
    if "audio" in patch:
        _check_transcription(session["audio"]["input"]["transcription"])
    tool_config.check_tools(session["tools"], session["tool_choice"], "session")
    return session


def refuse_locked_voice(before: Any, after: Any, locked: bool) -> None:
    """Raise `RefusedError` if the voice changes although the conversation contains assistant audio."""
    if locked and after != before:
        raise RefusedError("cannot_update_voice", "Cannot update a conversation's voice if assistant audio is present.")


def _merge(current: Event, patch: Event) -> Event:
    merged = dict(current)
    for name, value in patch.items():
        before = merged.get(name)
        if isinstance(value, dict) and name not in _ATOMIC:
            kind = value.get("type")
            if not isinstance(before, dict) or (name != "noise_reduction" and before.get("type") != kind):
                before = _DEFAULTS.get(kind, {}) if isinstance(kind, str) else {}
            if name == "noise_reduction" and "strength" not in before:
                before = {**before, "strength": 1.0}
            merged[name] = _merge(before, value)
        else:
            merged[name] = value
    return merged


def _check_transcription(transcription: Event | None) -> None:
    """Raise `RefusedError` for options that the transcription model does not support."""
    if transcription is None:
        return
    path = "session.audio.input.transcription"
    model = transcription.get("model")
    if model is None:
        raise missing(f"{path}.model")
    allowed = {
        "keywords": model in ("gpt-transcribe", "gpt-live-transcribe"),
        "languages": model in ("gpt-transcribe", "gpt-live-transcribe"),
        "delay": model == "gpt-realtime-whisper",
        "prompt": model not in ("gpt-realtime-whisper", "gpt-4o-transcribe-diarize"),
    }
    for name, fits in allowed.items():
        if transcription.get(name) is not None and not fits:
            raise invalid(f"{path}.{name}", f"'{name}' is not supported with the transcription model '{model}'.")
