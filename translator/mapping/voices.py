"""The upstream's voices, and their counterparts for the names of other services' voices."""

from __future__ import annotations

from typing import Any

from turngate.protocol.deepgram.settings import SpeakProvider, VoiceObject

#: The voices of the Realtime API.
REALTIME_VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"),
)

#: Voices that only OpenAI's text-to-speech models have, and their counterparts.
_SPEECH_ONLY = {"fable": "ballad", "nova": "coral", "onyx": "ash"}

#: Names of Deepgram's English voices, as in ``aura-2-thalia-en`` or ``flux-kit-en``, by counterpart (female or male).
_AURA_NAMES = {
    "marin": "amalthea andromeda asteria athena aurora callisto cora cordelia delia electra harmonia helena hera iris "
    "janus juno kit luna minerva ophelia pandora phoebe selene stella thalia theia vesta",
    "cedar": "angus apollo arcas aries atlas draco helios hermes hyperion jupiter mars neptune odysseus orion orpheus "
    "perseus pluto saturn zeus",
}
#: The voices of Amazon Polly in Deepgram's protocol.
_POLLY = dict.fromkeys(("amy", "aria", "ayanda", "emma", "joanna"), "marin") | dict.fromkeys(
    ("arthur", "brian", "matthew"), "cedar"
)
_AURA = {name: voice for voice, names in _AURA_NAMES.items() for name in names.split()}


def voice_of(provider: SpeakProvider) -> str | dict[str, Any] | None:
    """The upstream's voice for a client's ``speak.provider``; None if it has no counterpart."""
    if provider.type == "open_ai" and provider.voice is not None:
        return realtime_voice(provider.voice)
    if provider.type == "aws_polly" and isinstance(provider.voice, str):
        return _POLLY.get(provider.voice.lower())
    if provider.type == "deepgram" and provider.model is not None:
        return next((_AURA[part] for part in provider.model.lower().split("-") if part in _AURA), None)
    return None


def realtime_voice(voice: str | VoiceObject) -> str | dict[str, Any] | None:
    """An OpenAI voice as the Realtime API expects it: a name, or an id for a custom voice. None for an unknown name."""
    if isinstance(voice, VoiceObject):
        return {"id": voice.id}
    if voice.startswith("voice_"):
        return {"id": voice}
    return voice if voice in REALTIME_VOICES else _SPEECH_ONLY.get(voice)
