"""Handles the upstream's events: their effect on the slot, the requests they settle, and what the client is told."""

from __future__ import annotations

from functools import partial
from typing import Any

from gateway.conversation.barge_in import forget_undelivered, interrupt, send_cancel
from gateway.conversation.context import Context
from gateway.conversation.failed_replies import FailedReplies
from gateway.conversation.keep_transcript import keep_transcript
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.on_command import CommandHandler
from gateway.conversation.on_error import ErrorHandler
from gateway.conversation.text_only import TextOnly
from gateway.conversation.upstream_legs import UpstreamLegs
from gateway.conversation.user_turns import UserTurns
from gateway.turn.requests import Request
from gateway.turn.slot import PendingCreate
from turngate.protocol.deepgram import events
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.messages import Slot
from turngate.protocol.openai.client_events import item_create
from turngate.protocol.openai.server_events import (
    AudioCommitted,
    IdleTimeout,
    Item,
    ItemAdded,
    ItemDone,
    OutputAudioDone,
    OutputItemAdded,
    OutputItemDone,
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

#: The output, for the model, of a function call that was cancelled because the user interrupted.
_INTERRUPTED = '{"error":"Cancelled: the user interrupted before there was a result."}'
#: The output of a function call whose arguments were cut off.
_CUT_OFF = '{"error":"The call was cut off before its arguments were complete; it was not made."}'
#: Prefix of the ids that responses without an id get here.
_UNNAMED = "unnamed-"


class UpstreamHandler:
    """Handles the upstream events of one conversation."""

    def __init__(
        self,
        context: Context,
        client: ClientHandler,
        translators: CommandHandler,
        turns: UserTurns,
        errors: ErrorHandler,
        failed_replies: FailedReplies,
        legs: UpstreamLegs,
    ) -> None:
        self._context = context
        self._legs = legs
        self._text_only = TextOnly(context)
        self._errors = errors
        self._failed_replies = failed_replies
        self._client = client
        self._translators = translators
        self._turns = turns
        #: Number of responses without an id.
        self._unnamed = 0
        #: Code and message of the last error before ``session.created``.
        self.refusal: tuple[str, str] | None = None

    def heard(self, data: dict[str, Any], now: float) -> None:
        """Note any event of the response that holds the slot, including types that are not used here: the response
        makes progress. Events of a tool that runs at the upstream name no response and count for the holder, and so do
        all if that began without an id."""
        turn = self._context.turn
        response, response_id = data.get("response"), turn.response_id
        if response_id is None or not response_id.startswith(_UNNAMED):
            named = response.get("id") if isinstance(response, dict) else response_id
            response_id = data.get("response_id", named)
        if isinstance(response_id, str) and str(data.get("type")).startswith("response."):
            turn.heard(response_id, now)

    def event(self, event: ServerEvent, now: float) -> None:
        """Handle one event. Call in the order of arrival."""
        context = self._context
        discarded = False
        self._text_only.watch(event)
        keep_transcript(context, event)
        if isinstance(event, ResponseCreated | ResponseDone):
            named = self._named(event)
            if isinstance(event, ResponseDone):
                context.used.add(event.response.id, event.response.usage)
            if isinstance(event, ResponseDone) and event.response.id and named is not event:
                context.downlink.replies.is_over(event.response.id, now)
            event = named
        if isinstance(event, UpstreamError):
            if not context.connected:
                self.refusal = (event.code, event.error.message or "no reason given")
                return
            if self._errors.error(event.error, now):
                return
        match event:
            case SessionCreated():
                self._connected(event, now)
            case SessionUpdated():
                self._confirmed(event, now)
            case SpeechStarted():
                if self._turns.resumes:
                    # For the client, it goes on.
                    self._turns.speech_started()
                    self._client.user_audio.speech_started(event.audio_start_ms, now)
                    context.downlink.user.started(event)
                    return
                self._turns.speech_started()
                self._client.speech_started(event.audio_start_ms, now)
                if self._goes_on(now):
                    context.downlink.user.started(event)
                    return
                interrupt(context, now)
            case SpeechStopped():
                self._turns.speech_stopped(event.item_id)
                self._client.user_audio.speech_stopped(event.audio_end_ms)
            case IdleTimeout():
                self._turns.idle(event.item_id)
            case AudioCommitted():
                self._turns.committed(event, now)
                audio = self._client.user_audio.committed()
                if event.item_id is not None:
                    context.transcript.turn(event.item_id, audio)
            case OutputItemAdded() | OutputItemDone():
                context.turn.item_added(event.response_id)
            case OutputAudioDone():
                context.send_audio(context.downlink.audio_tail(event.response_id))
            case ItemAdded() | ItemDone():
                self._item(event.item, now)
            case ResponseCreated():
                discarded = self._started(event.response, now)
            case ResponseDone():
                self._done(event.response, now)
                self._legs.ended(event.response)
                if event.response.status == "cancelled":
                    self._cancel_calls(event.response.id)
        self._translators.send_items()
        for message in context.downlink.handle(event, now):
            if message["type"] == "FunctionCallRequest":
                self._call(message, now)
            else:
                context.tell(message)
        if discarded:
            context.downlink.replies.cut()

    def _goes_on(self, now: float) -> bool:
        """Whether the agent is speaking, and goes on although the user speaks (``interrupt_response`` is off)."""
        context = self._context
        speaks = context.turn.slot is Slot.ACTIVE or context.downlink.playout.ends_at(now) > now
        return speaks and not context.upstream_config.user_interrupts

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
        context.downlink.replies.cut()
        send_cancel(context, context.turn.response_id, now)

    # --- the session

    def _connected(self, event: SessionCreated, now: float) -> None:
        context = self._context
        if not context.connected:
            context.connected = True
            if not context.configured:
                context.upstream_config.learn(event.session)
            if context.turn.slot is not Slot.RECONNECTING:
                context.publish([request.seq for request in context.requests], now)
            self._legs.connected(now)

    def _confirmed(self, event: SessionUpdated, now: float) -> None:
        context = self._context
        if context.restore is not None:
            self._legs.configured(event.session, now)
            return
        update = context.upstream_config.confirm(event.session)
        if update is None:
            return
        for request in context.requests.settle(update.configures):
            context.tell({"type": request.acknowledgement})
        if not context.configured:
            context.configured = True
            context.turn.configured(now)
            self._client.configured(now)
        self._client.user_audio.confirmed(now)

    def _item(self, item: Item, now: float) -> None:
        context = self._context
        if item.type == "function_call_output" and item.call_id is not None:
            context.calls.delivered(item.call_id)
        if context.restore is not None:
            self._legs.acknowledged(item.id, now)
        request = context.requests.acknowledge_item(item.id) if item.id is not None else None
        if request is not None and request.message["type"] == "InjectUserMessage":
            context.tell(*context.downlink.user_message(request.message["content"], now))

    # --- responses

    def _started(self, response: Response, now: float) -> bool:
        """A response has begun. Returns True if it is not needed and is being cancelled."""
        context, turn = self._context, self._context.turn
        if not response.is_default:
            turn.side_event(now)
            return False
        create = turn.started(response.id, response.request_id, now)
        if turn.slot is Slot.CLOSED:
            return True
        if turn.slot is Slot.CANCELLING:
            # Its create had expired; its requests wait again.
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
            settled = self._answered(create)
            # Not wanted if another response answered all of them meanwhile: nobody is answered twice.
            wanted = bool(settled) and wanted
        self._failed_replies.began(settled)
        if any(request.continues for request in settled):
            context.downlink.replies.go_on(response.id, now)
        return False if wanted else self._discard(response.id, now)

    def _gives_way(self, create: PendingCreate | None) -> bool:
        """Whether a response that begins now (requested by ``create``, or automatic) would speak over the user. Its
        requests are answered with the user's turn."""
        context = self._context
        allowed = (create is not None and create.interrupts) or not context.upstream_config.user_interrupts
        return context.turn.user_speaking and not allowed

    def _discard(self, response_id: str, now: float) -> bool:
        send_cancel(self._context, response_id, now)
        return True

    def _named(self, event: ResponseCreated | ResponseDone) -> ResponseCreated | ResponseDone:
        """The event, with an id if its response has none: a new id at the beginning; the end of a response without an
        id is taken as that of the response that holds the slot."""
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
        context, turn = self._context, self._context.turn
        if not response.is_default:
            turn.side_event(now)
            return
        request = turn.pending_create
        if request is not None and request.event_id == response.request_id:
            self._answered(request)
        turn.done(response.id, response.request_id, now)
        if self._failed_replies.ended(response, now, heard=context.downlink.replies.has_begun(response.id)):
            context.downlink.replies.cut()
            forget_undelivered(context, response.id)
        else:
            self._client.response_ended(response.id, now)
        if self._text_only.caught(response):
            self._failed_replies.repeat(now)
        if response.status == "incomplete":
            self._answer_cut_calls(response)
        self._turns.answer_ended(response.id, now, interrupted=response.was_interrupted)

    def _answered(self, request: PendingCreate) -> list[Request]:
        """Settle the requests that a response to our create answers; returns those that were open."""
        requests = self._context.requests
        settled = requests.settle({*request.responds, *(request.knows & frozenset(requests.answerable()))})
        self._context.counters.answered_by_another += sum(other.seq not in request.responds for other in settled)
        return settled

    def _call(self, request: ServerMessage, now: float) -> None:
        """The model calls a function: pass the call to the client, or answer it if there is no such function."""
        context = self._context
        (function,) = request["functions"]
        call = context.calls.asked(function["id"], function["name"], now)
        context.transcript.called(call.id, call.name, function["arguments"])
        if context.upstream_config.offers(call.name):
            context.tell(request)
        else:
            self._client.function_results.answer(call, "NON_EXISTENT_FUNCTION_CALLED", now)

    def _cancel_calls(self, response_id: str) -> None:
        """Cancel the calls of an interrupted reply. The model gets an error as their output, so that it can call again;
        a result of the client that arrives later is ignored."""
        context = self._context
        void = context.calls.cancel(context.downlink.replies.calls_of(response_id))
        if void:
            context.tell(events.function_call_cancelled([(call.id, call.name) for call in void]))
        for call in void:
            self._answer_void(call.id, _INTERRUPTED)

    def _answer_cut_calls(self, response: Response) -> None:
        """Answer function calls that were cut off with an error output. They are not passed to the client."""
        passed_on = self._context.downlink.replies.calls_of(response.id)
        for item in response.output:
            if item.type == "function_call" and item.call_id is not None and item.call_id not in passed_on:
                self._answer_void(item.call_id, _CUT_OFF)

    def _answer_void(self, call_id: str, output: str) -> None:
        """Give the model this output of a call that nobody answers any more."""
        item = {"type": "function_call_output", "call_id": call_id, "output": output}
        event_id = self._context.send(partial(item_create, item), "void")
        if self._context.transcript.has_call(call_id):
            self._context.transcript.sent({"id": event_id} | item)
