"""What a client says, decided: accepted as a request, answered here and now, or refused with a code of its dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.agent import (
    ClientMessage,
    ClientProtocolError,
    ForceEndTurn,
    FunctionCallResponse,
    InjectAgentMessage,
    KeepAlive,
    Settings,
    events,
    parse_client_message,
)
from contracts.broker import Slot
from contracts.realtime import response_cancel
from gateway.audio import InputAudio, check_output
from gateway.calls import Call
from gateway.ledger import Kind, LedgerFull, Request

if TYPE_CHECKING:
    from gateway.conversation import Conversation

#: Close codes: 1000 tells a client not to try the same again, 1011 that it may.
_DO_NOT_RETRY = 1000


class ClientSide:
    """The client's half of a conversation."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._settings_seen = False
        self._audio_error_told = False
        self._input_audio: InputAudio | None = None
        #: The greeting of the first Settings, until it was given.
        self._greeting: str | None = None

    def text(self, frame: bytes, now: float) -> None:
        """One text frame, of whatever content."""
        conversation = self._conversation
        dialect = conversation.dialect
        try:
            message = parse_client_message(frame, strict=dialect.strict_fields)
            if ignored := message.unknown_fields:
                listed = ", ".join(ignored[:8])
                conversation.tell_once(
                    events.warning("SETTINGS_FIELDS_IGNORED", f"{message.type} has no field {listed}.")
                )
            if not self._settings_seen and not isinstance(message, Settings):
                self._check_before_settings(message)
            self._route(message, now)
        except ClientProtocolError as error:
            self._refuse(dialect.code_of(error), error.description)
        except LedgerFull:
            conversation.tell(
                events.warning(
                    "TOO_MANY_REQUESTS",
                    f"{conversation.limits.requests} requests of this session are waiting; this one was not accepted.",
                )
            )

    def audio(self, chunk: bytes) -> bytes | None:
        """A binary frame as 24 kHz pcm16; None before the first Settings, where it is an error that is told once."""
        if self._input_audio is not None:
            return self._input_audio.feed(chunk)
        if not self._audio_error_told:
            self._audio_error_told = True
            self._refuse("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "Audio came before Settings.")
        return None

    def configured(self, now: float) -> None:
        """The first configuration is in force: say the greeting."""
        greeting, self._greeting = self._greeting, None
        if greeting is None:
            return
        conversation = self._conversation
        if conversation.dialect.speaks_greeting:
            self._accept_response({"type": "InjectAgentMessage", "message": greeting}, now=now, exclusive=True)
        else:
            conversation.tell(*conversation.downlink.greeting(greeting))

    def refused(self, request: Request, code: str, description: str) -> None:
        """This request, settled now, has no effect: say why."""
        if request.message["type"] == "FunctionCallResponse":
            self._conversation.calls.delivered(request.message["id"])
        if request.kind is Kind.CONFIGURATION and not request.repeated and request.message["type"] == "Settings":
            self._settings_seen = False
        self._refuse(code, description)

    def user_turn_ended(self, item_id: str | None, now: float) -> None:
        """The user's audio turn is in the conversation, and the upstream will not answer it by itself."""
        try:
            request = self._accept_response({"type": "UserTurnEnded"}, now=now)
        except LedgerFull:
            return
        request.items_known = True
        if item_id is not None:
            request.unacknowledged.add(item_id)

    def call_timed_out(self, call: Call, now: float) -> None:
        """The client did not answer: tell it and the model."""
        conversation = self._conversation
        call.answered = True
        conversation.tell(
            events.warning(
                "FUNCTION_CALL_TIMEOUT", f"{call.name} ({call.id}) was not answered in time; the model is told."
            )
        )
        message = {
            "type": "FunctionCallResponse",
            "id": call.id,
            "name": call.name,
            "error": "The function did not answer in time.",
        }
        try:
            self._accept_response(message, now=now)
        except LedgerFull:
            conversation.calls.delivered(call.id)

    # --- one rule per message

    def _route(self, message: ClientMessage, now: float) -> None:
        match message:
            case Settings():
                self._settings(message, now)
            case KeepAlive():
                pass
            case FunctionCallResponse():
                self._function_call_response(message, now)
            case InjectAgentMessage():
                self._inject_agent_message(message, now)
            case ForceEndTurn():
                self._conversation.tell(
                    events.warning("FORCE_END_TURN_UNSUPPORTED", "The upstream's turn detection cannot be forced.")
                )
            case _ if message.type in events.ACKNOWLEDGEMENTS:
                self._accept_configuration(message.wire(), now)
            case _:
                self._accept_response(message.wire(), now=now)

    def _settings(self, message: Settings, now: float) -> None:
        dialect = self._conversation.dialect
        repeated = self._settings_seen
        if repeated and not dialect.settings_may_repeat:
            raise ClientProtocolError("SETTINGS_ALREADY_APPLIED", "Settings were sent before; use the Update messages.")
        declared, wanted = message.input_audio, message.output_audio
        check_output(wanted.encoding, wanted.sample_rate, wanted.container)
        input_audio = InputAudio(declared.encoding, declared.sample_rate)
        self._accept_configuration(message.wire(), now, repeated=repeated)
        self._input_audio = input_audio
        if not repeated:
            self._settings_seen = True
            self._greeting = message.greeting
            self._conversation.downlink.show_history(message.history_enabled)

    def _function_call_response(self, message: FunctionCallResponse, now: float) -> None:
        conversation = self._conversation
        call = conversation.calls.find(message.id, message.name)
        if call is None:
            known = message.id or message.name or "it"
            conversation.tell(
                events.warning("UNKNOWN_FUNCTION_CALL", f"No function call waits for {known}; the result was not used.")
            )
            return
        self._accept_response({**message.wire(), "id": call.id, "name": call.name}, now=now)
        call.answered = True
        conversation.tell(*conversation.downlink.function_call_taken(call.id, message.output))

    def _inject_agent_message(self, message: InjectAgentMessage, now: float) -> None:
        conversation = self._conversation
        turn = conversation.turn
        refusable = message.behavior != "interrupt"
        if refusable and turn.user_speaking:
            conversation.tell(events.injection_refused("The user is speaking."))
            return
        if message.behavior == "default" and (turn.slot is not Slot.IDLE or conversation.ledger.open(Kind.RESPONSE)):
            conversation.tell(events.injection_refused("The agent is in the middle of a turn."))
            return
        self._accept_response(message.wire(), now=now, exclusive=True)
        if message.behavior == "interrupt" and turn.slot is Slot.ACTIVE and turn.response_id is not None:
            response_id = turn.response_id
            turn.cancel_sent(now)
            conversation.downlink.cut()
            conversation.send(lambda event_id: response_cancel(response_id, event_id), "cancel")

    # --- accepting and refusing

    def _accept_configuration(self, message: dict[str, Any], now: float, *, repeated: bool = False) -> None:
        conversation = self._conversation
        acknowledgement = events.ACKNOWLEDGEMENTS[message["type"]]
        request = conversation.ledger.accept(
            Kind.CONFIGURATION, message, now, acknowledgement=acknowledgement, repeated=repeated
        )
        self._publish(request, now)

    def _accept_response(self, message: dict[str, Any], *, now: float, exclusive: bool = False) -> Request:
        request = self._conversation.ledger.accept(Kind.RESPONSE, message, now, exclusive=exclusive)
        self._publish(request, now)
        return request

    def _publish(self, request: Request, now: float) -> None:
        if self._conversation.connected:
            self._conversation.publish([request.seq], now)

    def _check_before_settings(self, message: ClientMessage) -> None:
        if message.type not in self._conversation.dialect.messages_before_settings:
            raise ClientProtocolError(
                "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", f"{message.type} came before Settings; send Settings first."
            )

    def _refuse(self, code: str, description: str) -> None:
        conversation = self._conversation
        conversation.tell_error(code, description)
        if conversation.dialect.ends_on_bad_start and not self._settings_seen:
            conversation.end(_DO_NOT_RETRY, code)
