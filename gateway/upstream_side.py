"""What the upstream says, decided: what it does to the turn, what it settles, and what the client hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.broker import Slot
from contracts.realtime import (
    AudioCommitted,
    ErrorDetail,
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
    response_cancel,
)
from gateway.ledger import Request

if TYPE_CHECKING:
    from gateway.conversation import Conversation

RACE = "conversation_already_has_active_response"
NOTHING_TO_CANCEL = "response_cancel_not_active"


class UpstreamSide:
    """The upstream's half of a conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def event(self, event: ServerEvent, now: float) -> None:
        """One server event, in the order of the wire."""
        conversation = self._conversation
        turn = conversation.turn
        discarded = False
        if isinstance(event, UpstreamError) and self._error(event.error, now):
            return
        match event:
            case SessionCreated():
                self._connected(now)
            case SessionUpdated():
                self._confirmed(event, now)
            case SpeechStarted():
                turn.user_speaking = True
            case SpeechStopped():
                turn.user_speaking = False
            case AudioCommitted():
                turn.user_speaking = False
                self._committed(event, now)
            case ItemAdded() | ItemDone():
                self._item(event.item)
            case ResponseCreated():
                discarded = self._started(event.response, now)
            case ResponseDone():
                self._done(event.response, now)
        for message in conversation.downlink.handle(event, now):
            conversation.tell(message)
            for call in message.get("functions", ()) if message["type"] == "FunctionCallRequest" else ():
                conversation.calls.asked(call["id"], call["name"], now)
        if discarded:
            conversation.downlink.cut()

    def update_failed(self, code: str, description: str, param: str | None) -> None:
        """The update in flight was refused, or never answered: try again without a field that cannot change, or report
        it."""
        conversation = self._conversation
        refused = conversation.configuration.refuse(code, param)
        if refused is None:
            return
        update, field = refused
        if field is not None:
            # They wait again; the next release is sent without the field, and says so.
            conversation.ledger.return_(update.configures)
            return
        where = f" ({param})" if param else ""
        for request in conversation.ledger.settle(update.configures):
            problem = f"{request.message['type']} was refused by the upstream: {description}{where}"
            conversation.refuse(request, code, problem)

    # --- the session

    def _connected(self, now: float) -> None:
        conversation = self._conversation
        if not conversation.connected:
            conversation.connected = True
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

    def _item(self, item: Item) -> None:
        conversation = self._conversation
        if item.type == "function_call_output" and item.call_id is not None:
            conversation.calls.delivered(item.call_id)
        request = conversation.ledger.acknowledge_item(item.id) if item.id is not None else None
        if request is not None and request.message["type"] == "InjectUserMessage":
            conversation.tell(*conversation.downlink.user_message(request.message["content"]))

    # --- responses

    def _committed(self, event: AudioCommitted, now: float) -> None:
        """The user's audio turn is complete: either the upstream answers it now, or somebody must ask."""
        conversation = self._conversation
        turn = conversation.turn
        if conversation.configuration.server_responds:
            could_answer = turn.free_for_configuration or turn.slot is Slot.PROMISED
            turn.committed(now)
            if could_answer:
                return
        conversation.user_turn_ended(event.item_id, now)

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
        settled = self._answered(request.responds if ours and request is not None else (), ours=ours)
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
            self._answered(request.responds, ours=True)
        turn.done(response.id, response.request_id, now)

    def _answered(self, asked: tuple[int, ...], *, ours: bool) -> list[Request]:
        conversation = self._conversation
        ledger = conversation.ledger
        settled = ledger.settle({*asked, *ledger.answerable()})
        if not ours:
            conversation.counters.answered_by_another += len(settled)
        return settled

    # --- errors

    def _error(self, error: ErrorDetail, now: float) -> bool:
        """True when the error is one of ours and was dealt with; otherwise the client hears of it."""
        conversation = self._conversation
        turn, code, about = conversation.turn, error.known_code, error.event_id
        update = conversation.configuration.update
        if update is not None and (
            about == update.event_id or (about is None and (error.param or "").startswith("session"))
        ):
            self.update_failed(code, error.message, error.param)
            return True
        if turn.request is not None and about == turn.request.event_id:
            self._request_refused(code, error.message, now)
            return True
        if code == NOTHING_TO_CANCEL:
            turn.cancel_refused(now)
            return True
        if code == RACE:
            # Not about a request of ours: the upstream's own response lost. The user's turn was taken down as a
            # request then.
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
