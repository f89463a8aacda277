"""Turn detection: what the operator chooses, and what a client's words about the end of a turn change of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.translator.events import session_of, settings, translated
from translator.config import TranslatorSettings
from translator.mapping.defaults import Defaults
from translator.mapping.release import merge_configurations
from translator.mapping.turn_detection import TurnDetection
from turngate.process.settings import load
from turngate.protocol.messages import Configuration

SEMANTIC = TurnDetection(kind="semantic_vad", eagerness="auto")


def detected(agent: dict[str, Any], chosen: TurnDetection | None = None) -> Any:
    session = session_of(settings(agent), Defaults(turn_detection=chosen or TurnDetection()))
    return session["audio"]["input"]["turn_detection"]


def listening(**provider: Any) -> dict[str, Any]:
    return {"listen": {"provider": {"type": "deepgram", "version": "v2", "model": "flux-general-en", **provider}}}


def updated(chosen: TurnDetection, **provider: Any) -> Any:
    message = {"type": "UpdateListen", "listen": {"provider": {"type": "deepgram", **provider}}}
    return session_of(message, Defaults(turn_detection=chosen))["audio"]["input"].get("turn_detection")


def test_every_choice_of_the_operator_reaches_the_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "VAD_THRESHOLD": "0.6",
        "VAD_PREFIX_PADDING_MS": "250",
        "VAD_SILENCE_MS": "700",
        "VAD_IDLE_TIMEOUT_MS": "9000",
        "VAD_EAGERNESS": "low",
        "INTERRUPT_RESPONSE": "false",
        "TURN_OWNER": "gateway",
        "NOISE_REDUCTION": "far_field",
        "REASONING_EFFORT": "low",
    }.items():
        monkeypatch.setenv(f"TURNGATE_{name}", value)
    defaults = load(TranslatorSettings).defaults
    session = session_of(settings({"think": {"provider": {"type": "open_ai"}}}), defaults)
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "create_response": False,
        "interrupt_response": False,
        "threshold": 0.6,
        "prefix_padding_ms": 250,
        "silence_duration_ms": 700,
        "idle_timeout_ms": 9000,
    }
    assert session["audio"]["input"]["noise_reduction"] == {"type": "far_field"}
    assert session["reasoning"] == {"effort": "low"}
    monkeypatch.setenv("TURNGATE_TURN_DETECTION", "semantic_vad")
    semantic = session_of(settings(), load(TranslatorSettings).defaults)["audio"]["input"]["turn_detection"]
    assert semantic == {
        "type": "semantic_vad",
        "create_response": False,
        "interrupt_response": False,
        "eagerness": "low",
    }


def test_a_client_that_reasons_otherwise_wins() -> None:
    think = {"provider": {"type": "open_ai", "reasoning_mode": "high"}}
    session = session_of(settings({"think": think}), Defaults(reasoning_effort="low"))
    assert session["reasoning"] == {"effort": "high"}


@pytest.mark.parametrize(
    ("wanted", "chosen", "expected"), [({}, 9_000, 9_000), ({"idleTimeoutMs": -1}, 9_000, None), ({}, None, None)]
)
def test_a_client_may_change_the_idle_timeout(wanted: dict[str, Any], chosen: int | None, expected: int | None) -> None:
    """Row "component: `agent.idleTimeoutMs`"."""
    assert detected(wanted, TurnDetection(idle_timeout_ms=chosen))["idle_timeout_ms"] == expected


@pytest.mark.parametrize(
    ("provider", "chosen", "expected"),
    [
        ({}, TurnDetection(), None),
        ({"eot_threshold": 0.5}, TurnDetection(), 300),
        ({"eot_threshold": 0.7}, TurnDetection(), 500),
        ({"eot_threshold": 0.9}, TurnDetection(silence_duration_ms=200), 700),
        ({"eot_threshold": 1.0, "eot_timeout_ms": 600}, TurnDetection(), 600),
        ({"eot_timeout_ms": 500}, TurnDetection(silence_duration_ms=900), 500),
        ({"eot_timeout_ms": 5_000}, TurnDetection(silence_duration_ms=900), 900),
        ({"eot_timeout_ms": 500}, TurnDetection(), None),
    ],
)
def test_server_vad_waits_for_silence_as_the_client_asks(
    provider: dict[str, Any], chosen: TurnDetection, expected: int | None
) -> None:
    detection = detected(listening(**provider), chosen)
    assert detection.get("silence_duration_ms") == (expected or chosen.silence_duration_ms)
    assert detection["type"] == "server_vad"
    change = updated(chosen, **provider)
    assert change == (None if expected is None else {"silence_duration_ms": expected})


@pytest.mark.parametrize(("threshold", "eagerness"), [(0.5, "high"), (0.6, "high"), (0.7, "medium"), (0.8, "low")])
def test_semantic_vad_is_as_eager_as_the_client_asks(threshold: float, eagerness: str) -> None:
    assert detected(listening(eot_threshold=threshold), SEMANTIC)["eagerness"] == eagerness
    assert updated(SEMANTIC, eot_threshold=threshold) == {"eagerness": eagerness}


def test_what_has_no_counterpart_changes_nothing_and_is_no_reason_for_a_warning() -> None:
    assert detected(listening(eot_timeout_ms=700), SEMANTIC)["eagerness"] == "auto"
    assert updated(SEMANTIC, eot_timeout_ms=700) is None
    assert translated(settings(listening(eot_threshold=0.7, eot_timeout_ms=700))).notices == ()


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (
            {"type": "server_vad", "threshold": 0.4},
            {"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 300},
        ),
        (None, None),
    ],
)
def test_a_change_merges_with_the_settings_before_it(first: Any, expected: Any) -> None:
    def configuration(detection: Any) -> Configuration:
        return Configuration(session={"audio": {"input": {"turn_detection": detection}}})

    merged = merge_configurations([configuration(first), configuration({"silence_duration_ms": 300})])
    assert merged == configuration(expected)
    replaced = merge_configurations([configuration(first), configuration({"type": "semantic_vad"})])
    assert replaced == configuration({"type": "semantic_vad"})
