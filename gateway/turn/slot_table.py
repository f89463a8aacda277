"""The table of the slot: every input in every state.

An input that the gateway itself may not produce in a state is `ILLEGAL`: it raises `GateViolation` and changes nothing.
Events of the upstream are never illegal; one that has no effect in a state is `STAY`. The table has no conditions:
`gateway.turn.slot` determines which input an event is by comparing ids first.

`FREE` is not a state but a choice: an unresolved request of ours still occupies the slot, since the upstream may accept
it, so the slot becomes `REQUESTED` again. Otherwise it becomes `IDLE`, or `UNCONFIGURED` before the first
configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum

from turngate.protocol.messages import Slot


class Input(StrEnum):
    """An input of the state machine."""

    CONFIGURED = "the first session.updated"
    REQUEST_SENT = "response.create sent"
    OWN_STARTED = "response.created, ours"
    OTHER_STARTED = "response.created, not ours"
    SIDE_EVENT = "out-of-band response created or done"
    HOLDER_DONE = "response.done, holder"
    OWN_DONE = "response.done, ours, without a response.created"
    UNSEEN_DONE = "response.done, not ours, without a response.created"
    STALE_DONE = "response.done, of a response that has already ended"
    REQUEST_RACED = "error: our create collided with another response"
    REQUEST_REFUSED = "error: our create was refused for another reason"
    REQUEST_EXPIRED = "timeout: no answer to our create; response.cancel sent"
    EXPIRED_STARTED = "response.created, of a create that had expired"
    COMMITTED = "input_audio_buffer.committed, the server will respond"
    PROMISE_EXPIRED = "timeout: the promised response did not start"
    CANCEL_SENT = "response.cancel sent"
    CANCEL_REFUSED = "error: nothing to cancel"
    END_LOST = "timeout: no response.done, although the upstream had nothing to cancel"
    CANCEL_EXPIRED = "timeout: no answer to our cancel"
    LEG_LOST = "the upstream's connection is lost, and another one is opened"
    RESTORED = "the conversation is restored on another connection"
    DISCONNECTED = "the session is over"


class Next(Enum):
    """Values of the table besides the states."""

    STAY = "stay"
    FREE = "free"
    ILLEGAL = "illegal"


class GateViolation(Exception):  # noqa: N818 - a violation is more precise here than an error
    """The gateway tried to send an event that needs a free slot while the slot was not free. Nothing was changed or
    sent."""


STAY, FREE, ILLEGAL = Next.STAY, Next.FREE, Next.ILLEGAL

TRANSITIONS: Mapping[Slot, Mapping[Input, Slot | Next]] = {
    Slot.UNCONFIGURED: {
        Input.CONFIGURED: Slot.IDLE,
        Input.REQUEST_SENT: ILLEGAL,
        Input.OWN_STARTED: Slot.ACTIVE,
        Input.OTHER_STARTED: Slot.ACTIVE,
        Input.SIDE_EVENT: STAY,
        Input.HOLDER_DONE: STAY,
        Input.OWN_DONE: STAY,
        Input.UNSEEN_DONE: STAY,
        Input.STALE_DONE: STAY,
        Input.REQUEST_RACED: STAY,
        Input.REQUEST_REFUSED: STAY,
        Input.REQUEST_EXPIRED: STAY,
        Input.EXPIRED_STARTED: Slot.ACTIVE,
        Input.COMMITTED: Slot.PROMISED,
        Input.PROMISE_EXPIRED: STAY,
        Input.CANCEL_SENT: ILLEGAL,
        Input.CANCEL_REFUSED: STAY,
        Input.END_LOST: STAY,
        Input.CANCEL_EXPIRED: STAY,
        Input.LEG_LOST: Slot.RECONNECTING,
        Input.RESTORED: STAY,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    Slot.IDLE: {
        Input.CONFIGURED: STAY,
        Input.REQUEST_SENT: Slot.REQUESTED,
        Input.OWN_STARTED: Slot.ACTIVE,
        Input.OTHER_STARTED: Slot.ACTIVE,
        Input.SIDE_EVENT: STAY,
        Input.HOLDER_DONE: STAY,
        Input.OWN_DONE: STAY,
        Input.UNSEEN_DONE: STAY,
        Input.STALE_DONE: STAY,
        Input.REQUEST_RACED: STAY,
        Input.REQUEST_REFUSED: STAY,
        Input.REQUEST_EXPIRED: STAY,
        Input.EXPIRED_STARTED: Slot.ACTIVE,
        Input.COMMITTED: Slot.PROMISED,
        Input.PROMISE_EXPIRED: STAY,
        Input.CANCEL_SENT: ILLEGAL,
        # The cancel crossed the response's end: response.done came first, and this is the answer to the cancel.
        Input.CANCEL_REFUSED: STAY,
        Input.END_LOST: STAY,
        Input.CANCEL_EXPIRED: STAY,
        Input.LEG_LOST: Slot.RECONNECTING,
        Input.RESTORED: STAY,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    Slot.PROMISED: {
        Input.CONFIGURED: STAY,
        Input.REQUEST_SENT: ILLEGAL,
        Input.OWN_STARTED: Slot.ACTIVE,
        Input.OTHER_STARTED: Slot.ACTIVE,
        Input.SIDE_EVENT: STAY,
        Input.HOLDER_DONE: STAY,
        Input.OWN_DONE: FREE,
        # The promised response itself, without its response.created (seen around interruptions).
        Input.UNSEEN_DONE: FREE,
        Input.STALE_DONE: STAY,
        Input.REQUEST_RACED: STAY,
        Input.REQUEST_REFUSED: STAY,
        Input.REQUEST_EXPIRED: STAY,
        Input.EXPIRED_STARTED: Slot.ACTIVE,
        Input.COMMITTED: Slot.PROMISED,
        Input.PROMISE_EXPIRED: FREE,
        Input.CANCEL_SENT: ILLEGAL,
        Input.CANCEL_REFUSED: STAY,
        Input.END_LOST: STAY,
        Input.CANCEL_EXPIRED: STAY,
        Input.LEG_LOST: Slot.RECONNECTING,
        Input.RESTORED: STAY,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    Slot.REQUESTED: {
        Input.CONFIGURED: STAY,
        Input.REQUEST_SENT: ILLEGAL,
        Input.OWN_STARTED: Slot.ACTIVE,
        # The server's automatic response started first; our request stays open until its error arrives.
        Input.OTHER_STARTED: Slot.ACTIVE,
        Input.SIDE_EVENT: STAY,
        Input.HOLDER_DONE: STAY,
        Input.OWN_DONE: FREE,
        Input.UNSEEN_DONE: STAY,
        Input.STALE_DONE: STAY,
        # A response that we have not seen yet is active; its response.created is in flight.
        Input.REQUEST_RACED: Slot.PROMISED,
        Input.REQUEST_REFUSED: FREE,
        # The upstream may be running it unannounced. A cancel finds out: only its answer frees the slot.
        Input.REQUEST_EXPIRED: Slot.CANCELLING,
        Input.EXPIRED_STARTED: Slot.ACTIVE,
        Input.COMMITTED: STAY,
        Input.PROMISE_EXPIRED: STAY,
        Input.CANCEL_SENT: ILLEGAL,
        Input.CANCEL_REFUSED: STAY,
        Input.END_LOST: STAY,
        Input.CANCEL_EXPIRED: STAY,
        Input.LEG_LOST: Slot.RECONNECTING,
        Input.RESTORED: STAY,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    Slot.ACTIVE: {
        Input.CONFIGURED: STAY,
        Input.REQUEST_SENT: ILLEGAL,
        Input.OWN_STARTED: Slot.ACTIVE,
        Input.OTHER_STARTED: Slot.ACTIVE,
        Input.SIDE_EVENT: STAY,
        Input.HOLDER_DONE: FREE,
        Input.OWN_DONE: STAY,
        Input.UNSEEN_DONE: STAY,
        Input.STALE_DONE: STAY,
        Input.REQUEST_RACED: STAY,
        Input.REQUEST_REFUSED: STAY,
        Input.REQUEST_EXPIRED: STAY,
        Input.EXPIRED_STARTED: Slot.ACTIVE,
        Input.COMMITTED: STAY,
        Input.PROMISE_EXPIRED: STAY,
        Input.CANCEL_SENT: Slot.CANCELLING,
        Input.CANCEL_REFUSED: STAY,
        Input.END_LOST: STAY,
        Input.CANCEL_EXPIRED: STAY,
        Input.LEG_LOST: Slot.RECONNECTING,
        Input.RESTORED: STAY,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    Slot.CANCELLING: {
        Input.CONFIGURED: STAY,
        Input.REQUEST_SENT: ILLEGAL,
        Input.OWN_STARTED: Slot.ACTIVE,
        Input.OTHER_STARTED: Slot.ACTIVE,
        Input.SIDE_EVENT: STAY,
        Input.HOLDER_DONE: FREE,
        Input.OWN_DONE: STAY,
        Input.UNSEEN_DONE: STAY,
        Input.STALE_DONE: STAY,
        Input.REQUEST_RACED: STAY,
        Input.REQUEST_REFUSED: STAY,
        Input.REQUEST_EXPIRED: STAY,
        # The cancel was sent before it was announced; it is cancelled again by its id.
        Input.EXPIRED_STARTED: Slot.CANCELLING,
        Input.COMMITTED: STAY,
        Input.PROMISE_EXPIRED: STAY,
        # A second cancel has no effect.
        Input.CANCEL_SENT: STAY,
        # The response ended or was interrupted by the user first. Its response.done has arrived or will arrive.
        Input.CANCEL_REFUSED: STAY,
        # Its response.done was lost, or could not be read.
        Input.END_LOST: FREE,
        # The upstream neither ended the response nor said that none runs. The caller gives the connection up.
        Input.CANCEL_EXPIRED: STAY,
        Input.LEG_LOST: Slot.RECONNECTING,
        Input.RESTORED: STAY,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    # Nothing is free, and no event of the new connection concerns responses before it is restored.
    Slot.RECONNECTING: dict.fromkeys(Input, STAY)
    | {
        Input.REQUEST_SENT: ILLEGAL,
        Input.CANCEL_SENT: ILLEGAL,
        Input.RESTORED: FREE,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    Slot.CLOSED: dict.fromkeys(Input, STAY)
    | {Input.REQUEST_SENT: ILLEGAL, Input.CANCEL_SENT: ILLEGAL, Input.DISCONNECTED: STAY},
}
