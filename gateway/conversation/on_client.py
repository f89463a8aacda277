"""Handles the client's messages: each is accepted as a request, answered at once, or refused with an error code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.audio.formats import Formats, speaks_differently
from gateway.conversation.barge_in import cancel_response, interrupt
from gateway.conversation.context import Context
from gateway.conversation.function_results import FunctionResults
from gateway.conversation.lifetime import Due
from gateway.conversation.user_audio import UserAudio
from gateway.conversation.user_turns import UserTurns
from gateway.timers import Timer
from gateway.turn.requests import Kind, Request, TooManyRequests
from gateway.turn.slot import PendingCreate
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
    UpdateListen,
    events,
    parse_client_message,
)
from turngate.protocol.deepgram.audio import check_input, check_output
from turngate.protocol.messages import Slot
from turngate.protocol.openai.server_events import ServerEvent

#: Close codes: 1000 tells a client not to try the same again, 1011 that it may.
_DO_NOT_RETRY = 1000


class ClientHandler:
    """Handles the messages of one conversation's client."""

    def __init__(self, context: Context, turns: UserTurns, observe: Callable[[ServerEvent, float], None]) -> None:
        """``observe`` handles the events that the upstream would send if its turn detection were on."""
        self._context = context
        self.function_results = FunctionResults(context)
        self.user_audio = UserAudio(context, turns, observe, self._refuse)
        self._settings_seen = False
        #: The newest ``Settings`` that was accepted.
        self._newest_settings: dict[str, Any] | None = None
        #: The client has returned, and may send its ``Settings`` again, as a program does that sees a ``Welcome``.
        self._may_repeat = False
        #: The greeting of the first Settings, until it was requested or sent.
        self._greeting: str | None = None
        #: The request for the greeting, until its response has ended.
        self._greeting_seq: int | None = None
        self._greeting_response: str | None = None

    def text(self, frame: bytes, now: float) -> None:
        """Handle one text frame, with any content."""
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
                    f"{len(context.requests)} requests of this session are waiting ({context.requests.bytes:,} bytes); "
                    "this one was not accepted.",
                )
            )

    def configured(self, now: float) -> None:
        """The first configuration is in force: request the greeting, or send it as text."""
        greeting, self._greeting = self._greeting, None
        if greeting is None:
            return
        context = self._context
        if context.dialect.speaks_greeting:
            # Own requests have a reserve, and Settings has just been settled, so there is room.
            words = {"type": "InjectAgentMessage", "message": greeting}
            self._greeting_seq = self._accept_response(words, now, exclusive=True, own=True).seq
            if context.limits.greeting_uninterruptible:
                self.user_audio.withhold()
        else:
            context.tell(*context.downlink.greeting(greeting))

    # --- another gateway

    @property
    def newest_settings(self) -> dict[str, Any] | None:
        """The newest ``Settings`` that was accepted."""
        return self._newest_settings

    def journaled(self) -> dict[str, Any]:
        """What is known of the client, but for its newest ``Settings``, for `take_up`."""
        return {
            "settings_seen": self._settings_seen,
            "greeting": self._greeting,
            "greeting_seq": self._greeting_seq,
            "greeting_response": self._greeting_response,
        }

    def take_up(self, journaled: Mapping[str, Any], settings: dict[str, Any] | None, now: float) -> None:
        """Go on for another gateway, whose open requests are there."""
        self._settings_seen, self._newest_settings = journaled["settings_seen"], settings
        self._greeting, self._greeting_seq = journaled["greeting"], journaled["greeting_seq"]
        self._greeting_response = journaled["greeting_response"]
        if self._greeting_seq is not None and self._context.requests.get(self._greeting_seq) is None:
            # It has been spoken, unless it is asked for again (`asked_again`).
            self._context.timers.set(Timer.GREETING, now)

    # --- the greeting

    def speech_started(self, start_ms: int | None, now: float) -> None:
        """The user speaks since this time of the connection's audio: audio must come, and a greeting that has not begun
        is not spoken any more."""
        self.user_audio.speech_started(start_ms, now)
        seq, context = self._greeting_seq, self._context
        if seq is None or context.limits.greeting_uninterruptible:
            return
        unheard = self._greeting_response is None or not context.downlink.replies.has_sounded(self._greeting_response)
        context.requests.settle([seq])
        self._greeting_seq = self._greeting_response = None
        if unheard:
            context.tell(
                events.warning("GREETING_NOT_SPOKEN", "The user spoke before the greeting began; it is not spoken.")
            )

    def response_began(self, response_id: str, create: PendingCreate) -> None:
        """A response that we asked for has begun."""
        if self._greeting_seq in create.responds:
            self._greeting_response = response_id

    def response_ended(self, response_id: str, now: float) -> None:
        """A response of the default conversation has ended."""
        if response_id == self._greeting_response:
            self._context.timers.set(Timer.GREETING, self._context.downlink.playout.ends_at(now))

    def asked_again(self, response_id: str, request: Request | None, now: float) -> None:
        """This response failed, or the connection was lost in the middle of it; ``request`` asks for it again, or for
        the rest of it; None if nothing is left to be said."""
        if response_id == self._greeting_response:
            if request is None:
                self.response_ended(response_id, now)
            else:
                self._greeting_seq, self._greeting_response = request.seq, None
                self._context.timers.clear(Timer.GREETING)

    def greeting_played(self, now: float) -> None:
        """The client has played the greeting, or there is none: the user may speak."""
        self._greeting_seq = self._greeting_response = None
        self.user_audio.let_go(now)

    # --- requests without effect, and timeouts

    def refused(self, request: Request, code: str, description: str, now: float, *, item_refused: bool = False) -> None:
        """Tell the client why this request, which was settled, has no effect. ``item_refused``: the upstream refused an
        item of it."""
        request.refused = code
        if request.kind is Kind.CONFIGURATION and not request.repeated and request.message["type"] == "Settings":
            # The next Settings is the first again, unless another one is open.
            self._settings_seen = any(other.message["type"] == "Settings" for other in self._context.requests)
            self._newest_settings = None
            self._greeting = None
        if request.seq == self._greeting_seq:
            self._context.timers.set(Timer.GREETING, 0)
        if request.continues:
            self._context.tell(*self._context.downlink.end())
        self.user_audio.withdraw(request.seq)
        self._refuse(code, description)
        if request.message["type"] == "FunctionCallResponse":
            self.function_results.refused(request, now, item_refused=item_refused)

    def time_is_up(self, due: Due, now: float) -> None:
        """The client sent nothing for too long, or the session has reached or almost reached its maximum duration."""
        context, limits = self._context, self._context.limits
        silence = limits.silence if context.dialect.sends_keep_alive else limits.component_silence
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
                    f"Nothing came from the client for {silence:.0f} s; send KeepAlive while there is no audio.",
                    now,
                )

    def reply_is_slow(self, waited: float) -> None:
        """The model has not started its reply for ``waited`` seconds: warn the client."""
        self._context.tell(events.warning("SLOW_THINK_REQUEST", f"The model has not replied for {waited:.0f} s."))

    # --- one rule per message

    def _route(self, message: ClientMessage, now: float) -> None:
        match message:
            case Settings():
                self._settings(message, now)
            case KeepAlive():
                pass
            case FunctionCallResponse():
                self.function_results.received(message, now)
            case InjectAgentMessage():
                self._inject_agent_message(message, now)
            case ForceEndTurn():
                self.user_audio.end_turn(now)
            case CustomToThinkProvider():
                self._context.tell_once(
                    events.warning("CUSTOM_MESSAGE_IGNORED", "The upstream takes no `__customToThinkProvider`.")
                )
            case UpdateListen():
                self._accept_configuration(message.wire(), now)
                self.user_audio.set_gap(message.listen.provider.eot_timeout_ms)
            case _ if message.type in events.ACKNOWLEDGEMENTS:
                self._accept_configuration(message.wire(), now)
            case _:
                self._accept_response(message.wire(), now)

    def returned(self) -> None:
        """The client has returned on another connection."""
        self._may_repeat = True

    def _settings(self, message: Settings, now: float) -> None:
        context = self._context
        dialect = context.dialect
        repeated = self._settings_seen
        again, self._may_repeat = self._may_repeat, False
        if again and message.wire() == self._newest_settings:
            # They are in force, or will be acknowledged when they are.
            if not any(request.message["type"] == "Settings" for request in context.requests):
                context.tell(events.acknowledgement("Settings"))
            return
        if repeated and not (dialect.settings_may_repeat or again):
            raise ClientProtocolError("SETTINGS_ALREADY_APPLIED", "Settings were sent before; use the Update messages.")
        formats = self._checked_formats(message)
        request = self._accept_configuration(message.wire(), now, repeated=repeated)
        self._newest_settings = request.message
        self.user_audio.declare(request.seq, formats)
        self.user_audio.set_gap(message.end_of_turn_timeout_ms)
        if not repeated:
            self._settings_seen = True
            self._greeting = message.greeting
            context.downlink.wording.show_history(message.history_enabled)

    def _checked_formats(self, message: Settings) -> Formats:
        declared, wanted = message.input_audio, message.output_audio
        check_input(declared.encoding, declared.sample_rate)
        check_output(wanted.encoding, wanted.sample_rate, wanted.container)
        # Audio that is kept for the session has been converted to the upstream's format.
        waiting = self.user_audio.keeps()
        if waiting is not None and speaks_differently(waiting, declared):
            raise ClientProtocolError(
                INVALID_SETTINGS,
                f"Settings: `audio.input.encoding` cannot change from {waiting.encoding} to {declared.encoding} while "
                "audio waits for the first SettingsApplied.",
                "audio.input.encoding",
            )
        return Formats(declared, wanted, message.manual_audio_commit)

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
        """Why this message is refused now (`InjectionRefused`); None if it is accepted."""
        turn = self._context.turn
        if message.behavior == "interrupt":
            return None
        if turn.user_speaking:
            return "The user is speaking."
        if message.behavior == "queue":
            return None
        if turn.slot is Slot.UNCONFIGURED:
            return "The session is not configured yet."
        if turn.slot is Slot.RECONNECTING:
            return "The connection to the model is being renewed."
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
    ) -> Request:
        return self._context.accept(Kind.RESPONSE, message, now, exclusive=exclusive, own=own)

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
