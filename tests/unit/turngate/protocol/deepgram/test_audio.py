"""Which formats there are, and what the upstream speaks for each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from turngate.protocol.deepgram import ClientProtocolError
from turngate.protocol.deepgram.audio import (
    LINEAR16_RATES,
    check_input,
    check_output,
    upstream_bytes_per_ms,
    upstream_format,
    usual_rate,
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
def test_the_upstream_speaks_g711_with_who_does_and_its_own_pcm_with_everybody_else(
    encoding: str, expected: dict[str, object], bytes_per_ms: int
) -> None:
    assert upstream_format(encoding) == expected
    assert upstream_bytes_per_ms(encoding) == bytes_per_ms


@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
def test_everything_supported_is_accepted(encoding: str) -> None:
    for container in ("none", "wav"):
        check_output(encoding, 8_000, container)
        for rate in LINEAR16_RATES:
            check_output("linear16", rate, container)
            check_input("linear16", rate)
    check_input(encoding, 8_000)


def test_a_rate_that_is_not_declared_is_the_usual_one_of_the_encoding() -> None:
    assert usual_rate("linear16") == 24_000
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
def test_what_is_not_supported_is_refused_with_what_is(encoding: str, rate: int, field: str, supported: str) -> None:
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


def test_a_container_that_is_not_supported_is_refused_with_what_is() -> None:
    with pytest.raises(ClientProtocolError, match=r"`audio.output.container` 'ogg' .*: none, wav\.") as caught:
        check_output("linear16", 24_000, "ogg")
    assert caught.value.field == "audio.output.container"
