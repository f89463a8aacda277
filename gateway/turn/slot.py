"""The slot: which response, if any, occupies the default conversation.

Rules of this module
1. `gateway.turn.slot_table` defines every input in every state.
2. Which input an upstream event is (ours or another response's, the holder's or a stale one) is determined here by
   comparing ids before the table is used.
3. Only ``response.done`` with the id that holds the slot frees it, or a while without one after the upstream's word
   that nothing runs (``response_cancel_not_active``, about our cancel). ``output_audio.done``, ``output_text.done`` and
   the end of any other response do not.
4. Every state but `IDLE` ends: a promise and a create expire, a response that shows no event is cancelled, and a cancel
   that is not answered costs the connection, because it cannot be trusted. `RECONNECTING` ends with the session's
   patience.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from gateway.recent import Recent
from gateway.timers import NEVER, Timer, Timers
from gateway.turn.slot_table import ILLEGAL, STAY, TRANSITIONS, GateViolation, Input
from turngate.protocol.messages import Slot

_REMEMBERED_RESPONSES = 16
_REMEMBERED_CREATES = 16


@dataclass(frozen=True, slots=True)
class PendingCreate:
    """A ``response.create`` of ours that is unresolved: neither a response nor an error has arrived."""

    event_id: str
    responds: tuple[int, ...]
    sent_at: float
    #: The requests whose items were sent before it, so that its response includes them.
    knows: frozenset[int] = frozenset()
    #: Its response may begin while the user speaks.
    interrupts: bool = False


@dataclass(frozen=True, slots=True)
class SlotPatience:
    """How long to wait, in seconds."""

    #: For the response that the upstream's VAD promised, and for the end of one that the upstream no longer runs.
    promise: float = 3.0
    #: For the answer to a ``response.create`` or ``response.cancel``.
    reply: float = 15.0
    #: For the next event of the response that holds the slot.
    silence: float = 30.0

    def in_slot(self, slot: Slot) -> float:
        """The longest time in this slot without an event; infinity for any."""
        match slot:
            case Slot.PROMISED:
                return self.promise
            case Slot.ACTIVE:
                return self.silence
            case Slot.CANCELLING:
                return self.reply
        return NEVER


class Turn:
    """The slot of one session, and the response that holds it.

    Call the method for each upstream event that concerns responses, in the order in which they arrive.
    """

    __slots__ = (
        "_began_at",
        "_cancel_id",
        "_configured",
        "_expired",
        "_nothing_runs",
        "_over",
        "_patience",
        "_progress_before",
        "_timers",
        "cancel_next",
        "heard_at",
        "item_stands",
        "pending_create",
        "response_id",
        "response_own",
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
        #: Set while the slot is `ACTIVE`, and while it is `CANCELLING` if the cancelled response was announced.
        self.response_id: str | None = None
        #: Whether that response answers a create of ours; None if there is none.
        self.response_own: bool | None = None
        #: Our unresolved create, if any.
        self.pending_create: PendingCreate | None = None
        self.user_speaking = False
        #: Somebody wants to cancel the response that is promised or requested: do that when it begins.
        self.cancel_next = False
        #: The upstream's conversation has an item of the response that holds the slot.
        self.item_stands = False
        #: When the response that holds the slot began, and when it showed its last event: set by `heard`, and for audio
        #: by who knows that it is of this response.
        self._began_at = self.heard_at = now
        #: The progress of those before it.
        self._progress_before = 0.0
        self._configured = False
        #: The ``event_id`` of our last ``response.cancel``.
        self._cancel_id: str | None = None
        #: The upstream had nothing to cancel: the response that is being cancelled is over, or was never begun.
        self._nothing_runs = False
        self._over: deque[str] = deque(maxlen=_REMEMBERED_RESPONSES)
        #: Our creates that were given up without the upstream's answer, by ``event_id``.
        self._expired: Recent[str, PendingCreate] = Recent(_REMEMBERED_CREATES)

    @property
    def progress(self) -> float:
        """Seconds in which the responses that held the slot showed events."""
        return self._progress_before + self.heard_at - self._began_at

    @property
    def free_for_configuration(self) -> bool:
        return self.slot is Slot.IDLE or self.slot is Slot.UNCONFIGURED

    @property
    def free_for_response(self) -> bool:
        """Whether a response can start now, without a collision and without talking over the user."""
        return self.free_for_interruption and not self.user_speaking

    @property
    def awaits_item(self) -> bool:
        """Whether a response has begun, or is about to, whose first item is not in the upstream's conversation yet. An
        item that is added now would stand between a question and its answer."""
        return self.slot in (Slot.PROMISED, Slot.REQUESTED) or (self.slot is Slot.ACTIVE and not self.item_stands)

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

    def cancel_sent(self, event_id: str, now: float) -> None:
        """Call before sending a cancel with this ``event_id``. Raises `GateViolation` if no response is active."""
        self._apply(Input.CANCEL_SENT, now)
        self._cancel_id, self._nothing_runs = event_id, False

    def started(self, response_id: str, request_id: str | None, now: float) -> PendingCreate | None:
        """A response of the default conversation was created; ``request_id`` is the id in its metadata. Returns our
        create that asked for it, also one that had expired."""
        if self.response_id is not None:
            self._over.append(self.response_id)
        create = self.pending_create
        if create is not None and create.event_id == request_id:
            self._create_answered()
            self._apply(Input.OWN_STARTED, now)
        elif (create := self._expired.pop(request_id or "", None)) is not None:
            self._apply(Input.EXPIRED_STARTED, now)
        else:
            self._apply(Input.OTHER_STARTED, now)
        if self.slot in (Slot.ACTIVE, Slot.CANCELLING):
            self.response_id = response_id
            self.response_own = create is not None
            self._progress_before = self.progress
            self._began_at = self.heard_at = now
            self.item_stands = False
        return create

    def item_added(self, response_id: str) -> None:
        """An item of this response is in the upstream's conversation."""
        self.item_stands |= response_id == self.response_id

    def heard(self, response_id: str, now: float) -> None:
        """An event of this response arrived."""
        if response_id == self.response_id:
            self.heard_at = now

    def silence_due(self, now: float) -> bool:
        """The timer of an `ACTIVE` slot is due. True if its response has shown no event for too long: cancel it."""
        until = self.heard_at + self._patience.silence
        if until <= now:
            return True
        self._timers.set(Timer.SLOT, until)
        return False

    def done(self, response_id: str, request_id: str | None, now: float) -> None:
        """A response of the default conversation ended, with any status."""
        unannounced = self.slot is Slot.CANCELLING and self.response_id is None and request_id in self._expired
        if response_id == self.response_id or unannounced:
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
        """Our create was refused; ``raced`` if the error was ``conversation_already_has_active_response``. Should the
        error have been about another request, the response is recognised when it begins."""
        self._give_up_create()
        self._apply(Input.REQUEST_RACED if raced else Input.REQUEST_REFUSED, now)

    def request_expired(self, event_id: str, now: float) -> bool:
        """Neither a response nor an error arrived for our create in time. Returns whether to send a
        ``response.cancel`` without a response's id, with this ``event_id``: the slot waits for its answer."""
        self._give_up_create()
        before = self.slot
        self._apply(Input.REQUEST_EXPIRED, now)
        cancels = self.slot is not before
        if cancels:
            self._cancel_id, self._nothing_runs = event_id, False
        return cancels

    def committed(self, now: float) -> None:
        """The user's turn ended, and the server is about to respond automatically."""
        self._apply(Input.COMMITTED, now)

    def promise_expired(self, now: float) -> None:
        self._apply(Input.PROMISE_EXPIRED, now)

    def cancel_refused(self, about: str | None, now: float) -> None:
        """No response was active when a cancel arrived; ``about`` is the ``event_id`` that the error names. If that is
        the cancel in flight, the response's ``response.done`` must come soon, if it was not lost."""
        self._apply(Input.CANCEL_REFUSED, now)
        if self.slot is Slot.CANCELLING and about in (None, self._cancel_id):
            self._nothing_runs = True
            self._timers.set(Timer.SLOT, now + self._patience.promise)

    def cancel_expired(self, now: float) -> bool:
        """The cancelled response's ``response.done`` did not arrive in time. Returns True if the upstream had said that
        nothing runs: the slot is free. Otherwise the connection must be given up: call `lost` or `disconnected`."""
        lost = self._nothing_runs
        if lost and self.response_id is not None:
            self._over.append(self.response_id)
        self._apply(Input.END_LOST if lost else Input.CANCEL_EXPIRED, now)
        return lost

    def lost(self, now: float) -> None:
        """The upstream's connection is lost: nothing of what ran there will end. Call `restored` when another one is
        where the conversation is."""
        self._leave()
        self._apply(Input.LEG_LOST, now)

    def restored(self, now: float) -> None:
        self._apply(Input.RESTORED, now)

    def disconnected(self, now: float) -> None:
        self._leave()
        self._apply(Input.DISCONNECTED, now)

    def _leave(self) -> None:
        self._create_answered()
        self._expired.clear()

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
            self.response_id = self.response_own = None
        if self.slot not in (Slot.PROMISED, Slot.REQUESTED, Slot.ACTIVE):
            self.cancel_next = False

    def _create_answered(self) -> None:
        self.pending_create = None
        self._timers.clear(Timer.CREATE)

    def _give_up_create(self) -> None:
        create = self.pending_create
        assert create is not None
        self._expired[create.event_id] = create
        self._create_answered()

    def _free(self) -> Slot:
        if self.pending_create is not None:
            return Slot.REQUESTED
        return Slot.IDLE if self._configured else Slot.UNCONFIGURED
