"""What the upstream says, decided: what it does to the turn, what it settles, and what the client hears of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from gateway.conversation.barge_in import interrupt, send_cancel
from gateway.conversation.context import Context
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.on_command import CommandHandler
from gateway.conversation.user_turns import UserTurns
from gateway.turn.requests import Request
from gateway.turn.slot import PendingCreate
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.messages import Slot
from turngate.protocol.openai.client_events import item_create, response_cancel
from turngate.protocol.openai.errors import ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, COMMIT_EMPTY
from turngate.protocol.openai.server_events import (
    AudioCommitted,
    ErrorDetail,
    IdleTimeout,
    Item,
    ItemAdded,
    ItemDone,
    OutputAudioDelta,
    OutputAudioDone,
    Response,
    ResponseCreated,
    ResponseDone,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    UpstreamError,
)

#: What the model is told of a function call that its user talked over.
_INTERRUPTED = '{"error":"Cancelled: the user interrupted before there was a result."}'
#: What it is told of a call that was cut off.
_CUT_OFF = '{"error":"The call was cut off before its arguments were complete; it was not made."}'
#: Of the agent's audio in one message, as the upstream gave it. The client's rate may double it, and many libraries
#: take no more than 1 MiB.
_AUDIO_MAX_BYTES = 256 * 1024
#: What the gateway sends by itself; the client did not ask for it and cannot mend it.
_OWN_BUSINESS = ("truncate", "void", "commit")
#: The code of an update that the upstream did not answer.
UPDATE_TIMEOUT = "upstream_timeout"
#: The beginning of the id that a response gets here where the upstream gives it none.
_UNNAMED = "unnamed-"


class UpstreamHandler:
    """The upstream's half of a context."""

    def __init__(self, context: Context, client: ClientHandler, translators: CommandHandler, turns: UserTurns) -> None:
        self._context = context
        self._client = client
        self._translators = translators
        self._turns = turns
        #: Responses whose id the upstream did not say.
        self._unnamed = 0
        #: Code and message of the last error that came before the session began.
        self.refusal: tuple[str, str] | None = None

    def audio(self, delta: OutputAudioDelta, now: float) -> bytes:
        """A piece of the agent's audio, as the client gets it; empty when nothing of it is to be sent now."""
        context = self._context
        context.turn.heard(delta.response_id, now)
        downlink = context.downlink
        before = downlink.audio(delta.response_id, delta.item_id, now)
        if before is None or context.ending is not None:
            return b""
        if before:
            context.tell(*before)
        pcm = delta.pcm
        if len(pcm) <= _AUDIO_MAX_BYTES:
            return downlink.forward(delta.response_id, delta.item_id, pcm, now)
        for start in range(0, len(pcm), _AUDIO_MAX_BYTES):
            piece = pcm[start : start + _AUDIO_MAX_BYTES]
            context.send_audio(downlink.forward(delta.response_id, delta.item_id, piece, now))
        return b""

    def heard(self, data: dict[str, Any], now: float) -> None:
        """Any event of the upstream arrived, also one that is not used here. One that concerns the response that holds
        the slot shows that it goes on; some name no response (those of a tool that runs at the upstream)."""
        turn = self._context.turn
        response_id = data.get("response_id", turn.response_id)
        if isinstance(response_id, str) and str(data.get("type")).startswith("response."):
            turn.heard(response_id, now)

    def event(self, event: ServerEvent, now: float) -> None:
        """One server event, in the order of the wire."""
        context = self._context
        discarded = False
        if isinstance(event, ResponseCreated | ResponseDone):
            event = self._named(event)
        if isinstance(event, UpstreamError):
            if not context.connected:
                self.refusal = (event.code, event.error.message or "no reason given")
                return
            if self._error(event.error, now):
                return
        match event:
            case SessionCreated():
                self._connected(event, now)
            case SessionUpdated():
                self._confirmed(event, now)
            case SpeechStarted():
                self._turns.speech_started()
                self._client.speech_started(now)
                interrupt(context, now)
            case SpeechStopped():
                self._turns.speech_stopped(event.item_id)
                self._client.user_audio.speech_ended()
            case IdleTimeout():
                self._turns.idle(event.item_id)
            case AudioCommitted():
                self._turns.committed(event, now)
                self._client.user_audio.speech_ended()
            case OutputAudioDone():
                context.send_audio(context.downlink.audio_tail(event.response_id))
            case ItemAdded() | ItemDone():
                self._item(event.item, now)
            case ResponseCreated():
                discarded = self._started(event.response, now)
            case ResponseDone():
                self._done(event.response, now)
                if event.response.status == "cancelled":
                    self._cancel_calls(event.response.id)
        for message in context.downlink.handle(event, now):
            if message["type"] == "FunctionCallRequest":
                self._call(message, now)
            else:
                context.tell(message)
        if discarded:
            context.downlink.cut()

    def update_failed(self, code: str, description: str, param: str | None, now: float) -> None:
        """The update in flight was refused, or never answered: try it again if that can help, or report it."""
        context = self._context
        occupied = not context.turn.free_for_configuration
        refused = context.upstream_config.refuse(code, param, occupied=occupied)
        update = refused.update
        if refused.unannounced:
            context.turn.committed(now)
        if refused.again:
            # They wait again; the next release is sent without a field that is fixed, and says so.
            context.requests.return_(update.configures)
            return
        if len(update.configures) > 1 and code != UPDATE_TIMEOUT:
            # What would be accepted alone is accepted, and what is refused alone is refused.
            context.requests.separate(update.configures)
            return
        where = f" ({param})" if param else ""
        for request in context.requests.settle(update.configures):
            problem = f"{request.message['type']} was refused by the upstream: {description}{where}"
            self._client.refused(request, code, problem)

    def create_is_unanswered(self, now: float) -> None:
        """Neither a response nor an error came for our ``response.create``. The upstream may be running it, so it is
        cancelled, and its requests wait for the answer to that."""
        context, turn = self._context, self._context.turn
        assert turn.pending_create is not None
        context.requests.return_(turn.pending_create.responds)
        if turn.request_expired(context.next_event_id("cancel"), now):
            context.send(partial(response_cancel, None), "cancel")

    def response_is_silent(self, now: float) -> None:
        """The response that holds the slot has shown no event for too long: cancel it, and tell the client."""
        context = self._context
        context.counters.silent_responses += 1
        context.tell(*context.downlink.last_words("response_silent", now))
        context.tell(
            events.warning(
                "REPLY_STALLED",
                f"The upstream sent nothing more of the reply for {context.limits.response_silence:.0f} s; "
                "the reply ends here.",
            )
        )
        context.tell(*context.downlink.end(owed=True))
        context.downlink.cut()
        send_cancel(context, context.turn.response_id, now)

    # --- the session

    def _connected(self, event: SessionCreated, now: float) -> None:
        context = self._context
        if not context.connected:
            context.connected = True
            context.upstream_config.learn(event.session)
            context.publish([request.seq for request in context.requests], now)

    def _confirmed(self, event: SessionUpdated, now: float) -> None:
        context = self._context
        update = context.upstream_config.confirm(event.session)
        if update is None:
            return
        for request in context.requests.settle(update.configures):
            context.tell({"type": request.acknowledgement})
        if not context.configured:
            context.configured = True
            context.turn.configured(now)
            self._translators.configured()
            self._client.configured(now)
        self._client.user_audio.confirmed(now)

    def _item(self, item: Item, now: float) -> None:
        context = self._context
        if item.type == "function_call_output" and item.call_id is not None:
            context.calls.delivered(item.call_id)
        request = context.requests.acknowledge_item(item.id) if item.id is not None else None
        if request is not None and request.message["type"] == "InjectUserMessage":
            context.tell(*context.downlink.user_message(request.message["content"], now))

    # --- responses

    def _started(self, response: Response, now: float) -> bool:
        """True when the response is one that nobody needs any more, and is being cancelled."""
        context, turn = self._context, self._context.turn
        if not response.is_default:
            turn.side_event(now)
            return False
        create = turn.started(response.id, response.request_id, now)
        if turn.slot is Slot.CLOSED:
            return True
        if turn.slot is Slot.CANCELLING:
            # It was given up before it was announced; its requests wait again.
            return self._discard(response.id, now)
        if self._gives_way(create):
            self._turns.answer_gave_way()
            if create is not None:
                context.requests.return_(create.responds)
            return self._discard(response.id, now)
        wanted = not turn.cancel_next
        if create is None:
            settled = context.requests.settle(self._turns.answer_began(response.id))
            context.counters.answered_by_another += len(settled)
        else:
            self._client.response_began(response.id, create)
            # Unless another response answered these while our request was on its way. Nobody is answered twice.
            wanted = bool(self._answered(create)) and wanted
        return False if wanted else self._discard(response.id, now)

    def _gives_way(self, create: PendingCreate | None) -> bool:
        """Whether a response that begins now, asked for by ``create`` or by the upstream itself, would speak over the
        user. The answer to what the user says answers its requests as well."""
        context = self._context
        allowed = (create is not None and create.interrupts) or not context.upstream_config.user_interrupts
        return context.turn.user_speaking and not allowed

    def _discard(self, response_id: str, now: float) -> bool:
        send_cancel(self._context, response_id, now)
        return True

    def _named(self, event: ResponseCreated | ResponseDone) -> ResponseCreated | ResponseDone:
        """The event with an id for its response, where the upstream left that out: a new one when a response begins;
        the end is that of the response that holds the slot."""
        response, holder = event.response, self._context.turn.response_id
        holder_is_unnamed = holder is not None and holder.startswith(_UNNAMED)
        if response.id and not (isinstance(event, ResponseDone) and response.is_default and holder_is_unnamed):
            return event
        if isinstance(event, ResponseDone) and holder is not None:
            name = holder
        else:
            self._unnamed += 1
            name = f"{_UNNAMED}{self._unnamed}"
        return event.model_copy(update={"response": response.model_copy(update={"id": name})})

    def _done(self, response: Response, now: float) -> None:
        turn = self._context.turn
        if not response.is_default:
            turn.side_event(now)
            return
        request = turn.pending_create
        if request is not None and request.event_id == response.request_id:
            self._answered(request)
        turn.done(response.id, response.request_id, now)
        self._client.response_ended(response.id, now)
        if response.status == "incomplete":
            self._answer_cut_calls(response)
        self._turns.answer_ended(response.id, now, interrupted=response.was_interrupted)

    def _answered(self, request: PendingCreate) -> list[Request]:
        """Settle what a response that we asked for, and that has begun, answers."""
        requests = self._context.requests
        settled = requests.settle({*request.responds, *(request.knows & frozenset(requests.answerable()))})
        self._context.counters.answered_by_another += sum(other.seq not in request.responds for other in settled)
        return settled

    def _call(self, request: ServerMessage, now: float) -> None:
        """The model calls a function: the client is asked, unless there is no such function."""
        context = self._context
        (function,) = request["functions"]
        call = context.calls.asked(function["id"], function["name"], now)
        if context.upstream_config.offers(call.name):
            context.tell(request)
        else:
            self._client.no_such_function(call, now)

    def _cancel_calls(self, response_id: str) -> None:
        """A reply was interrupted after it had asked for functions: the model goes on from what the user says now. It
        is told, so that it asks again if it still wants to know; a result that comes late is not used."""
        context = self._context
        void = context.calls.cancel(context.downlink.calls_of(response_id))
        if void:
            context.tell(events.function_call_cancelled([(call.id, call.name) for call in void]))
        for call in void:
            output = {"type": "function_call_output", "call_id": call.id, "output": _INTERRUPTED}
            context.send(partial(item_create, output), "void")

    def _answer_cut_calls(self, response: Response) -> None:
        """A function call that was cut off is not passed on: the model is told, so that it can go on."""
        passed_on = self._context.downlink.calls_of(response.id)
        for item in response.output:
            if item.type == "function_call" and item.call_id is not None and item.call_id not in passed_on:
                output = {"type": "function_call_output", "call_id": item.call_id, "output": _CUT_OFF}
                self._context.send(partial(item_create, output), "void")

    # --- errors

    def _error(self, error: ErrorDetail, now: float) -> bool:
        """True when the error is one of ours and was dealt with; otherwise the client hears of it."""
        context = self._context
        turn, code, about = context.turn, error.known_code, error.event_id
        update = context.upstream_config.update
        if update is not None and (
            about == update.event_id or (about is None and (error.param or "").startswith("session"))
        ):
            self.update_failed(code, error.message, error.param, now)
            return True
        if turn.pending_create is not None and about == turn.pending_create.event_id:
            self._request_refused(code, error.message, now)
            return True
        if about is None and code == ACTIVE_RESPONSE and turn.pending_create is not None:
            # Only one create can be out.
            self._request_refused(code, error.message, now)
            return True
        if code == CANCEL_NOT_ACTIVE:
            turn.cancel_refused(about, now)
            return True
        if self._turns.force_refused(about):
            if code != COMMIT_EMPTY:
                context.tell_once(events.warning("FORCE_END_TURN_UNSUPPORTED", f"The turn goes on: {error.message}"))
            return True
        if any(context.is_about(about, purpose) for purpose in _OWN_BUSINESS):
            return True
        if code == ACTIVE_RESPONSE:
            # Not about a request of ours: the upstream's own response lost.
            self._turns.answer_refused(now)
            return True
        request = context.requests.owner_of_item(about) if about is not None else None
        if request is not None:
            self._item_refused(request, code, error.message)
            return True
        return False

    def _request_refused(self, code: str, description: str, now: float) -> None:
        context = self._context
        turn = context.turn
        assert turn.pending_create is not None
        responds = turn.pending_create.responds
        raced = code == ACTIVE_RESPONSE
        turn.request_failed(now, raced=raced)
        if raced:
            context.counters.collisions_absorbed += 1
            context.requests.return_(responds)
            return
        for request in context.requests.settle(responds):
            self._client.refused(request, code, f"{request.message['type']} got no response: {description}")

    def _item_refused(self, request: Request, code: str, description: str) -> None:
        self._context.requests.settle([request.seq])
        self._client.refused(request, code, f"{request.message['type']} was refused by the upstream: {description}")
