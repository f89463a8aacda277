"""The effect of each field of ``Settings``, determined by translating a message with and without the field.

A field without an effect upstream must be listed in `_OTHER_EFFECTS`. `make check` fails for a new field that is in
neither group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import orjson
from pydantic import BaseModel

from translator.mapping.defaults import Defaults
from translator.mapping.result import MappingResult
from translator.mapping.routes import translate
from turngate.protocol.deepgram import Settings, parse_client_message
from turngate.protocol.messages import ClientEvent, Slot, TurnRecord

_TURN = TurnRecord(session="s", gateway="g", version=1, slot=Slot.UNCONFIGURED)
#: A message that contains every block, without optional fields.
_BASE: dict[str, Any] = {
    "type": "Settings",
    "audio": {"input": {}, "output": {}},
    "flags": {},
    "agent": {
        "context": {},
        "listen": {"provider": {"type": "deepgram"}},
        "think": [{"provider": {"type": "open_ai"}, "functions": [{"name": "f"}]}],
        "speak": [{"provider": {"type": "open_ai", "voice": "marin"}}],
        "sessionAudioOutput": {},
    },
}
_ENDPOINT = {"url": "https://example.org"}
_CALL = {"id": "c", "name": "f", "arguments": "{}", "response": "ok"}
#: Sample values for the fields, except where the string "x" is valid.
_SAMPLES: dict[str, Any] = {
    "tags": ["x"],
    "experimental": True,
    "audio.input.encoding": "mulaw",
    "audio.output.encoding": "mulaw",
    "audio.output.bitrate": 48_000,
    "agent.context.messages": [{"role": "user", "content": "Hi"}, {"function_calls": [_CALL]}],
    "agent.language": "de",
    "agent.listen.provider.language": "de",
    "agent.listen.provider.language_hints": ["de"],
    "agent.listen.provider.keyterms": ["Oslo"],
    "agent.listen.provider.smart_format": True,
    "agent.listen.provider.eot_threshold": 0.8,
    "agent.listen.provider.eager_eot_threshold": 0.5,
    "agent.listen.provider.eot_timeout_ms": 600,
    "agent.think[].provider.temperature": 1,
    "agent.think[].provider.credentials": {"type": "iam"},
    "agent.think[].endpoint": _ENDPOINT,
    "agent.think[].functions[].endpoint": _ENDPOINT,
    "agent.think[].functions[].parameters": {"type": "object", "properties": {"x": {}}},
    "agent.think[].context_length": "max",
    "agent.think[].toolChoice": "required",
    "agent.think[].outputModalities": ["text"],
    "agent.think[].maxOutputTokens": 200,
    "agent.think[].managedPrompt": {"id": "p"},
    "agent.speak[].endpoint": _ENDPOINT,
    "agent.speak[].provider.type": "aws_polly",
    "agent.speak[].provider.model": "aura-2-zeus-en",
    "agent.speak[].provider.voice": "coral",
    "agent.speak[].provider.speed": 1.2,
    "agent.speak[].provider.expressivity": 1,
    "agent.speak[].provider.volume": 1,
    "agent.speak[].provider.credentials": {"type": "iam"},
    "agent.sessionAudioOutput.speed": 1.2,
    "agent.sessionAudioOutput.voice": "coral",
    "agent.idleTimeoutMs": 6_000,
    "agent.useOpenAIManualAudioCommit": True,
}
#: Other fields that must be set for a field to have an effect.
_REQUIRES: dict[str, dict[str, Any]] = {
    "agent.listen.provider.eot_timeout_ms": {"eot_threshold": 0.9},
    "agent.speak[].provider.model": {"type": "deepgram", "voice": None},
}
#: Objects that are listed as one field.
_WHOLE = {
    "agent.context.messages",
    "agent.think[].toolChoice",
    "agent.think[].managedPrompt",
    "agent.think[].endpoint",
    "agent.think[].functions[].endpoint",
    "agent.speak[].endpoint",
    "agent.speak[].provider.voice",
    "agent.sessionAudioOutput.voice",
}
_RESAMPLED = "the gateway resamples"
#: Fields that are not sent upstream, and their effect; None to omit the field from the page.
_OTHER_EFFECTS = {
    "type": None,
    "flags.history": "whether the gateway sends `History` to the client",
    "mip_opt_out": "none: this server does not use any data for training",
    "audio.input.sample_rate": _RESAMPLED,
    "audio.output.sample_rate": _RESAMPLED,
    "audio.output.container": "`wav`: the gateway writes a header before each reply",
    "agent.greeting": "spoken first, by a separate `response.create` (`/v1/agent/converse`), or only sent as text "
    "(`/openai`)",
    "agent.listen.provider.version": "none: all versions are treated alike",
    "agent.listen.provider.model": "none: the installation's transcription model is always used",
    "agent.think[].provider.version": "none",
    "agent.think[].provider.voice_prompt_opt_out": "none: no voice prompt is added",
    "agent.think[].provider.reasoning_mode": "`session.reasoning` if the model supports it, else "
    "`Warning THINK_FIELDS_NOT_APPLIED`",
    "agent.think[].functions[].defer_until_eot": "none: functions are only called after the end of the turn",
    "agent.speak[].provider.version": "none",
    "agent.speak[].provider.model_id": "looked up in `TURNGATE_NAMES_FILE`, else `Warning SPEAK_VOICE_NOT_AVAILABLE`",
    "agent.speak[].provider.language": "none: every voice speaks every language",
    "agent.speak[].provider.language_code": "none: every voice speaks every language",
    "agent.sessionAudioOutput.format": "checked: must be audio/pcm at 24000; use `audio.output` for another format",
}


def rows() -> Iterator[tuple[str, str]]:
    """Each field with its effect. Raises `LookupError` for a field without an effect that is not listed above."""
    for path in _paths(Settings, ""):
        if path in _OTHER_EFFECTS:
            if (what := _OTHER_EFFECTS[path]) is not None:
                yield path, what
        elif effects := _effects(path):
            yield path, ", ".join(effects)
        else:
            raise LookupError(f"Settings.{path} has no effect upstream; describe it in tools/docs/fields.py")


def _paths(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        below = _model_in(info.annotation)
        if below is None or path in _WHOLE:
            yield path
        else:
            many = "[]" if "tuple" in str(info.annotation) else ""
            yield from _paths(below, f"{path}{many}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)


def _effects(path: str) -> list[str]:
    """The differences in the translation when this field is set."""
    without, with_ = _translated(_BASE), _translated(_put(_BASE, path.split("."), path))
    before = dict(_flat(_session(without), "session"))
    changed = [f"`{at}`" for at, value in _flat(_session(with_), "session") if before.get(at) != value]
    if with_.items != without.items:
        changed.append("`conversation.item.create`, in order")
    new = {notice["code"]: None for notice in with_.notices if notice not in without.notices}
    return changed + [f"`Warning {code}`" for code in new]


def _put(tree: dict[str, Any], steps: list[str], path: str) -> dict[str, Any]:
    """A copy of this tree with the sample value at ``path``."""
    key = steps[0].removesuffix("[]")
    if len(steps) == 1:
        return {**tree, **_REQUIRES.get(path, {}), key: _SAMPLES.get(path, "x")}
    many = steps[0].endswith("[]")
    below = _put(tree[key][0] if many else tree[key], steps[1:], path)
    return {**tree, key: [below] if many else below}


def _translated(message: dict[str, Any]) -> MappingResult:
    # Parsed like a client's message, so that an invalid sample is an error.
    parsed = parse_client_message(orjson.dumps(message), strict=True)
    return translate(ClientEvent(session="s", gateway="g", seq=1, message=parsed.wire(), turn=_TURN), Defaults())


def _session(result: MappingResult) -> dict[str, Any]:
    assert result.intent is not None
    assert result.intent.configuration is not None
    return result.intent.configuration.session


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and (path == "session" or path.startswith("session.audio")) and path.count(".") < 3:
        for key, below in value.items():
            yield from _flat(below, f"{path}.{key}")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for key in value[0]:
            yield f"{path}[].{key}", value[0][key]
    else:
        yield path, value
