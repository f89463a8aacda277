"""Compares our models with the official SDK: every message, and every field of client messages, is either supported or
listed here. A new version of the SDK with more of them fails until they are handled or listed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from deepgram.agent.v1 import types as deepgram
from pydantic import BaseModel

from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.messages import ClientMessage

#: Available by invitation only. To other clients the service answers as this server does, with an error.
INVITED_MESSAGES = {"UpdateThink_Live", "ThinkLiveUpdated", "FrustrationDetected"}
INVITED_FIELDS = {
    "InjectAgentMessage.is_dynamic",
    "Settings.agent.think_live",
    *(
        f"{think}.functions.{field}"
        for think in ("Settings.agent.think", "UpdateThink.think")
        for field in ("initial_agent_filler", "agent_filler_max_count", "agent_filler_interval_ms")
    ),
}
#: Never sent, because the upstream has no counterpart.
NEVER_SENT = {"__customFromThinkProvider"}
#: An old name, which the SDK accepts and sends as `language_hints`.
OLD_NAMES = {"Settings.agent.listen.provider.language_hint"}
#: Objects whose fields are not read.
WHOLE = {f"{block}.provider.credentials" for block in ("Settings.agent.think", "Settings.agent.speak")} | {
    f"{block}.provider.credentials" for block in ("UpdateThink.think", "UpdateSpeak.speak")
}

SERVER_MESSAGES = (
    events.welcome("x"),
    *(events.acknowledgement(kind) for kind in events.ACKNOWLEDGEMENTS),
    events.conversation_text("user", "x"),
    events.history("user", "x"),
    events.user_started_speaking(),
    events.agent_thinking(),
    events.agent_started_speaking(1, 1, 1),
    events.latency_report("stt_latency", 1),
    events.agent_audio_done(),
    events.function_call_request("c", "f", "{}"),
    events.function_call_cancelled([]),
    events.function_call_response("c", "f", "x"),
    events.injection_refused("x"),
    events.warning("X", "x"),
    events.error("X", "x"),
)
CLIENT_MESSAGES = {model.model_fields["type"].default: model for model in ClientMessage.__args__}


def messages() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every message of the SDK, in both directions, with its type on the wire."""
    for name in dir(deepgram):
        model = getattr(deepgram, name)
        if not (name.startswith("AgentV1") and isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        if "type" in model.model_fields:
            (kind, *_) = get_args(model.model_fields["type"].annotation) or ("",)
            if "provider" not in name.lower() or kind.startswith("__"):
                yield kind, model


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models(part)


def paths(model: type[BaseModel], path: str) -> set[str]:
    """The paths of the fields of a message, ignoring lists and alternatives."""
    found: set[str] = set()
    for name, info in model.model_fields.items():
        here = f"{path}.{info.alias or name}"
        found |= {here}.union(*(paths(below, here) for below in models(info.annotation)))
    return found


def test_every_message_of_the_sdk_is_supported_or_listed() -> None:
    official = {kind for kind, _ in messages()}
    ours = {str(message["type"]) for message in SERVER_MESSAGES} | set(CLIENT_MESSAGES)
    assert official - ours == INVITED_MESSAGES | NEVER_SENT
    assert ours <= official


@pytest.mark.parametrize("kind", sorted(CLIENT_MESSAGES))
def test_every_client_field_of_the_sdk_is_supported_or_listed(kind: str) -> None:
    official = set[str]().union(*(paths(model, kind) for found, model in messages() if found == kind))
    known = paths(CLIENT_MESSAGES[kind], kind)
    missing = {
        path
        for path in official
        if path not in known and not any(path.startswith(f"{whole}.") for whole in WHOLE | INVITED_FIELDS)
    }
    assert missing <= INVITED_FIELDS | OLD_NAMES
    assert {path for path in INVITED_FIELDS if path.startswith(f"{kind}.")} <= missing
