"""How the upstream transcribes, from what a client says about ``listen``."""

from __future__ import annotations

from typing import Any

from translator.mapping.translation import Defaults, Refusal, not_applied
from turngate.protocol.deepgram import INVALID_SETTINGS, events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.deepgram.settings import ListenProvider

#: Models that take words to expect, and several languages, as fields of their own.
_WITH_KEYWORDS = frozenset({"gpt-transcribe", "gpt-live-transcribe"})
#: Models that take no hints about words in any form.
_WITHOUT_PROMPT = frozenset({"gpt-realtime-whisper", "gpt-4o-transcribe-diarize"})

#: What Deepgram's listening has and the upstream's has not.
_NOT_APPLIED = ("eager_eot_threshold", "smart_format")


def transcription(
    provider: ListenProvider | None, language: str | None, defaults: Defaults
) -> tuple[dict[str, Any] | None, list[ServerMessage]]:
    """The upstream's ``transcription`` object, complete, and a ``Warning`` for what it cannot express.

    ``language`` is the fallback where ``provider`` names none. None turns transcription off.
    """
    model = defaults.transcription_model
    if model is None:
        return None, []
    config: dict[str, Any] = {"model": model}
    languages = _languages(provider, language)
    if len(languages) == 1:
        config["language"] = languages[0]
    elif languages and model in _WITH_KEYWORDS:
        config["languages"] = languages
    keyterms = provider.keyterms if provider is not None else None
    if keyterms is None:
        return config, []
    if model in _WITH_KEYWORDS:
        config["keywords"] = list(keyterms)
    elif model not in _WITHOUT_PROMPT:
        # whisper-1 reads its prompt as a list of words, the later models as a sentence about what to expect.
        words = ", ".join(keyterms)
        config["prompt"] = words if model == "whisper-1" or not words else f"Expect these words: {words}."
    elif keyterms:
        return config, [
            events.warning(
                "LISTEN_FIELDS_NOT_APPLIED", f"`keyterms` is not applied: {model} takes no hints about words."
            )
        ]
    return config, []


def changed_transcription(
    provider: ListenProvider, defaults: Defaults
) -> tuple[dict[str, Any] | None, list[ServerMessage]]:
    """`transcription` for an ``UpdateListen``: what it leaves out stays as it is, but ``language_hints``, which are
    cleared."""
    config, notices = transcription(provider, None, defaults)
    if config is not None and (_is_flux(provider) or provider.language or provider.language_hints is not None):
        # Only one of the two can hold; the gateway leaves out what clears nothing.
        cleared: dict[str, Any] = {"language": ""}
        if config["model"] in _WITH_KEYWORDS:
            cleared["languages"] = []
        config = cleared | config
    return config, notices


def check_listening(provider: ListenProvider, *, partial: bool) -> None:
    """Raises `Refusal` for a Flux model under another version than "v2". Without a version it is "v1", or what it was
    where the provider is ``partial``."""
    if _is_flux_model(provider) and (provider.version or ("v2" if partial else "v1")) != "v2":
        raise Refusal(INVALID_SETTINGS, f'`listen.provider.version` must be "v2" with {provider.model}.')


def listening_notices(provider: ListenProvider, code: str) -> list[ServerMessage]:
    """A ``Warning`` that names the fields of ``listen.provider`` that have no counterpart upstream, if any.

    Deepgram's models are not among them: the installation's transcription model stands for all of them.
    """
    fields = {field: getattr(provider, field) for field in _NOT_APPLIED}
    if provider.type != "deepgram":
        fields["type"] = provider.type
    return not_applied(code, "listen.provider", fields)


def _is_flux_model(provider: ListenProvider) -> bool:
    return provider.type == "deepgram" and (provider.model or "").startswith("flux")


def _is_flux(provider: ListenProvider) -> bool:
    """Whether this has the shape of Deepgram's Flux, whose languages are hints; in the other shape there are none."""
    return provider.version == "v2" or _is_flux_model(provider)


def _languages(provider: ListenProvider | None, fallback: str | None) -> list[str]:
    """ISO 639-1 codes of the languages to expect; empty for any (Deepgram's ``multi``)."""
    named = [provider.language] if provider is not None and provider.language else []
    hinted = list(provider.language_hints or ()) if provider is not None else []
    tags = named or hinted or ([fallback] if fallback else [])
    return list(dict.fromkeys(tag.partition("-")[0].lower() for tag in tags if tag and tag != "multi"))
