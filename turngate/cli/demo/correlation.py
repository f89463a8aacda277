"""Matches the client's observations with events in the upstream's record."""

from __future__ import annotations

from dataclasses import dataclass

from turngate.cli.demo.observations import DemoRun, Observation, UpstreamEvent, UpstreamRecord, instructions
from turngate.cli.demo.script import prompt_of
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS

#: Maximum difference between the clocks of two processes, each of which adds its monotonic time to a start time.
CLOCK_TOLERANCE_S = 0.005


@dataclass(frozen=True, slots=True)
class ActiveResponse:
    """The interval during which a response of the default conversation was active, in epoch seconds."""

    id: str
    began: float
    #: None while it is active.
    ended: float | None


def active_responses(record: UpstreamRecord) -> list[ActiveResponse]:
    """All responses of the default conversation, in order of ``response.created``."""
    ended = {entry.event["response"]["id"]: entry.at for entry in record.of_type("response.done")}
    return [
        ActiveResponse(entry.event["response"]["id"], entry.at, ended.get(entry.event["response"]["id"]))
        for entry in record.of_type("response.created")
        if entry.event["response"].get("conversation_id") is not None
    ]


def active_at(record: UpstreamRecord, at: float) -> ActiveResponse | None:
    """The response that was active at this time."""
    for response in active_responses(record):
        if response.began <= at and (response.ended is None or at < response.ended):
            return response
    return None


def update_with(record: UpstreamRecord, request: Observation) -> UpstreamEvent | None:
    """The first ``session.update`` that contains the configuration of this request."""
    return _first_with(record, "session.update", request)


def confirmation_of(record: UpstreamRecord, request: Observation) -> UpstreamEvent | None:
    """The first ``session.updated`` that contains the configuration of this request."""
    return _first_with(record, "session.updated", request)


def acknowledged_at(demo_run: DemoRun, request: Observation) -> float | None:
    """When the client received the acknowledgement of this request. There is one for each request, in order."""
    requests, acknowledgements = _requests_and_acknowledgements(demo_run, request.scenario, request.type)
    place = requests.index(request)
    return acknowledgements[place].at if place < len(acknowledgements) else None


def request_of(demo_run: DemoRun, acknowledgement: Observation) -> Observation | None:
    """The request that this message acknowledges."""
    kind = next(request for request, answer in ACKNOWLEDGEMENTS.items() if answer == acknowledgement.type)
    requests, acknowledgements = _requests_and_acknowledgements(demo_run, acknowledgement.scenario, kind)
    place = acknowledgements.index(acknowledgement)
    return requests[place] if place < len(requests) else None


def is_request(seen: Observation) -> bool:
    """Whether this is a configuration request of the client."""
    return seen.source == "sent" and seen.type in {"Settings", "UpdatePrompt"}


def _requests_and_acknowledgements(
    demo_run: DemoRun, scenario: str, kind: str
) -> tuple[list[Observation], list[Observation]]:
    seen = [one for one in demo_run.observations if one.scenario == scenario]
    return (
        [one for one in seen if one.source == "sent" and one.type == kind],
        [one for one in seen if one.source == "received" and one.type == ACKNOWLEDGEMENTS[kind]],
    )


def _first_with(record: UpstreamRecord, kind: str, request: Observation) -> UpstreamEvent | None:
    for entry in record.of_type(kind):
        if entry.at >= request.at - CLOCK_TOLERANCE_S and prompt_of(request.message) in instructions(entry):
            return entry
    return None
