"""Maps ``listen`` to the upstream's transcription."""

from __future__ import annotations

from typing import Any

from translator.mapping.defaults import Defaults
from translator.mapping.result import Refusal, not_applied
from turngate.protocol.deepgram import INVALID_SETTINGS, events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.deepgram.settings import ListenProvider

#: Models with the fields ``keywords`` and ``languages``.
_WITH_KEYWORDS = frozenset({"gpt-transcribe", "gpt-live-transcribe"})
#: Models that accept no hints about words, neither as ``keywords`` nor as ``prompt``.
_WITHOUT_PROMPT = frozenset({"gpt-realtime-whisper", "gpt-4o-transcribe-diarize"})

#: Fields without a counterpart upstream.
_NOT_APPLIED = ("eager_eot_threshold", "smart_format")


def transcription(
    provider: ListenProvider | None, language: str | None, defaults: Defaults
) -> tuple[dict[str, Any] | None, list[ServerMessage]]:
    """The complete ``transcription`` object of the upstream, and a ``Warning`` for what it cannot express.

    ``language`` is used if ``provider`` names none. None turns transcription off.
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
        # The prompt of whisper-1 is a list of words; later models expect a sentence.
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
    """The ``transcription`` changes of an ``UpdateListen``. Omitted fields keep their values, except
    ``language_hints``, which are cleared."""
    config, notices = transcription(provider, None, defaults)
    if config is not None and (_is_flux(provider) or provider.language or provider.language_hints is not None):
        # At most one of the two is set upstream. The gateway omits a field that is not set.
        cleared: dict[str, Any] = {"language": ""}
        if config["model"] in _WITH_KEYWORDS:
            cleared["languages"] = []
        config = cleared | config
    return config, notices


def check_listening(provider: ListenProvider, *, partial: bool) -> None:
    """Raise `Refusal` for a Flux model with another version than "v2".

    The default version is "v1"; in an update (``partial``) an omitted version is accepted.
    """
    if _is_flux_model(provider) and (provider.version or ("v2" if partial else "v1")) != "v2":
        raise Refusal(INVALID_SETTINGS, f'`listen.provider.version` must be "v2" with {provider.model}.')


def listening_notices(provider: ListenProvider, code: str) -> list[ServerMessage]:
    """A ``Warning`` that names the fields of ``listen.provider`` without a counterpart upstream, if any is set.

    Names of Deepgram's models cause no warning; the installation's transcription model is used for all of them.
    """
    fields = {field: getattr(provider, field) for field in _NOT_APPLIED}
    if provider.type != "deepgram":
        fields["type"] = provider.type
    return not_applied(code, "listen.provider", fields)


def _is_flux_model(provider: ListenProvider) -> bool:
    return provider.type == "deepgram" and (provider.model or "").startswith("flux")


def _is_flux(provider: ListenProvider) -> bool:
    """Whether the provider has the fields of Deepgram's Flux; only those include language hints."""
    return provider.version == "v2" or _is_flux_model(provider)


def _languages(provider: ListenProvider | None, fallback: str | None) -> list[str]:
    """The ISO 639-1 codes of the expected languages; empty for any language (Deepgram's ``multi``)."""
    named = [provider.language] if provider is not None and provider.language else []
    hinted = list(provider.language_hints or ()) if provider is not None else []
    tags = named or hinted or ([fallback] if fallback else [])
    return list(dict.fromkeys(tag.partition("-")[0].lower() for tag in tags if tag and tag != "multi"))
