"""Supported audio formats, and the upstream's format for each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from turngate.protocol.deepgram import ClientProtocolError
from turngate.protocol.deepgram.audio import (
    LINEAR16_RATES,
    check_input,
    check_output,
    default_rate,
    upstream_bytes_per_ms,
    upstream_format,
)
from turngate.protocol.deepgram.settings import InputAudio, OutputAudio


@pytest.mark.parametrize(
    ("encoding", "expected", "bytes_per_ms"),
    [
        ("linear16", {"type": "audio/pcm", "rate": 24_000}, 48),
        ("mulaw", {"type": "audio/pcmu"}, 8),
        ("alaw", {"type": "audio/pcma"}, 8),
    ],
)
def test_the_upstreams_format_for_each_encoding(encoding: str, expected: dict[str, object], bytes_per_ms: int) -> None:
    assert upstream_format(encoding) == expected
    assert upstream_bytes_per_ms(encoding) == bytes_per_ms


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_supported_formats_are_accepted(encoding: str) -> None:
    for container in ("none", "wav"):
        check_output(encoding, 8_000, container)
        for rate in LINEAR16_RATES:
            check_output("linear16", rate, container)
            check_input("linear16", rate)
    check_input(encoding, 8_000)


def test_the_default_rate_depends_on_the_encoding() -> None:
    assert default_rate("linear16") == 24_000
    for model in (InputAudio, OutputAudio):
        assert model().sample_rate == 24_000
        assert model(encoding="mulaw").sample_rate == 8_000
        assert model(encoding="mulaw", sample_rate=16_000).sample_rate == 16_000


@pytest.mark.parametrize(
    ("encoding", "rate", "field", "supported"),
    [
        ("opus", 48_000, "encoding", "linear16, mulaw, alaw"),
        ("linear16", 11_025, "sample_rate", "8000, 16000, 24000, 32000, 44100, 48000"),
        ("alaw", 16_000, "sample_rate", "8000"),
    ],
)
def test_an_unsupported_format_is_refused(encoding: str, rate: int, field: str, supported: str) -> None:
    checks: dict[str, Callable[[], None]] = {
        "audio.input": lambda: check_input(encoding, rate),
        "audio.output": lambda: check_output(encoding, rate, "none"),
    }
    for path, check in checks.items():
        with pytest.raises(ClientProtocolError) as caught:
            check()
        assert (caught.value.code, caught.value.field) == ("INVALID_SETTINGS", f"{path}.{field}")
        assert caught.value.description.startswith(f"Settings: `{path}.{field}` ")
        assert caught.value.description.endswith(f" is not supported; supported: {supported}.")


def test_an_unsupported_container_is_refused() -> None:
    with pytest.raises(ClientProtocolError, match=r"`audio.output.container` 'ogg' .*: none, wav\.") as caught:
        check_output("linear16", 24_000, "ogg")
    assert caught.value.field == "audio.output.container"
