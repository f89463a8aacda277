"""Voices: the upstream's, and the nearest of them for names that clients bring from elsewhere."""

from __future__ import annotations

from typing import Any

from turngate.protocol.deepgram.settings import SpeakProvider, VoiceObject

#: The voices of the Realtime API.
REALTIME_VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"),
)

#: OpenAI's voices that only its text-to-speech models have.
_SPEECH_ONLY = {"fable": "ballad", "nova": "coral", "onyx": "ash"}

#: Deepgram's English voices, by the name in ``aura-2-thalia-en`` or ``flux-kit-en``: a woman's or a man's.
_AURA_NAMES = {
    "marin": "amalthea andromeda asteria athena aurora callisto cora cordelia delia electra harmonia helena hera iris "
    "janus juno kit luna minerva ophelia pandora phoebe selene stella thalia theia vesta",
    "cedar": "angus apollo arcas aries atlas draco helios hermes hyperion jupiter mars neptune odysseus orion orpheus "
    "perseus pluto saturn zeus",
}
#: Amazon Polly's voices that Deepgram's protocol names.
_POLLY = dict.fromkeys(("amy", "aria", "ayanda", "emma", "joanna"), "marin") | dict.fromkeys(
    ("arthur", "brian", "matthew"), "cedar"
)
_AURA = {name: voice for voice, names in _AURA_NAMES.items() for name in names.split()}


def voice_of(provider: SpeakProvider) -> str | dict[str, Any] | None:
    """The upstream's voice for what a client asks to speak with; None when there is nothing like it."""
    if provider.type == "open_ai" and provider.voice is not None:
        return realtime_voice(provider.voice)
    if provider.type == "aws_polly" and isinstance(provider.voice, str):
        return _POLLY.get(provider.voice.lower())
    if provider.type == "deepgram" and provider.model is not None:
        return next((_AURA[part] for part in provider.model.lower().split("-") if part in _AURA), None)
    return None


def realtime_voice(voice: str | VoiceObject) -> str | dict[str, Any] | None:
    """An OpenAI voice as the Realtime API takes it: by name, or by id for a custom one. None for an unknown name."""
    if isinstance(voice, VoiceObject):
        return {"id": voice.id}
    if voice.startswith("voice_"):
        return {"id": voice}
    return voice if voice in REALTIME_VOICES else _SPEECH_ONLY.get(voice)
