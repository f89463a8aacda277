"""What speaks: ``speak`` and ``sessionAudioOutput``, as the upstream's ``session.audio.output``."""

from __future__ import annotations

from typing import Any

from translator.mapping.translation import Defaults, Refusal, not_applied
from translator.mapping.voices import realtime_voice, voice_of
from turngate.protocol.deepgram import INVALID_SETTINGS, Settings, events
from turngate.protocol.deepgram.audio import upstream_format
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.deepgram.settings import SessionAudioOutput, Speak, SpeakProvider

#: The factor on the voice's natural speed where none is asked for.
USUAL_SPEED = 1.0


def output(message: Settings, defaults: Defaults, *, first: bool) -> tuple[dict[str, Any], list[ServerMessage]]:
    """``session.audio.output``, complete with a voice for the first configuration."""
    agent, form = message.agent, upstream_format(message.output_audio.encoding)
    audio: dict[str, Any] = {"format": form}
    if first:
        audio["voice"] = realtime_voice(defaults.voice) or defaults.voice
    spoken, notices = speaking(agent.speak or (), defaults)
    direct, warnings = _direct(agent.session_audio_output, form, defaults)
    return audio | spoken | direct, notices + warnings


def speaking(speak: tuple[Speak, ...], defaults: Defaults) -> tuple[dict[str, Any], list[ServerMessage]]:
    """Voice and speed from ``speak``: of the preferences, the first whose voice exists upstream."""
    if not speak:
        return {}, []
    entry, voice = next(
        ((entry, voice) for entry in speak if (voice := _voice(entry.provider, defaults)) is not None),
        (speak[0], None),
    )
    provider = entry.provider
    audio: dict[str, Any] = {}
    if voice is not None:
        audio["voice"] = voice
    if provider.speed is not None:
        audio["speed"] = provider.speed
    notices = [] if voice is not None else [_no_such_voice(_name(provider))]
    # A language needs no setting: the model speaks all of them, with every voice.
    fields = {"endpoint": entry.endpoint} | {
        f"provider.{name}": getattr(provider, name) for name in ("volume", "expressivity", "engine", "credentials")
    }
    return audio, [*notices, *not_applied("SPEAK_FIELDS_NOT_APPLIED", "speak", fields)]


def _direct(
    wanted: SessionAudioOutput | None, form: dict[str, Any], defaults: Defaults
) -> tuple[dict[str, Any], list[ServerMessage]]:
    """Voice and speed from ``sessionAudioOutput``. Raises `Refusal` for a format other than ``form``, which is what the
    gateway expects of the upstream."""
    if wanted is None:
        return {}, []
    if wanted.format is not None and form | {"type": None} | wanted.format != form:
        rate = f" with a rate of {form['rate']}" if "rate" in form else ""
        raise Refusal(
            INVALID_SETTINGS,
            f"Settings: `agent.sessionAudioOutput.format` must be {form['type']}{rate}, as `audio.output` has it.",
        )
    audio: dict[str, Any] = {}
    notices: list[ServerMessage] = []
    if wanted.voice is not None:
        name = wanted.voice if isinstance(wanted.voice, str) else wanted.voice.id
        voice = _named(name, defaults) or realtime_voice(wanted.voice)
        if voice is None:
            notices.append(_no_such_voice(name))
        else:
            audio["voice"] = voice
    if wanted.speed is not None:
        audio["speed"] = wanted.speed
    return audio, notices


def _voice(provider: SpeakProvider, defaults: Defaults) -> str | dict[str, Any] | None:
    voice = provider.voice if isinstance(provider.voice, str | None) else provider.voice.id
    return _named(voice, defaults) or _named(provider.model or provider.model_id, defaults) or voice_of(provider)


def _named(name: str | None, defaults: Defaults) -> str | dict[str, Any] | None:
    """What the operator's table says."""
    meant = defaults.names.voice(name)
    return realtime_voice(meant) if meant is not None else None


def _name(provider: SpeakProvider) -> str:
    voice = provider.voice if isinstance(provider.voice, str | None) else provider.voice.id
    return voice or provider.model or provider.model_id or provider.type


def _no_such_voice(name: str) -> ServerMessage:
    return events.warning(
        "SPEAK_VOICE_NOT_AVAILABLE", f"There is no voice like {name} upstream; the voice stays as it is."
    )
