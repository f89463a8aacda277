"""``listen`` and ``UpdateListen`` as the upstream's ``transcription``."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.translator.events import event, session_of, settings, translated
from translator.mapping.defaults import Defaults
from translator.mapping.result import Refusal
from translator.mapping.routes import translate


def codes(message: dict[str, Any], defaults: Defaults | None = None) -> list[str]:
    return [notice["code"] for notice in translated(message, defaults).notices]


def update_listen(**provider: Any) -> dict[str, Any]:
    return {"type": "UpdateListen", "listen": {"provider": {"type": "deepgram", **provider}}}


def updated(model: str, provider: dict[str, Any]) -> Any:
    session = session_of(update_listen(**provider), Defaults(transcription_model=model))
    assert session.keys() == {"type", "audio"}
    assert session["audio"].keys() == {"input"}
    assert session["audio"]["input"].keys() == {"transcription"}
    return session["audio"]["input"]["transcription"]


def listening(model: str, provider: dict[str, Any], agent_language: str | None = None) -> Any:
    agent = {"listen": {"provider": {"type": "deepgram", **provider}}, "language": agent_language}
    return session_of(settings(agent), Defaults(transcription_model=model))["audio"]["input"]["transcription"]


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("whisper-1", {"language": "de-CH"}, {"language": "de"}),
        ("whisper-1", {"language": "multi"}, {}),
        ("whisper-1", {"language_hints": ["en-US", "en-GB"]}, {"language": "en"}),
        ("whisper-1", {"language_hints": ["en", "de"]}, {}),
        ("gpt-transcribe", {"language_hints": ["en", "de"]}, {"languages": ["en", "de"]}),
        ("gpt-transcribe", {"keyterms": ["Oslo"]}, {"keywords": ["Oslo"]}),
        ("whisper-1", {"keyterms": ["Oslo", "Bergen"]}, {"prompt": "Oslo, Bergen"}),
        ("gpt-4o-transcribe", {"keyterms": ["Oslo", "Bergen"]}, {"prompt": "Expect these words: Oslo, Bergen."}),
        ("gpt-realtime-whisper", {"keyterms": ["Oslo"]}, {}),
        ("gpt-realtime-whisper", {"keyterms": []}, {}),
    ],
)
def test_transcription(model: str, provider: dict[str, Any], expected: dict[str, Any]) -> None:
    assert listening(model, provider) == {"model": model, **expected}
    set_by_update = {field: value for field, value in updated(model, provider).items() if value}
    assert set_by_update == {"model": model, **expected}


def test_the_agents_language_is_the_fallback() -> None:
    assert listening("whisper-1", {}, "fr")["language"] == "fr"
    assert listening("whisper-1", {"language": "en"}, "fr")["language"] == "en"
    assert session_of(settings({"language": "fr"}))["audio"]["input"]["transcription"]["language"] == "fr"


def test_listen_fields_that_are_not_applied_get_a_warning() -> None:
    """Row "agent: Warning `UPDATE_LISTEN_UNSUPPORTED_FIELDS_CHANGED`"."""
    provider = {"type": "deepgram", "eager_eot_threshold": 0.8, "smart_format": True, "keyterms": ["a"]}
    update = {"type": "UpdateListen", "listen": {"provider": provider}}
    assert codes(update) == ["UPDATE_LISTEN_UNSUPPORTED_FIELDS_CHANGED"]
    assert codes(
        settings({"listen": {"provider": provider}}), Defaults(transcription_model="gpt-realtime-whisper")
    ) == [
        "LISTEN_FIELDS_NOT_APPLIED",
        "LISTEN_FIELDS_NOT_APPLIED",
    ]
    [notice] = translated(update).notices
    assert "`eager_eot_threshold`, `smart_format`" in notice["description"]


def test_another_listen_provider_gets_a_warning() -> None:
    assert codes(settings({"listen": {"provider": {"type": "other", "model": "x"}}})) == ["LISTEN_FIELDS_NOT_APPLIED"]
    assert codes(settings({"listen": {"provider": {"type": "deepgram", "model": "nova-3"}}})) == []


FLUX = {"version": "v2", "model": "flux-general-multi"}


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        # Omitted hints are cleared, in both fields.
        ("whisper-1", {**FLUX, "keyterms": ["Oslo"]}, {"language": "", "prompt": "Oslo"}),
        ("gpt-transcribe", FLUX, {"language": "", "languages": []}),
        ("whisper-1", {"model": "flux-general-multi"}, {"language": ""}),
        ("whisper-1", {"version": "v2"}, {"language": ""}),
        # New hints replace the old ones in both fields.
        ("gpt-transcribe", {**FLUX, "language_hints": ["de"]}, {"language": "de", "languages": []}),
        ("gpt-transcribe", {**FLUX, "language_hints": ["de", "en"]}, {"language": "", "languages": ["de", "en"]}),
        ("whisper-1", {**FLUX, "language_hints": ["de", "en"]}, {"language": ""}),
        ("whisper-1", {"language_hints": []}, {"language": ""}),
        # Nova has a language but no hints: an omitted language keeps its value.
        ("whisper-1", {"version": "v1", "keyterms": ["Oslo"]}, {"prompt": "Oslo"}),
        ("whisper-1", {"model": "nova-3"}, {}),
        ("whisper-1", {"language": "multi"}, {"language": ""}),
        # A list of words replaces the previous one, also if it is empty.
        ("whisper-1", {"keyterms": []}, {"prompt": ""}),
        ("gpt-4o-transcribe", {"keyterms": []}, {"prompt": ""}),
        ("gpt-transcribe", {"keyterms": []}, {"keywords": []}),
    ],
)
def test_an_update_keeps_omitted_fields_except_hints(
    model: str, provider: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Row "agent: `UpdateListen`"."""
    assert updated(model, provider) == {"model": model, **expected}


def test_without_transcription_an_update_changes_nothing() -> None:
    session = session_of(update_listen(**FLUX), Defaults(transcription_model=None))
    assert session["audio"]["input"] == {"transcription": None}


@pytest.mark.parametrize("version", [{}, {"version": "v1"}])
def test_a_flux_model_with_the_version_of_nova_is_refused(version: dict[str, str]) -> None:
    """Row "agent: Error `INVALID_SETTINGS`"."""
    provider = {"type": "deepgram", "model": "flux-general-en", **version}
    message = settings({"listen": {"provider": provider}})
    with pytest.raises(Refusal, match=r"`listen\.provider\.version` must be \"v2\" with flux-general-en") as caught:
        translate(event(message), Defaults())
    assert caught.value.code == "INVALID_SETTINGS"
    if version:
        with pytest.raises(Refusal, match="v2"):
            translate(event(update_listen(**provider)), Defaults())
    else:
        assert codes(update_listen(**provider)) == [], "in an update, the version stays as it is"


@pytest.mark.parametrize(
    "provider",
    [
        {"type": "deepgram", "version": "v2", "model": "flux-general-en"},
        {"type": "deepgram", "version": "v1", "model": "nova-3"},
        {"type": "other", "model": "flux-like"},
    ],
)
def test_other_combinations_of_model_and_version_are_accepted(provider: dict[str, Any]) -> None:
    assert translated(settings({"listen": {"provider": provider}})).intent is not None
