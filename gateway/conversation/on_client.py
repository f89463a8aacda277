"""What a client says, decided: accepted as a request, answered here and now, or refused with a code of its dialect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.audio.formats import ClientAudio, DeclaredFormats, Formats, speaks_differently
from gateway.conversation.barge_in import cancel_response, interrupt
from gateway.conversation.context import Context
from gateway.conversation.lifetime import Due
from gateway.conversation.manual_turns import ManualTurns
from gateway.conversation.user_turns import UserTurns
from gateway.turn.function_calls import Call
from gateway.turn.requests import Kind, Request, TooManyRequests
from turngate.protocol.deepgram import (
    INVALID_SETTINGS,
    ClientMessage,
    ClientProtocolError,
    CustomToThinkProvider,
    ForceEndTurn,
    FunctionCallResponse,
    InjectAgentMessage,
    KeepAlive,
    Settings,
    events,
    parse_client_message,
)
from turngate.protocol.deepgram.audio import check_input, check_output
from turngate.protocol.messages import Slot
from turngate.protocol.openai.server_events import ServerEvent

#: Why there is no result of a call, by the code of its ``Warning``: in words for the model, and for the client.
_NO_RESULT = {
    "FUNCTION_CALL_TIMEOUT": ("The function did not answer in time.", "was not answered in time"),
    "NON_EXISTENT_FUNCTION_CALLED": ("There is no function of this name.", "does not exist"),
}
#: Close codes: 1000 tells a client not to try the same again, 1011 that it may.
_DO_NOT_RETRY = 1000


class ClientHandler:
    """The client's half of a context."""

    def __init__(self, context: Context, turns: UserTurns, observe: Callable[[ServerEvent, float], None]) -> None:
        """``observe`` takes what the upstream would send, were its turn detection on."""
        self._context = context
        self._turns = turns
        self._observe = observe
        #: Set while the upstream's turn detection is off.
        self._manual_turns: ManualTurns | None = None
        self._settings_seen = False
        self._audio_error_told = False
        self._formats = DeclaredFormats(lambda seq: context.requests.get(seq) is not None)
        context.downlink.voice.follow(self._formats)
        self._audio: ClientAudio | None = None
        #: The greeting of the first Settings, until it was given.
        self._greeting: str | None = None

    def text(self, frame: bytes, now: float) -> None:
        """One text frame, of whatever content."""
        context = self._context
        dialect = context.dialect
        try:
            message = parse_client_message(frame, strict=dialect.strict_fields, omitted=dialect.omitted)
            if ignored := message.unknown_fields:
                listed = ", ".join(ignored[:8])
                context.tell_once(events.warning("SETTINGS_FIELDS_IGNORED", f"{message.type} has no field {listed}."))
            if not self._settings_seen and not isinstance(message, Settings):
                self._check_before_settings(message)
            self._route(message, now)
        except ClientProtocolError as error:
            self._refuse(dialect.code_of(error), error.description)
        except TooManyRequests:
            context.tell(
                events.warning(
                    "TOO_MANY_REQUESTS",
                    f"{context.limits.requests} requests of this session are waiting; this one was not accepted.",
                )
            )

    def audio(self, chunk: bytes, now: float) -> bytes | None:
        """A binary frame as the upstream takes it; None before the first Settings, where it is an error that is told
        once, and where the audio goes among the events since its turns are made here."""
        formats = self._formats.current
        if formats is None:
            if not self._audio_error_told:
                self._audio_error_told = True
                self._refuse("NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "Audio came before Settings.")
            return None
        if self._audio is None or self._audio.format is not formats.input:
            self._audio = ClientAudio(formats.input)
        update = self._context.upstream_config.update
        if update is not None and self._formats.changes_upstream_input(update.configures):
            # The upstream reads this in the old format or in the new one: nobody knows until it has answered.
            self._context.tell_once(
                events.warning("AUDIO_DROPPED", "Audio that came while `audio.input` was being changed was dropped.")
            )
            return b""
        audio = self._audio.feed(chunk)
        if self._manual_turns is None or not self._context.configured:
            return audio
        self._manual_turns.feed(audio, now)
        return None

    def configured(self, now: float) -> None:
        """The first configuration is in force: say the greeting."""
        greeting, self._greeting = self._greeting, None
        if greeting is None:
            return
        context = self._context
        if context.dialect.speaks_greeting:
            # What is asked by ourselves has room of its own, and Settings has just left some.
            words = {"type": "InjectAgentMessage", "message": greeting}
            self._accept_response(words, now, exclusive=True, own=True)
        else:
            context.tell(*context.downlink.greeting(greeting))

    def refused(self, request: Request, code: str, description: str) -> None:
        """This request, settled now, has no effect: say why."""
        if request.message["type"] == "FunctionCallResponse":
            self._context.calls.delivered(request.message["id"])
        if request.kind is Kind.CONFIGURATION and not request.repeated and request.message["type"] == "Settings":
            # Unless another has come meanwhile, the next Settings is the first again.
            self._settings_seen = any(other.message["type"] == "Settings" for other in self._context.requests)
            self._greeting = None
        self._formats.withdraw(request.seq)
        self._refuse(code, description)

    def no_such_function(self, call: Call, now: float) -> None:
        """The model calls a function that it was not given: it is told so, and the client that this happened."""
        self._answer(call, "NON_EXISTENT_FUNCTION_CALLED", now)

    def _answer(self, call: Call, code: str, now: float) -> None:
        """Answer a call with an error in the client's stead, which hears of it as the ``Warning`` of this code."""
        context = self._context
        error, problem = _NO_RESULT[code]
        message = {"type": "FunctionCallResponse", "id": call.id, "name": call.name, "error": error}
        try:
            self._accept_response(message, now, own=True)
        except TooManyRequests:
            context.calls.delivered(call.id)
            told = "too many requests are waiting to tell the model"
        else:
            context.calls.answered(call)
            told = "the model is told"
        context.tell(events.warning(code, f"{call.name} ({call.id}) {problem}; {told}."))

    def time_is_up(self, due: Due, now: float) -> None:
        """The client was silent for too long, or the session has lasted (almost) as long as it may."""
        context, limits = self._context, self._context.limits
        match due:
            case Due.ENDS_SOON:
                context.tell(
                    events.warning(
                        "MAXIMUM_SESSION_LENGTH_APPROACHING",
                        f"This session ends in {limits.session_notice:.0f} s; its longest duration is "
                        f"{limits.session:.0f} s.",
                    )
                )
            case Due.OVER:
                self._give_up(
                    "MAXIMUM_SESSION_LENGTH_REACHED",
                    f"This session has lasted {limits.session:.0f} s, which is its limit.",
                    now,
                )
            case _:
                self._give_up(
                    "CLIENT_MESSAGE_TIMEOUT",
                    f"Nothing came from the client for {limits.silence:.0f} s; send KeepAlive while there is no audio.",
                    now,
                )

    def reply_is_slow(self, waited: float) -> None:
        """The model has been silent for so long (seconds) although it is to reply."""
        self._context.tell(events.warning("SLOW_THINK_REQUEST", f"The model has not replied for {waited:.0f} s."))

    def calls_due(self, now: float) -> None:
        """The client has not answered function calls in time."""
        for call in self._context.calls.overdue(now):
            self._answer(call, "FUNCTION_CALL_TIMEOUT", now)

    def manual_turn_due(self, now: float) -> None:
        """Audio of a turn that the gateway ends may have stopped coming."""
        assert self._manual_turns is not None
        self._manual_turns.due(now)

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
                self._force_end_turn(now)
            case CustomToThinkProvider():
                self._context.tell_once(
                    events.warning("CUSTOM_MESSAGE_IGNORED", "The upstream takes no `__customToThinkProvider`.")
                )
            case _ if message.type in events.ACKNOWLEDGEMENTS:
                self._accept_configuration(message.wire(), now)
            case _:
                self._accept_response(message.wire(), now)

    def _settings(self, message: Settings, now: float) -> None:
        context = self._context
        dialect = context.dialect
        repeated = self._settings_seen
        if repeated and not dialect.settings_may_repeat:
            raise ClientProtocolError("SETTINGS_ALREADY_APPLIED", "Settings were sent before; use the Update messages.")
        formats = self._checked_formats(message)
        request = self._accept_configuration(message.wire(), now, repeated=repeated)
        self._formats.declare(request.seq, formats)
        self._force_end_turn(now)
        self._manual_turns = (
            ManualTurns(context, formats.input.encoding, self._observe) if message.manual_audio_commit else None
        )
        if not repeated:
            self._settings_seen = True
            self._greeting = message.greeting
            context.downlink.show_history(message.history_enabled)

    def _checked_formats(self, message: Settings) -> Formats:
        declared, wanted = message.input_audio, message.output_audio
        check_input(declared.encoding, declared.sample_rate)
        check_output(wanted.encoding, wanted.sample_rate, wanted.container)
        # The audio that waits for the session is in the upstream's format already.
        waiting = None if self._context.configured or self._audio is None else self._audio.format
        if waiting is not None and speaks_differently(waiting, declared):
            raise ClientProtocolError(
                INVALID_SETTINGS,
                f"Settings: `audio.input.encoding` cannot change from {waiting.encoding} to {declared.encoding} while "
                "audio waits for the first SettingsApplied.",
                "audio.input.encoding",
            )
        return Formats(declared, wanted)

    def _force_end_turn(self, now: float) -> None:
        """The client says that the user's turn is over; nothing happens when there is none."""
        if self._manual_turns is not None:
            self._manual_turns.end_turn(now)
        else:
            self._turns.force_commit()

    def _function_call_response(self, message: FunctionCallResponse, now: float) -> None:
        context = self._context
        call = context.calls.find(message.id, message.name)
        if call is None:
            if context.calls.late(message.id):
                return
            known = message.id or message.name or "it"
            context.tell(
                events.warning("UNKNOWN_FUNCTION_CALL", f"No function call waits for {known}; the result was not used.")
            )
            return
        self._accept_response({**message.wire(), "id": call.id, "name": call.name}, now)
        context.calls.answered(call)
        context.tell(*context.downlink.function_call_taken(call.id, message.output))

    def _inject_agent_message(self, message: InjectAgentMessage, now: float) -> None:
        context = self._context
        if (reason := self._why_not_now(message)) is not None:
            context.tell(events.injection_refused(reason))
            return
        self._accept_response(message.wire(), now, exclusive=True)
        if message.behavior == "interrupt":
            cancel_response(context, now)
            interrupt(context, now)
            context.tell(*context.downlink.end())

    def _why_not_now(self, message: InjectAgentMessage) -> str | None:
        """In whose turn these words would come; None when they may."""
        turn = self._context.turn
        if message.behavior == "interrupt":
            return None
        if turn.user_speaking:
            return "The user is speaking."
        if message.behavior == "queue":
            return None
        if turn.slot is Slot.UNCONFIGURED:
            return "The session is not configured yet."
        if turn.slot is not Slot.IDLE or self._context.requests.open(Kind.RESPONSE):
            return "The agent is in the middle of a turn."
        return None

    # --- accepting and refusing

    def _accept_configuration(self, message: dict[str, Any], now: float, *, repeated: bool = False) -> Request:
        acknowledgement = events.ACKNOWLEDGEMENTS[message["type"]]
        return self._context.accept(
            Kind.CONFIGURATION, message, now, acknowledgement=acknowledgement, repeated=repeated
        )

    def _accept_response(
        self, message: dict[str, Any], now: float, *, exclusive: bool = False, own: bool = False
    ) -> None:
        self._context.accept(Kind.RESPONSE, message, now, exclusive=exclusive, own=own)

    def _check_before_settings(self, message: ClientMessage) -> None:
        if message.type not in self._context.dialect.messages_before_settings:
            raise ClientProtocolError(
                "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", f"{message.type} came before Settings; send Settings first."
            )

    def _give_up(self, code: str, description: str, now: float) -> None:
        self._context.tell(*self._context.downlink.last_words(code, now))
        self._context.tell_error(code, description)
        self._context.end(_DO_NOT_RETRY, code)

    def _refuse(self, code: str, description: str) -> None:
        context = self._context
        context.tell_error(code, description)
        if context.dialect.ends_on_bad_start and not self._settings_seen:
            context.end(_DO_NOT_RETRY, code)
