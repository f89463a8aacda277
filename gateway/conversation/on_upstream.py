"""What the upstream says, decided: what it does to the turn, what it settles, and what the client hears of it."""

from __future__ import annotations

from functools import partial

from gateway.conversation.barge_in import interrupt
from gateway.conversation.context import State
from gateway.conversation.on_client import ClientSide
from gateway.conversation.on_command import TranslatorSide
from gateway.conversation.user_turns import UserTurns
from gateway.turn.requests import Request
from gateway.turn.slot import Request as ResponseRequest
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.openai.realtime import (
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
    item_create,
    response_cancel,
)

#: What the model is told of a function call that its user talked over.
_INTERRUPTED = '{"error":"Cancelled: the user interrupted before there was a result."}'
RACE = "conversation_already_has_active_response"
#: What the gateway sends by itself; the client did not ask for it and cannot mend it.
_OWN_BUSINESS = ("truncate", "void", "commit")
NOTHING_TO_CANCEL = "response_cancel_not_active"


class UpstreamSide:
    """The upstream's half of a state."""

    def __init__(self, state: State, client: ClientSide, translators: TranslatorSide, turns: UserTurns) -> None:
        self._state = state
        self._client = client
        self._translators = translators
        self._turns = turns

    def event(self, event: ServerEvent, now: float) -> None:
        """One server event, in the order of the wire."""
        state = self._state
        discarded = False
        if isinstance(event, UpstreamError) and self._error(event.error, now):
            return
        match event:
            case SessionCreated():
                self._connected(event, now)
            case SessionUpdated():
                self._confirmed(event, now)
            case SpeechStarted():
                self._turns.speech_started()
                interrupt(state, now)
            case SpeechStopped():
                self._turns.speech_stopped(event.item_id)
            case IdleTimeout():
                self._turns.idle(event.item_id)
            case AudioCommitted():
                self._turns.committed(event, now)
            case ItemAdded() | ItemDone():
                self._item(event.item, now)
            case ResponseCreated():
                discarded = self._started(event.response, now)
            case ResponseDone():
                self._done(event.response, now)
                if event.response.status == "cancelled":
                    self._cancel_calls(event.response.id)
        for message in state.downlink.handle(event, now):
            if message["type"] == "FunctionCallRequest":
                self._call(message, now)
            else:
                state.tell(message)
        if discarded:
            state.downlink.cut()

    def update_failed(self, code: str, description: str, param: str | None, now: float) -> None:
        """The update in flight was refused, or never answered: try it again if that can help, or report it."""
        state = self._state
        occupied = not state.turn.free_for_configuration
        refused = state.configuration.refuse(code, param, occupied=occupied)
        update = refused.update
        if refused.unannounced:
            state.turn.committed(now)
        if refused.again:
            # They wait again; the next release is sent without a field that is fixed, and says so.
            state.ledger.return_(update.configures)
            return
        where = f" ({param})" if param else ""
        for request in state.ledger.settle(update.configures):
            problem = f"{request.message['type']} was refused by the upstream: {description}{where}"
            self._client.refused(request, code, problem)

    # --- the session

    def _connected(self, event: SessionCreated, now: float) -> None:
        state = self._state
        if not state.connected:
            state.connected = True
            state.configuration.learn(event.session)
            state.publish([request.seq for request in state.ledger], now)

    def _confirmed(self, event: SessionUpdated, now: float) -> None:
        state = self._state
        update = state.configuration.confirm(event.session)
        if update is None:
            return
        for request in state.ledger.settle(update.configures):
            state.tell({"type": request.acknowledgement})
        if not state.configured:
            state.configured = True
            state.turn.configured(now)
            self._translators.configured()
            self._client.configured(now)

    def _item(self, item: Item, now: float) -> None:
        state = self._state
        if item.type == "function_call_output" and item.call_id is not None:
            state.calls.delivered(item.call_id)
        request = state.ledger.acknowledge_item(item.id) if item.id is not None else None
        if request is not None and request.message["type"] == "InjectUserMessage":
            state.tell(*state.downlink.user_message(request.message["content"], now))

    # --- responses

    def _started(self, response: Response, now: float) -> bool:
        """True when the response is one that nobody needs any more, and is being cancelled."""
        state, turn = self._state, self._state.turn
        if not response.is_default:
            turn.side_event(now)
            return False
        request = turn.request
        turn.started(response.id, response.request_id, now)
        if request is None or request.event_id != response.request_id:
            settled = state.ledger.settle(self._turns.answer_began(response.id))
            state.counters.answered_by_another += len(settled)
            return False
        if self._answered(request):
            return False
        # Another response answered these while our request was on its way. Nobody is answered twice.
        turn.cancel_sent(now)
        state.send(lambda event_id: response_cancel(response.id, event_id), "cancel")
        return True

    def _done(self, response: Response, now: float) -> None:
        turn = self._state.turn
        if not response.is_default:
            turn.side_event(now)
            return
        request = turn.request
        if request is not None and request.event_id == response.request_id:
            self._answered(request)
        turn.done(response.id, response.request_id, now)
        self._turns.answer_ended(response.id, now, interrupted=response.was_interrupted)

    def _answered(self, request: ResponseRequest) -> list[Request]:
        """Settle what a response that we asked for, and that has begun, answers."""
        ledger = self._state.ledger
        settled = ledger.settle({*request.responds, *(request.knows & frozenset(ledger.answerable()))})
        self._state.counters.answered_by_another += sum(other.seq not in request.responds for other in settled)
        return settled

    def _call(self, request: ServerMessage, now: float) -> None:
        """The model calls a function: the client is asked, unless there is no such function."""
        state = self._state
        (function,) = request["functions"]
        call = state.calls.asked(function["id"], function["name"], now)
        if state.configuration.offers(call.name):
            state.tell(request)
        else:
            self._client.no_such_function(call, now)

    def _cancel_calls(self, response_id: str) -> None:
        """A reply was interrupted after it had asked for functions: the model goes on from what the user says now. It
        is told, so that it asks again if it still wants to know; a result that comes late is not used."""
        state = self._state
        void = state.calls.cancel(state.downlink.calls_of(response_id))
        if void:
            state.tell(events.function_call_cancelled([(call.id, call.name) for call in void]))
        for call in void:
            output = {"type": "function_call_output", "call_id": call.id, "output": _INTERRUPTED}
            state.send(partial(item_create, output), "void")

    # --- errors

    def _error(self, error: ErrorDetail, now: float) -> bool:
        """True when the error is one of ours and was dealt with; otherwise the client hears of it."""
        state = self._state
        turn, code, about = state.turn, error.known_code, error.event_id
        update = state.configuration.update
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
        if self._turns.force_refused(about):
            if code != COMMIT_EMPTY:
                state.tell_once(events.warning("FORCE_END_TURN_UNSUPPORTED", f"The turn goes on: {error.message}"))
            return True
        if any(state.is_about(about, purpose) for purpose in _OWN_BUSINESS):
            return True
        if code == RACE:
            # Not about a request of ours: the upstream's own response lost.
            self._turns.answer_refused(now)
            return True
        request = state.ledger.owner_of_item(about) if about is not None else None
        if request is not None:
            self._item_refused(request, code, error.message)
            return True
        return False

    def _request_refused(self, code: str, description: str, now: float) -> None:
        state = self._state
        turn = state.turn
        assert turn.request is not None
        responds = turn.request.responds
        raced = code == RACE
        turn.request_failed(now, raced=raced)
        if raced:
            state.counters.collisions_absorbed += 1
            state.ledger.return_(responds)
            return
        for request in state.ledger.settle(responds):
            self._client.refused(request, code, f"{request.message['type']} got no response: {description}")

    def _item_refused(self, request: Request, code: str, description: str) -> None:
        self._state.ledger.settle([request.seq])
        self._client.refused(request, code, f"{request.message['type']} was refused by the upstream: {description}")
