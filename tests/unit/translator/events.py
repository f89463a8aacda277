"""Client events for tests, and their mapping, validated with the official SDK's models."""

from __future__ import annotations

from typing import Any

from tests.unit.schemas import accepted_by_openai
from translator.mapping.defaults import Defaults
from translator.mapping.result import MappingResult
from translator.mapping.routes import translate
from turngate.protocol.messages import ClientEvent, Slot, TurnRecord
from turngate.protocol.openai.client_events import item_create, response_create, session_update

SESSION = "0123456789abcdef"
TURN = TurnRecord(session=SESSION, gateway="g", version=1, slot=Slot.IDLE)


def event(message: dict[str, Any], *, seq: int = 1, repeated: bool = False) -> ClientEvent:
    return ClientEvent(session=SESSION, gateway="g", seq=seq, message=message, repeated=repeated, turn=TURN)


def translated(message: dict[str, Any], defaults: Defaults | None = None, *, repeated: bool = False) -> MappingResult:
    """Translate one message. Checks the result against the SDK's models, and that translation is deterministic."""
    client_event = event(message, repeated=repeated)
    result = translate(client_event, defaults or Defaults())
    assert translate(client_event, defaults or Defaults()) == result
    for item in result.items:
        accepted_by_openai(item_create(item, "evt_1"))
    intent = result.intent
    assert intent is not None
    assert intent.seq == client_event.seq
    assert (intent.configuration is None) != (intent.response is None)
    if intent.configuration is not None:
        accepted_by_openai(session_update(_completed(intent.configuration.session), "evt_1"))
    if intent.response is not None:
        accepted_by_openai(response_create(intent.response.overrides, "evt_1"))
    return result


def _completed(session: dict[str, Any]) -> dict[str, Any]:
    """As the gateway sends it: a change of turn detection gets the type of the one in force."""
    listening = session.get("audio", {}).get("input", {})
    detection = listening.get("turn_detection")
    if detection is None or "type" in detection:
        return session
    kind = "semantic_vad" if "eagerness" in detection else "server_vad"
    return {**session, "audio": {"input": {**listening, "turn_detection": {"type": kind, **detection}}}}


def session_of(message: dict[str, Any], defaults: Defaults | None = None, *, repeated: bool = False) -> dict[str, Any]:
    """The partial session object for a configuration message."""
    intent = translated(message, defaults, repeated=repeated).intent
    assert intent is not None
    assert intent.configuration is not None
    return intent.configuration.session


def settings(agent: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "Settings", "audio": {}, "agent": agent or {}}


def think(**fields: Any) -> dict[str, Any]:
    return {"provider": {"type": "open_ai"}, **fields}
