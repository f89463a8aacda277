"""Which connections are accepted, and how the others are refused."""

from __future__ import annotations

import pytest

from turngate.simulator.handshake import AccessPolicy, HandshakeError

KEY = {"Authorization": "Bearer right"}
POLICY = AccessPolicy("right", frozenset({"gpt-realtime"}))


@pytest.mark.parametrize(
    ("target", "headers", "code", "close_code"),
    [
        ("/v1/realtime?model=gpt-realtime", {"Authorization": "Bearer wrong"}, "invalid_api_key", 3000),
        ("/v1/realtime?model=gpt-realtime", {}, None, 3000),
        ("/v1/realtime?model=gpt-realtime", {"Authorization": "Bearer "}, None, 3000),
        ("/v1/realtime?model=gpt-realtime", {"Authorization": "Basic right"}, None, 3000),
        ("/v1/realtime?model=other", KEY, "invalid_model", 4000),
        ("/v1/realtime", KEY, "missing_model", 4000),
        ("/v1/realtime?intent=transcription", KEY, "invalid_intent", 4000),
        (
            "/v1/realtime?model=gpt-realtime",
            {**KEY, "OpenAI-Beta": "realtime=v1"},
            "beta_api_shape_disabled",
            4000,
        ),
    ],
)
def test_refused(target: str, headers: dict[str, str], code: str | None, close_code: int) -> None:
    with pytest.raises(HandshakeError) as caught:
        POLICY.admit(target, headers)
    assert caught.value.error["code"] == code
    reason = "invalid_request_error" + (f".{code}" if code else "")
    assert caught.value.close == (close_code, reason)


def test_accepted() -> None:
    assert POLICY.admit("/v1/realtime?model=gpt-realtime", KEY) == "gpt-realtime"


def test_any_key_and_any_model() -> None:
    assert AccessPolicy().admit("/v1/realtime?model=mine", {"Authorization": "Bearer x"}) == "mine"


def test_a_browsers_key() -> None:
    offered = ["realtime", "openai-insecure-api-key.right"]
    assert POLICY.admit("/v1/realtime?model=gpt-realtime", {}, offered) == "gpt-realtime"
