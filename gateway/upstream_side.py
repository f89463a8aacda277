"""What the upstream says, decided: what it does to the turn, what it settles, and what the client hears of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from contracts.agent import events
from contracts.broker import Slot
from contracts.realtime import (
    COMMIT_EMPTY,
    AudioCommitted,
    ErrorDetail,
    IdleTimeout,
    Item,
    ItemAdded,
    ItemDone,
    Response,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    UpstreamError,
    commit_audio,
    item_create,
    response_cancel,
)
from gateway.interruption import interrupt
from gateway.ledger import Request
from gateway.turn import Request as ResponseRequest

if TYPE_CHECKING:
    from gateway.conversation import Conversation

#: What the model is told of a function call that its user talked over.
_INTERRUPTED = '{"error":"Cancelled: the user interrupted before there was a result."}'
RACE = "conversation_already_has_active_response"
#: What the gateway sends by itself; the client did not ask for it and cannot mend it.
_OWN_BUSINESS = ("truncate", "void", "commit")
NOTHING_TO_CANCEL = "response_cancel_not_active"


class UpstreamSide:
    """The upstream's half of a conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        #: The commit that ends the user's turn because the client said so, until it is answered.
        self._forced: str | None = None
        #: The turn that the upstream last heard end.
        self._stopped_item: str | None = None
        #: The upstream may have ended that turn by itself, and our commit is still to come.
        self._crossed = False
        #: What a response that the upstream makes by itself surely knows: the requests whose items were there when the
        #: audio turn was committed which it answers. None when no audio turn waits for one.
        self._known_at_commit: set[int] | None = None
        #: The same of the commit before, while that was not answered either.
        self._known_before: set[int] | None = None
        #: An audio turn was committed that the upstream should answer by itself, and has not yet.
        self._owes_answer = False
        #: The silence that the upstream commits next, and answers by itself in any case.
        self._idle_item: str | None = None
        #: The response that it then made, until the user speaks again.
        self._own_answer: str | None = None

    def event(self, event: ServerEvent, now: float) -> None:
        """One server event, in the order of the wire."""
        conversation = self._conversation
        turn = conversation.turn
        discarded = False
        if isinstance(event, UpstreamError) and self._error(event.error, now):
            return
        match event:
            case SessionCreated():
                self._connected(event, now)
            case SessionUpdated():
                self._confirmed(event, now)
            case SpeechStarted():
                turn.user_speaking = True
                self._own_answer = None
                interrupt(conversation, now)
            case SpeechStopped():
                self._stopped_item = event.item_id
                turn.user_speaking = False
            case IdleTimeout():
                self._idle_item = event.item_id
            case AudioCommitted():
                turn.user_speaking = False
                self._committed(event, now)
            case ItemAdded() | ItemDone():
                self._item(event.item, now)
            case ResponseCreated():
                discarded = self._started(event.response, now)
            case ResponseDone():
                self._done(event.response, now)
                if event.response.status == "cancelled":
                    self._cancel_calls(event.response.id)
        for message in conversation.downlink.handle(event, now):
            conversation.tell(message)
            for call in message.get("functions", ()) if message["type"] == "FunctionCallRequest" else ():
                conversation.calls.asked(call["id"], call["name"], now)
        if discarded:
            conversation.downlink.cut()

    def update_failed(self, code: str, description: str, param: str | None, now: float) -> None:
        """The update in flight was refused, or never answered: try it again if that can help, or report it."""
        conversation = self._conversation
        occupied = not conversation.turn.free_for_configuration
        refused = conversation.configuration.refuse(code, param, occupied=occupied)
        if refused is None:
            return
        update = refused.update
        if refused.unannounced:
            conversation.turn.committed(now)
        if refused.again:
            # They wait again; the next release is sent without a field that is fixed, and says so.
            conversation.ledger.return_(update.configures)
            return
        where = f" ({param})" if param else ""
        for request in conversation.ledger.settle(update.configures):
            problem = f"{request.message['type']} was refused by the upstream: {description}{where}"
            conversation.refuse(request, code, problem)

    def force_commit(self) -> None:
        """End the user's turn, although the upstream still waits for more of it."""
        conversation = self._conversation
        self._forced = self._forced or conversation.send(commit_audio, "commit")

    # --- the session

    def _connected(self, event: SessionCreated, now: float) -> None:
        conversation = self._conversation
        if not conversation.connected:
            conversation.connected = True
            conversation.configuration.learn(event.session)
            conversation.publish([request.seq for request in conversation.ledger], now)

    def _confirmed(self, event: SessionUpdated, now: float) -> None:
        conversation = self._conversation
        update = conversation.configuration.confirm(event.session)
        if update is None:
            return
        for request in conversation.ledger.settle(update.configures):
            if request.acknowledgement is not None:
                conversation.tell({"type": request.acknowledgement})
        if not conversation.configured:
            conversation.first_configured(now)

    def _item(self, item: Item, now: float) -> None:
        conversation = self._conversation
        if item.type == "function_call_output" and item.call_id is not None:
            conversation.calls.delivered(item.call_id)
        request = conversation.ledger.acknowledge_item(item.id) if item.id is not None else None
        if request is not None and request.message["type"] == "InjectUserMessage":
            conversation.tell(*conversation.downlink.user_message(request.message["content"], now))

    # --- responses

    def _committed(self, event: AudioCommitted, now: float) -> None:
        """The user's audio turn is complete: either the upstream answers it now, or somebody must ask."""
        conversation = self._conversation
        turn = conversation.turn
        idle = event.item_id is not None and event.item_id == self._idle_item
        by_itself = conversation.configuration.server_responds or idle
        if self._by_hand(event) or not by_itself:
            # A turn that was committed by hand is never answered by itself.
            known = set(conversation.ledger.answerable())
            if (request := conversation.user_turn_ended(event.item_id, now)) is not None and self._crossed:
                self._known_at_commit = known | {request.seq}
            return
        could_answer = turn.free_for_configuration or turn.slot is Slot.PROMISED
        turn.committed(now)
        self._known_before = self._known_at_commit
        self._known_at_commit = set(conversation.ledger.answerable())
        if could_answer:
            self._owes_answer = True
        elif (request := conversation.user_turn_ended(event.item_id, now)) is not None:
            self._known_at_commit.add(request.seq)

    def _by_hand(self, event: AudioCommitted) -> bool:
        """True when this may be our commit. One that crosses the upstream's own makes two, and only the first of them
        was announced by speech_stopped."""
        announced = event.item_id is not None and event.item_id == self._stopped_item
        if self._forced is not None:
            by_both = announced and self._conversation.configuration.server_responds
            self._forced, self._crossed = None, by_both
            return True
        crossed, self._crossed = self._crossed, False
        return crossed and not announced

    def promise_broken(self, now: float) -> None:
        """The upstream did not answer the user's audio turn by itself: somebody must ask."""
        if self._owes_answer:
            self._owes_answer = False
            self._conversation.user_turn_ended(None, now)

    def _started(self, response: Response, now: float) -> bool:
        """True when the response is one that nobody needs any more, and is being cancelled."""
        conversation = self._conversation
        turn = conversation.turn
        if not response.is_default:
            turn.side_event(now)
            return False
        request = turn.request
        ours = request is not None and request.event_id == response.request_id
        turn.started(response.id, response.request_id, now)
        self._own_answer = None if ours or not self._owes_answer else response.id
        settled = self._answered(request if ours else None)
        if not ours or settled:
            return False
        # Another response answered these while our request was on its way. Nobody is answered twice.
        turn.cancel_sent(now)
        conversation.send(lambda event_id: response_cancel(response.id, event_id), "cancel")
        return True

    def _done(self, response: Response, now: float) -> None:
        turn = self._conversation.turn
        if not response.is_default:
            turn.side_event(now)
            return
        request = turn.request
        if request is not None and request.event_id == response.request_id:
            self._answered(request)
        turn.done(response.id, response.request_id, now)
        if response.id == self._own_answer and response.was_interrupted:
            # By speech that had ended before this response was announced: it was for an earlier turn than we thought.
            self._owes_answer = True
            self._known_at_commit = set(self._conversation.ledger.answerable())
            turn.committed(now)

    def _answered(self, request: ResponseRequest | None) -> list[Request]:
        """Settle what a response that has begun answers: ours, or (None) one that the upstream made by itself.

        It began at the upstream a little before this gateway hears of it. An item that got there in between looks the
        same from here but is not known to it; so only what surely is counts. Rather asked again than left unanswered.
        """
        conversation = self._conversation
        ledger = conversation.ledger
        answerable = set(ledger.answerable())
        if request is not None:
            return ledger.settle({*request.responds, *(answerable & request.knows)})
        self._owes_answer = False
        known, self._known_at_commit, self._known_before = self._known_at_commit, None, None
        settled = ledger.settle(answerable if known is None else answerable & known)
        conversation.counters.answered_by_another += len(settled)
        return settled

    def _cancel_calls(self, response_id: str) -> None:
        """A reply was interrupted after it had asked for functions: the model goes on from what the user says now. It
        is told, so that it asks again if it still wants to know; a result that comes late is not used."""
        conversation = self._conversation
        void = conversation.calls.cancel(conversation.downlink.calls_of(response_id))
        if void:
            conversation.tell(events.function_call_cancelled([(call.id, call.name) for call in void]))
        for call in void:
            output = {"type": "function_call_output", "call_id": call.id, "output": _INTERRUPTED}
            conversation.send(partial(item_create, output), "void")

    # --- errors

    def _error(self, error: ErrorDetail, now: float) -> bool:
        """True when the error is one of ours and was dealt with; otherwise the client hears of it."""
        conversation = self._conversation
        turn, code, about = conversation.turn, error.known_code, error.event_id
        update = conversation.configuration.update
        if update is not None and (
            about == update.event_id or (about is None and (error.param or "").startswith("session"))
        ):
            self.update_failed(code, error.message, error.param, now)
            return True
        if turn.request is not None and about == turn.request.event_id:
            self._request_refused(code, error.message, now)
            return True
        if code == NOTHING_TO_CANCEL:
            turn.cancel_refused(now)
            return True
        if about is not None and about == self._forced:
            self._forced = None
            if code != COMMIT_EMPTY:
                conversation.tell_once(
                    events.warning("FORCE_END_TURN_UNSUPPORTED", f"The turn goes on: {error.message}")
                )
            return True
        if any(conversation.is_about(about, purpose) for purpose in _OWN_BUSINESS):
            return True
        if code == RACE:
            # Not about a request of ours: the upstream's own response lost. What it begins next is for the turn before.
            if self._known_before is not None:
                self._known_at_commit, self._known_before = self._known_before, None
            self.promise_broken(now)
            return True
        request = conversation.ledger.owner_of_item(about) if about is not None else None
        if request is not None:
            self._item_refused(request, code, error.message)
            return True
        return False

    def _request_refused(self, code: str, description: str, now: float) -> None:
        conversation = self._conversation
        turn = conversation.turn
        assert turn.request is not None
        responds = turn.request.responds
        raced = code == RACE
        turn.request_failed(now, raced=raced)
        if raced:
            conversation.counters.collisions_absorbed += 1
            conversation.ledger.return_(responds)
            return
        for request in conversation.ledger.settle(responds):
            conversation.refuse(request, code, f"{request.message['type']} got no response: {description}")

    def _item_refused(self, request: Request, code: str, description: str) -> None:
        self._conversation.ledger.settle([request.seq])
        self._conversation.refuse(
            request, code, f"{request.message['type']} was refused by the upstream: {description}"
        )
