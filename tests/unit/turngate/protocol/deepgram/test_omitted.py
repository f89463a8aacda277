"""What clients may leave out of their messages, or leave empty."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.turngate.protocol.deepgram.test_parse import THINK, parse
from turngate.protocol.deepgram import (
    ClientProtocolError,
    Omitted,
    Settings,
    UpdateThink,
    parse_client_message,
    read_message,
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("listen", {}),
        ("speak", {}),
        ("speak", [{}]),
        ("think", {}),
        ("context", {}),
        ("sessionAudioOutput", {}),
    ],
)
def test_an_empty_block_counts_as_absent(path: str, value: Any) -> None:
    message = parse({"type": "Settings", "audio": {}, "agent": {path: value}})
    assert isinstance(message, Settings)
    assert message.agent == parse({"type": "Settings", "audio": {}, "agent": {path: None}}).agent


def test_an_empty_endpoint_counts_as_none() -> None:
    """The Go SDK writes one for every function."""
    block = {**THINK, "endpoint": {}, "functions": [{"name": "f", "endpoint": {}}]}
    message = parse({"type": "UpdateThink", "think": block})
    assert isinstance(message, UpdateThink)
    (think,) = message.think
    assert think.endpoint is None
    assert think.functions is not None
    assert think.functions[0].endpoint is None


OMITTED = Omitted({"input": {"sample_rate": 16_000}, "output": {"sample_rate": 24_000}}, {"type": "open_ai"})


def completed(message: dict[str, Any]) -> Any:
    return parse_client_message(orjson.dumps(message), strict=True, omitted=OMITTED)


@pytest.mark.parametrize(
    ("audio", "rates"),
    [
        ({}, (16_000, 24_000)),
        ({"audio": None}, (16_000, 24_000)),
        ({"audio": {}}, (16_000, 24_000)),
        ({"audio": {"input": None, "output": {"sample_rate": 8_000}}}, (16_000, 8_000)),
        ({"audio": {"input": {"sample_rate": 48_000}}}, (48_000, 24_000)),
    ],
)
def test_what_a_dialect_lets_its_clients_leave_out_of_audio_is_completed(
    audio: dict[str, Any], rates: tuple[int, int]
) -> None:
    message = completed({"type": "Settings", "agent": {}, **audio})
    assert (message.input_audio.sample_rate, message.output_audio.sample_rate) == rates
    assert read_message(message.wire()) == message, "and it is carried on"


@pytest.mark.parametrize("think", [{"prompt": "Hi"}, [{"prompt": "Hi", "provider": None}, THINK]])
def test_a_think_block_without_a_provider_is_completed(think: Any) -> None:
    for message in (
        completed({"type": "Settings", "agent": {"think": think}}).agent,
        completed({"type": "UpdateThink", "think": think}),
    ):
        assert message.think[0].provider.type == "open_ai"
        assert message.think[0].prompt == "Hi"


@pytest.mark.parametrize(
    "message",
    [
        {"type": "Settings", "audio": 1, "agent": {}},
        {"type": "Settings", "audio": {}, "agent": 1},
        {"type": "Settings", "audio": {}, "agent": {"think": 1}},
        {"type": "Settings", "audio": {"input": 1}, "agent": {}},
        {"type": "UpdateThink"},
        {"type": "UpdateThink", "think": {}},
        {"type": "UpdatePrompt"},
    ],
)
def test_what_is_wrong_stays_wrong(message: dict[str, Any]) -> None:
    with pytest.raises(ClientProtocolError):
        completed(message)
