"""What each step of the simulation costs, in CPU seconds, from the unit costs; and the settings that it follows."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.scale.costs import (
    CLAIM,
    CLAIMED,
    CONNECT,
    ENTRIES,
    ENTRY,
    EXCHANGE,
    GATEWAY,
    RECORD,
    RECORDS,
    REDIS,
    REQUEST,
    REVISIT,
    SESSION_STATE,
    TRANSLATOR,
    TURN,
    WHOLE,
    UnitCosts,
)
from gateway.config import GatewaySettings
from session_state.config import SessionStateSettings

#: The share of a message's cost at Redis that arises when it is published; the rest when it is read, handled and
#: acknowledged. The sum is measured, and the division is assumed.
_PUBLISHING = 0.3


@dataclass(frozen=True)
class Prices:
    """CPU seconds."""

    #: At Redis: a change of the slot with what the journal gets for it, its publication and the rest.
    change_published: float
    change_taken: float
    #: A record alone, of a session that has waited, and its whole journal where Redis has lost it.
    record_published: float
    record_taken: float
    whole: float
    #: A request, and the release of one that was held; and once it is carried out, the records around it, with what
    #: the journal gets.
    request_published: float
    request_reserved: float
    released: float
    around: float
    #: A session that begins, and one that is claimed.
    begun: float
    claimed: float
    #: The sweeper's look at a session.
    revisit: float
    #: Of a translator for a request, and of session-state for a record and a revisit.
    translation: float
    change_observed: float
    record_observed: float
    revisited: float
    #: Of a gateway that takes up a session.
    taken_up: float


@dataclass(frozen=True)
class Rules:
    """Times in seconds, from the defaults of the settings."""

    retransmit: float
    retransmit_most: float
    patience: float
    lease: float
    sweep: float
    sweep_batch: int
    claim_wait: float
    #: Of the publisher.
    batch: int = 32
    backoff: float = 0.05
    backoff_most: float = 1.0


def prices(costs: UnitCosts, *, journals: bool) -> Prices:
    """``journals``: clients may return."""
    # A turn is two changes of the slot: a reply begins and ends.
    turn, exchange = costs.work[TURN], costs.work[EXCHANGE]
    record, request = costs.cpu(RECORD, REDIS), costs.cpu(REQUEST, REDIS)
    entry = costs.cpu(ENTRY, REDIS) if journals else 0.0
    records, entries = turn.count(RECORDS) / 2, turn.count(ENTRIES) / 2
    around = exchange.count(RECORDS) * record + exchange.count(ENTRIES) * entry
    begun = costs.work[CONNECT]
    return Prices(
        change_published=(records * record) * _PUBLISHING + entries * entry,
        change_taken=(records * record) * (1 - _PUBLISHING),
        record_published=record * _PUBLISHING,
        record_taken=record * (1 - _PUBLISHING),
        whole=costs.cpu(WHOLE, REDIS) if journals else 0.0,
        request_published=request * _PUBLISHING,
        request_reserved=request * (1 - _PUBLISHING),
        released=request * _PUBLISHING,
        around=around,
        begun=begun.count(RECORDS) * record + begun.count(ENTRIES) * entry + request,
        claimed=costs.cpu(CLAIMED, REDIS),
        revisit=costs.cpu(REVISIT, REDIS),
        translation=costs.cpu(REQUEST, TRANSLATOR),
        change_observed=records * costs.cpu(RECORD, SESSION_STATE),
        record_observed=costs.cpu(RECORD, SESSION_STATE),
        revisited=costs.cpu(REVISIT, SESSION_STATE),
        taken_up=costs.cpu(CLAIM, GATEWAY),
    )


def rules() -> Rules:
    gateway = {name: field.default for name, field in GatewaySettings.model_fields.items()}
    state = {name: field.default for name, field in SessionStateSettings.model_fields.items()}
    return Rules(
        retransmit=gateway["retransmit_after_ms"] / 1_000,
        retransmit_most=8.0,
        patience=gateway["release_patience_ms"] / 1_000,
        lease=state["release_lease_ms"] / 1_000,
        sweep=state["sweep_interval_ms"] / 1_000,
        sweep_batch=state["sweep_batch"],
        claim_wait=gateway["claim_wait_ms"] / 1_000,
    )
