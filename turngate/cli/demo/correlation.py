"""Which observation of the client belongs to which event on the upstream wire."""

from __future__ import annotations

from dataclasses import dataclass

from turngate.cli.demo.observations import Entry, Observation, Performance, Record, instructions
from turngate.cli.demo.script import prompt_of
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS

#: How far the clocks of two processes may differ: each counts from its own start.
CLOCK_TOLERANCE_S = 0.005


@dataclass(frozen=True, slots=True)
class ActiveResponse:
    """The time during which a response of the default conversation was active; epoch seconds."""

    id: str
    began: float
    #: None while it is active.
    ended: float | None


def active_responses(record: Record) -> list[ActiveResponse]:
    """Every response of the default conversation, in order of its ``response.created``."""
    ended = {entry.event["response"]["id"]: entry.at for entry in record.of_type("response.done")}
    return [
        ActiveResponse(entry.event["response"]["id"], entry.at, ended.get(entry.event["response"]["id"]))
        for entry in record.of_type("response.created")
        if entry.event["response"].get("conversation_id") is not None
    ]


def active_at(record: Record, at: float) -> ActiveResponse | None:
    """The response that was active at this moment."""
    for response in active_responses(record):
        if response.began <= at and (response.ended is None or at < response.ended):
            return response
    return None


def carried_by(record: Record, request: Observation) -> Entry | None:
    """The first ``session.update`` that contains what this request asked for."""
    return _first_with(record, "session.update", request)


def confirmed_by(record: Record, request: Observation) -> Entry | None:
    """The first ``session.updated`` that contains what this request asked for."""
    return _first_with(record, "session.updated", request)


def acknowledged_at(performance: Performance, request: Observation) -> float | None:
    """When the client was told that this request is in force: acknowledgements come once per request, in order."""
    asked, told = _asked_and_told(performance, request.scene, request.type)
    place = asked.index(request)
    return told[place].at if place < len(told) else None


def request_of(performance: Performance, acknowledgement: Observation) -> Observation | None:
    """The request that this acknowledgement is for."""
    kind = next(request for request, told in ACKNOWLEDGEMENTS.items() if told == acknowledgement.type)
    asked, told = _asked_and_told(performance, acknowledgement.scene, kind)
    place = told.index(acknowledgement)
    return asked[place] if place < len(asked) else None


def is_request(seen: Observation) -> bool:
    """Whether this asks for a configuration."""
    return seen.source == "sent" and seen.type in {"Settings", "UpdatePrompt"}


def _asked_and_told(performance: Performance, scene: str, kind: str) -> tuple[list[Observation], list[Observation]]:
    seen = [one for one in performance.observations if one.scene == scene]
    return (
        [one for one in seen if one.source == "sent" and one.type == kind],
        [one for one in seen if one.source == "received" and one.type == ACKNOWLEDGEMENTS[kind]],
    )


def _first_with(record: Record, kind: str, request: Observation) -> Entry | None:
    for entry in record.of_type(kind):
        if entry.at >= request.at - CLOCK_TOLERANCE_S and prompt_of(request.message) in instructions(entry):
            return entry
    return None
