"""The slot: which response, if any, occupies the default conversation.

Rules of this module
1. `TRANSITIONS` defines every input in every state. An input that the gateway itself may not produce in a state is
   `ILLEGAL`: it raises `GateViolation` and changes nothing. Events of the upstream are never illegal; one that has no
   effect in a state is `STAY`.
2. Which input an upstream event is (ours or another response's, the holder's or a stale one) is determined by comparing
   ids before the table is used. The table has no conditions.
3. Only ``response.done`` with the id that holds the slot frees it. ``output_audio.done``, ``output_text.done`` and the
   end of any other response do not.

`FREE` is not a state but a choice: an unresolved request of ours still occupies the slot, since the upstream may accept
it, so the slot becomes `REQUESTED` again. Otherwise it becomes `IDLE`, or `UNCONFIGURED` before the first
configuration.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from gateway.turn.timers import NEVER, Timer, Timers
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
    REQUEST_EXPIRED = "timeout: no answer to our create"
    COMMITTED = "input_audio_buffer.committed, the server will respond"
    PROMISE_EXPIRED = "timeout: the promised response did not start"
    CANCEL_SENT = "response.cancel sent"
    CANCEL_REFUSED = "error: nothing to cancel"
    CANCEL_EXPIRED = "timeout: no response.done for the cancelled response"
    DISCONNECTED = "the upstream's socket is closed"


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
        Input.COMMITTED: Slot.PROMISED,
        Input.PROMISE_EXPIRED: STAY,
        Input.CANCEL_SENT: ILLEGAL,
        Input.CANCEL_REFUSED: STAY,
        Input.CANCEL_EXPIRED: STAY,
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
        Input.COMMITTED: Slot.PROMISED,
        Input.PROMISE_EXPIRED: STAY,
        Input.CANCEL_SENT: ILLEGAL,
        # The cancel crossed the response's end: response.done came first, and this is the answer to the cancel.
        Input.CANCEL_REFUSED: STAY,
        Input.CANCEL_EXPIRED: STAY,
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
        Input.COMMITTED: Slot.PROMISED,
        Input.PROMISE_EXPIRED: FREE,
        Input.CANCEL_SENT: ILLEGAL,
        Input.CANCEL_REFUSED: STAY,
        Input.CANCEL_EXPIRED: STAY,
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
        Input.REQUEST_EXPIRED: FREE,
        Input.COMMITTED: STAY,
        Input.PROMISE_EXPIRED: STAY,
        Input.CANCEL_SENT: ILLEGAL,
        Input.CANCEL_REFUSED: STAY,
        Input.CANCEL_EXPIRED: STAY,
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
        Input.COMMITTED: STAY,
        Input.PROMISE_EXPIRED: STAY,
        Input.CANCEL_SENT: Slot.CANCELLING,
        Input.CANCEL_REFUSED: STAY,
        Input.CANCEL_EXPIRED: STAY,
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
        Input.COMMITTED: STAY,
        Input.PROMISE_EXPIRED: STAY,
        # A second cancel has no effect.
        Input.CANCEL_SENT: STAY,
        # The response ended or was interrupted by the user first. Its response.done has arrived or will arrive.
        Input.CANCEL_REFUSED: STAY,
        # An upstream that neither ends the response nor refuses the cancel must not block the session for ever.
        Input.CANCEL_EXPIRED: FREE,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    Slot.CLOSED: dict.fromkeys(Input, STAY)
    | {Input.REQUEST_SENT: ILLEGAL, Input.CANCEL_SENT: ILLEGAL, Input.DISCONNECTED: STAY},
}

_REMEMBERED_RESPONSES = 16


@dataclass(frozen=True, slots=True)
class PendingCreate:
    """A ``response.create`` of ours that is unresolved: neither a response nor an error has arrived."""

    event_id: str
    responds: tuple[int, ...]
    sent_at: float
    #: The requests whose items were sent before it, so that its response includes them.
    knows: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class SlotPatience:
    """How long to wait, in seconds."""

    #: For the response that the upstream's VAD promised.
    promise: float = 3.0
    #: For the answer to a ``response.create`` or ``response.cancel``.
    reply: float = 15.0

    def in_slot(self, slot: Slot) -> float:
        """The longest time in this slot; infinity for any."""
        match slot:
            case Slot.PROMISED:
                return self.promise
            case Slot.CANCELLING:
                return self.reply
        return NEVER


class Turn:
    """The slot of one session, and the response that holds it.

    Call the method for each upstream event that concerns responses, in the order in which they arrive.
    """

    __slots__ = (
        "_configured",
        "_over",
        "_patience",
        "_timers",
        "pending_create",
        "response_id",
        "since",
        "slot",
        "user_speaking",
    )

    def __init__(self, now: float, timers: Timers | None = None, patience: SlotPatience | None = None) -> None:
        """``timers`` says when the slot or a create has waited for longer than ``patience`` has for it."""
        self._timers = timers or Timers()
        self._patience = patience or SlotPatience()
        self.slot = Slot.UNCONFIGURED
        #: When the slot last changed.
        self.since = now
        #: Set while the slot is `ACTIVE` or `CANCELLING`.
        self.response_id: str | None = None
        #: Our unresolved create, if any.
        self.pending_create: PendingCreate | None = None
        self.user_speaking = False
        self._configured = False
        self._over: deque[str] = deque(maxlen=_REMEMBERED_RESPONSES)

    @property
    def free_for_configuration(self) -> bool:
        return self.slot is Slot.IDLE or self.slot is Slot.UNCONFIGURED

    @property
    def free_for_response(self) -> bool:
        """Whether a response can start now, without a collision and without talking over the user."""
        return self.free_for_interruption and not self.user_speaking

    @property
    def free_for_interruption(self) -> bool:
        """Whether a response that may talk over the user can start now, without a collision."""
        return self.slot is Slot.IDLE

    def configured(self, now: float) -> None:
        """The first ``session.updated`` has arrived."""
        self._configured = True
        self._apply(Input.CONFIGURED, now)

    def request_sent(self, request: PendingCreate) -> None:
        """Call before sending a create. Raises `GateViolation` and changes nothing unless the slot is idle."""
        self._apply(Input.REQUEST_SENT, request.sent_at)
        self.pending_create = request
        self._timers.set(Timer.CREATE, request.sent_at + self._patience.reply)

    def cancel_sent(self, now: float) -> None:
        """Call before sending a cancel. Raises `GateViolation` if no response is active."""
        self._apply(Input.CANCEL_SENT, now)

    def started(self, response_id: str, request_id: str | None, now: float) -> None:
        """A response of the default conversation was created; ``request_id`` is the id in its metadata."""
        if self.response_id is not None:
            self._over.append(self.response_id)
        if self.pending_create is not None and self.pending_create.event_id == request_id:
            self._create_answered()
            self._apply(Input.OWN_STARTED, now)
        else:
            self._apply(Input.OTHER_STARTED, now)
        if self.slot is Slot.ACTIVE:
            self.response_id = response_id

    def done(self, response_id: str, request_id: str | None, now: float) -> None:
        """A response of the default conversation ended, with any status."""
        if response_id == self.response_id:
            self._over.append(response_id)
            self._apply(Input.HOLDER_DONE, now)
        elif response_id in self._over:
            self._apply(Input.STALE_DONE, now)
        else:
            self._over.append(response_id)
            own = self.pending_create is not None and self.pending_create.event_id == request_id
            if own:
                self._create_answered()
            self._apply(Input.OWN_DONE if own else Input.UNSEEN_DONE, now)

    def side_event(self, now: float) -> None:
        """An out-of-band response (``conversation: "none"``) was created or ended."""
        self._apply(Input.SIDE_EVENT, now)

    def request_failed(self, now: float, *, raced: bool) -> None:
        """Our create was refused; ``raced`` if the error was ``conversation_already_has_active_response``."""
        self._create_answered()
        self._apply(Input.REQUEST_RACED if raced else Input.REQUEST_REFUSED, now)

    def request_expired(self, now: float) -> None:
        """Neither a response nor an error arrived for our create in time."""
        self._create_answered()
        self._apply(Input.REQUEST_EXPIRED, now)

    def committed(self, now: float) -> None:
        """The user's turn ended, and the server is about to respond automatically."""
        self._apply(Input.COMMITTED, now)

    def promise_expired(self, now: float) -> None:
        self._apply(Input.PROMISE_EXPIRED, now)

    def cancel_refused(self, now: float) -> None:
        self._apply(Input.CANCEL_REFUSED, now)

    def cancel_expired(self, now: float) -> None:
        """Neither ``response.done`` of the cancelled response nor another response arrived in time."""
        self._apply(Input.CANCEL_EXPIRED, now)

    def disconnected(self, now: float) -> None:
        self._create_answered()
        self._apply(Input.DISCONNECTED, now)

    def _apply(self, what: Input, now: float) -> None:
        then = TRANSITIONS[self.slot][what]
        if then is ILLEGAL:
            raise GateViolation(f"{what} in slot {self.slot}")
        if then is STAY:
            return
        self.slot = then if isinstance(then, Slot) else self._free()
        self.since = now
        self._timers.set(Timer.SLOT, now + self._patience.in_slot(self.slot))
        if self.slot not in (Slot.ACTIVE, Slot.CANCELLING):
            self.response_id = None

    def _create_answered(self) -> None:
        self.pending_create = None
        self._timers.clear(Timer.CREATE)

    def _free(self) -> Slot:
        if self.pending_create is not None:
            return Slot.REQUESTED
        return Slot.IDLE if self._configured else Slot.UNCONFIGURED
