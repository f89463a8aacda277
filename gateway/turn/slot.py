"""The turn: who holds the default conversation's one place for a response.

Rules of this module
1. Everything that moves the slot is in `TRANSITIONS`: every slot × every input, nothing implied. An input that this
   gateway itself may not produce in a slot is `ILLEGAL`: it raises `GateViolation` and changes nothing. Nothing that
   the upstream sends is illegal; what means nothing in a slot is `STAY`, on purpose.
2. Which input an upstream event is (ours or another's, the holder's or a stale one) is decided before the table is
   asked, by comparing ids. The table has no conditions.
3. Only ``response.done`` with the id that holds the slot frees it. ``output_audio.done``, ``output_text.done`` and the
   end of any other response do not.

`FREE` is not a slot but a question: a request of ours that is unresolved still occupies the slot (the upstream may
accept it yet), so the slot becomes `REQUESTED` again; otherwise it is `IDLE`, or `UNCONFIGURED` before the first
configuration.

No I/O and no clock: the time comes in as ``now`` (seconds, any monotonic origin).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum

from turngate.protocol.messages import Slot


class Input(StrEnum):
    """What can happen to the slot."""

    CONFIGURED = "the first session.updated"
    REQUEST_SENT = "response.create sent"
    OWN_STARTED = "response.created, ours"
    OTHER_STARTED = "response.created, not ours"
    SIDE_EVENT = "out-of-band response created or done"
    HOLDER_DONE = "response.done, holder"
    OWN_DONE = "response.done, ours, never seen created"
    UNSEEN_DONE = "response.done, never seen"
    STALE_DONE = "response.done, already over"
    REQUEST_RACED = "error: our create lost the race"
    REQUEST_REFUSED = "error: our create refused otherwise"
    REQUEST_EXPIRED = "no answer to our create"
    COMMITTED = "input_audio_buffer.committed, the server will respond"
    PROMISE_EXPIRED = "the promised response never came"
    CANCEL_SENT = "response.cancel sent"
    CANCEL_REFUSED = "error: nothing to cancel"
    CANCEL_EXPIRED = "no done for what we cancelled"
    DISCONNECTED = "upstream socket gone"


class Next(Enum):
    """What a cell of the table can say besides the name of a slot."""

    STAY = "stay"
    FREE = "free"
    ILLEGAL = "illegal"


class GateViolation(Exception):  # noqa: N818 - the field's word for it
    """This gateway was about to send what needs a free turn while the turn was not free. Nothing was changed or
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
        # The cancel crossed a natural end: the done came first, this is the late answer.
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
        # The promised response itself, whose created was lost (seen around interruptions).
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
        # The server's own response won; our request stays open until its error arrives.
        Input.OTHER_STARTED: Slot.ACTIVE,
        Input.SIDE_EVENT: STAY,
        Input.HOLDER_DONE: STAY,
        Input.OWN_DONE: FREE,
        Input.UNSEEN_DONE: STAY,
        Input.STALE_DONE: STAY,
        # A response that we have not seen yet holds the conversation: its created is on the wire.
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
        # One cancel is enough; a second changes nothing.
        Input.CANCEL_SENT: STAY,
        # Answered too late or twice over (the user's barge-in was first): on one wire, its done has come or will come.
        Input.CANCEL_REFUSED: STAY,
        # An upstream that neither ends nor refuses must not hold up the session for good.
        Input.CANCEL_EXPIRED: FREE,
        Input.DISCONNECTED: Slot.CLOSED,
    },
    Slot.CLOSED: dict.fromkeys(Input, STAY)
    | {Input.REQUEST_SENT: ILLEGAL, Input.CANCEL_SENT: ILLEGAL, Input.DISCONNECTED: STAY},
}

_REMEMBERED_RESPONSES = 16


@dataclass(frozen=True, slots=True)
class PendingCreate:
    """A ``response.create`` of ours that has neither a response nor an error yet."""

    event_id: str
    responds: tuple[int, ...]
    sent_at: float
    #: Every request whose items went upstream before it, so that its response knows them.
    knows: frozenset[int] = frozenset()


class Turn:
    """The slot of one session, and what is known about its holder.

    Feed every upstream event that concerns responses to the method of its name, in the order of the wire.
    """

    __slots__ = ("_configured", "_over", "pending_create", "response_id", "since", "slot", "user_speaking")

    def __init__(self, now: float) -> None:
        self.slot = Slot.UNCONFIGURED
        #: When the slot last changed hands.
        self.since = now
        #: Set while the slot is `ACTIVE` or `CANCELLING`.
        self.response_id: str | None = None
        #: Set from the sending of a create until its created or its error.
        self.pending_create: PendingCreate | None = None
        self.user_speaking = False
        self._configured = False
        self._over: deque[str] = deque(maxlen=_REMEMBERED_RESPONSES)

    @property
    def free_for_configuration(self) -> bool:
        return self.slot is Slot.IDLE or self.slot is Slot.UNCONFIGURED

    @property
    def free_for_response(self) -> bool:
        """A response now would neither collide nor talk over the user, whose turn the server is about to answer."""
        return self.free_for_interruption and not self.user_speaking

    @property
    def free_for_interruption(self) -> bool:
        """A response now would not collide."""
        return self.slot is Slot.IDLE

    def configured(self, now: float) -> None:
        """The first ``session.updated`` came."""
        self._configured = True
        self._apply(Input.CONFIGURED, now)

    def request_sent(self, request: PendingCreate) -> None:
        """A create goes out now. Raises `GateViolation` (and changes nothing) unless the slot is idle."""
        self._apply(Input.REQUEST_SENT, request.sent_at)
        self.pending_create = request

    def cancel_sent(self, now: float) -> None:
        """A cancel goes out now. Raises `GateViolation` when no response is known to run."""
        self._apply(Input.CANCEL_SENT, now)

    def started(self, response_id: str, request_id: str | None, now: float) -> None:
        """A response of the default conversation was created; ``request_id`` is the id that it carries in its
        metadata."""
        if self.response_id is not None:
            self._over.append(self.response_id)
        if self.pending_create is not None and self.pending_create.event_id == request_id:
            self.pending_create = None
            self._apply(Input.OWN_STARTED, now)
        else:
            self._apply(Input.OTHER_STARTED, now)
        if self.slot is Slot.ACTIVE:
            self.response_id = response_id

    def done(self, response_id: str, request_id: str | None, now: float) -> None:
        """A response of the default conversation ended, whatever its status."""
        if response_id == self.response_id:
            self._over.append(response_id)
            self._apply(Input.HOLDER_DONE, now)
        elif response_id in self._over:
            self._apply(Input.STALE_DONE, now)
        else:
            self._over.append(response_id)
            own = self.pending_create is not None and self.pending_create.event_id == request_id
            if own:
                self.pending_create = None
            self._apply(Input.OWN_DONE if own else Input.UNSEEN_DONE, now)

    def side_event(self, now: float) -> None:
        """An out-of-band response (``conversation: "none"``) was created or ended."""
        self._apply(Input.SIDE_EVENT, now)

    def request_failed(self, now: float, *, raced: bool) -> None:
        """Our create got an error; ``raced`` when it was `conversation_already_has_active_response`."""
        self.pending_create = None
        self._apply(Input.REQUEST_RACED if raced else Input.REQUEST_REFUSED, now)

    def request_expired(self, now: float) -> None:
        """Neither a response nor an error came for our create in time."""
        self.pending_create = None
        self._apply(Input.REQUEST_EXPIRED, now)

    def committed(self, now: float) -> None:
        """The user's turn ended, and the server is about to respond by itself."""
        self._apply(Input.COMMITTED, now)

    def promise_expired(self, now: float) -> None:
        self._apply(Input.PROMISE_EXPIRED, now)

    def cancel_refused(self, now: float) -> None:
        self._apply(Input.CANCEL_REFUSED, now)

    def cancel_expired(self, now: float) -> None:
        """Neither a done came for the response that we cancelled, nor another one."""
        self._apply(Input.CANCEL_EXPIRED, now)

    def disconnected(self, now: float) -> None:
        self.pending_create = None
        self._apply(Input.DISCONNECTED, now)

    def _apply(self, what: Input, now: float) -> None:
        then = TRANSITIONS[self.slot][what]
        if then is ILLEGAL:
            raise GateViolation(f"{what} in slot {self.slot}")
        if then is STAY:
            return
        self.slot = then if isinstance(then, Slot) else self._free()
        self.since = now
        if self.slot not in (Slot.ACTIVE, Slot.CANCELLING):
            self.response_id = None

    def _free(self) -> Slot:
        if self.pending_create is not None:
            return Slot.REQUESTED
        return Slot.IDLE if self._configured else Slot.UNCONFIGURED
