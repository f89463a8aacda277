"""Maps ``speak`` and ``sessionAudioOutput`` to the upstream's ``session.audio.output``."""

from __future__ import annotations

from typing import Any

from translator.mapping.defaults import Defaults
from translator.mapping.result import Refusal, not_applied
from translator.mapping.voices import realtime_voice, voice_of
from turngate.protocol.deepgram import INVALID_SETTINGS, Settings, events
from turngate.protocol.deepgram.audio import upstream_format
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.deepgram.settings import SessionAudioOutput, Speak, SpeakProvider

#: The speed if the client specifies none, as a factor.
DEFAULT_SPEED = 1.0


def output(message: Settings, defaults: Defaults, *, first: bool) -> tuple[dict[str, Any], list[ServerMessage]]:
    """``session.audio.output``; the ``first`` one of a session always contains a voice."""
    agent, upstream = message.agent, upstream_format(message.output_audio.encoding)
    audio: dict[str, Any] = {"format": upstream}
    if first:
        audio["voice"] = realtime_voice(defaults.voice) or defaults.voice
    spoken, notices = speaking(agent.speak or (), defaults)
    direct, warnings = _from_session_audio_output(agent.session_audio_output, upstream, defaults)
    return audio | spoken | direct, notices + warnings


def speaking(speak: tuple[Speak, ...], defaults: Defaults) -> tuple[dict[str, Any], list[ServerMessage]]:
    """Voice and speed from ``speak``, which lists preferences: the first one whose voice exists upstream is used."""
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
    # `language` needs no setting: the model speaks every language with every voice.
    fields = {"endpoint": entry.endpoint} | {
        f"provider.{name}": getattr(provider, name) for name in ("volume", "expressivity", "engine", "credentials")
    }
    return audio, [*notices, *not_applied("SPEAK_FIELDS_NOT_APPLIED", "speak", fields)]


def _from_session_audio_output(
    wanted: SessionAudioOutput | None, upstream: dict[str, Any], defaults: Defaults
) -> tuple[dict[str, Any], list[ServerMessage]]:
    """Voice and speed from ``sessionAudioOutput``.

    Raises `Refusal` for a format other than ``upstream``, the format that follows from ``audio.output``.
    """
    if wanted is None:
        return {}, []
    if wanted.format is not None and upstream | {"type": None} | wanted.format != upstream:
        rate = f" with a rate of {upstream['rate']}" if "rate" in upstream else ""
        raise Refusal(
            INVALID_SETTINGS,
            f"Settings: `agent.sessionAudioOutput.format` must be {upstream['type']}{rate}, as `audio.output` has it.",
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
    """The voice for a name in the operator's table; None if it is not in the table."""
    meant = defaults.names.voice(name)
    return realtime_voice(meant) if meant is not None else None


def _name(provider: SpeakProvider) -> str:
    voice = provider.voice if isinstance(provider.voice, str | None) else provider.voice.id
    return voice or provider.model or provider.model_id or provider.type


def _no_such_voice(name: str) -> ServerMessage:
    return events.warning(
        "SPEAK_VOICE_NOT_AVAILABLE", f"There is no voice like {name} upstream; the voice stays as it is."
    )
