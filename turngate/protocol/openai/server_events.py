"""Server events of the OpenAI Realtime API (GA), as far as this server reads them.

Events come in through `parse_server_event`. Other servers that speak this protocol leave fields out, put the error's
code elsewhere or use older event names; all of that is absorbed here, so that nothing behind this module knows of it.
What is optional never makes an event unreadable: a
``response.done`` that got lost would leave the turn occupied.

A model has a field only if somebody reads it. Times are in milliseconds, as on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import pybase64
from pydantic import BeforeValidator, Field, ValidationError

from turngate.protocol.openai.client_events import REQUEST_KEY
from turngate.protocol.openai.errors import ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, VOICE_LOCKED
from turngate.protocol.openai.lenient import Integer, JsonText, Many, Maybe, Part, Text, TextOrEmpty, Texts, Whole

_CODE_BY_MESSAGE = (
    ("conversation already has an active response", ACTIVE_RESPONSE),
    ("cancellation failed", CANCEL_NOT_ACTIVE),
    ("cannot update a conversation's voice", VOICE_LOCKED),
)


class UpstreamProtocolError(Exception):
    """The upstream sent an event that does not fit its type. Count it and go on: one event is lost, no more."""

    def __init__(self, event_type: str, field: str, problem: str) -> None:
        super().__init__(f"{event_type}: {field}: {problem}")
        self.event_type = event_type
        self.field = field


class ErrorDetail(Part):
    type: Text = None
    code: Text = None
    message: TextOrEmpty = ""
    param: Text = None
    #: The ``event_id`` of the client event that was refused; the outer one is the server's own.
    event_id: Text = None

    @property
    def known_code(self) -> str:
        """The code, wherever this server put it: in ``code``, in how the message begins, or in ``type``."""
        if self.code:
            return self.code
        message = self.message.casefold()
        recognised = next((code for beginning, code in _CODE_BY_MESSAGE if message.startswith(beginning)), None)
        return recognised or self.type or "unknown_error"


def _error(value: Any) -> Any:
    return value if isinstance(value, dict | ErrorDetail) else {"message": value}


#: An error; where a server sends a text in its place, that is its message.
Error: TypeAlias = Annotated[ErrorDetail, BeforeValidator(_error)]


class ContentPart(Part):
    type: TextOrEmpty = ""
    text: Text = None
    transcript: Text = None
    name: Text = None
    arguments: JsonText = None


class Item(Part):
    """A conversation item: ``message``, ``function_call``, ``function_call_output``, or a kind nobody here reads."""

    id: Text = None
    type: TextOrEmpty = "message"
    role: Text = None
    status: Text = None
    content: Many[ContentPart] = ()
    call_id: Text = None
    name: Text = None
    arguments: JsonText = None


class StatusDetails(Part):
    """Why a response ended as it did: ``reason`` for cancelled and incomplete ones, ``error`` for failed ones."""

    reason: Text = None
    error: Annotated[ErrorDetail | None, BeforeValidator(lambda value: None if value is None else _error(value))] = None


class Response(Part):
    #: Empty where the server did not say.
    id: TextOrEmpty = ""
    status: Text = None
    status_details: Maybe[StatusDetails] = None
    conversation_id: Any = None
    metadata: Maybe[dict[str, Any]] = None
    output: Many[Item] = ()
    output_modalities: Texts = ()

    @property
    def is_default(self) -> bool:
        """False for an out-of-band response: its ``conversation_id`` is null. Absent is not null: it means default."""
        return self.conversation_id is not None or "conversation_id" not in self.model_fields_set

    @property
    def is_complete(self) -> bool:
        """It ran to its end: nothing of it was cut off."""
        return self.status in (None, "completed")

    @property
    def was_interrupted(self) -> bool:
        """The user's speech ended it."""
        return self.status_details is not None and self.status_details.reason == "turn_detected"

    @property
    def request_id(self) -> str | None:
        """The ``event_id`` of the ``response.create`` it answers; None when the server responds by itself."""
        value = (self.metadata or {}).get(REQUEST_KEY)
        return value if isinstance(value, str) else None


class Event(Part):
    """Base of the server events."""

    event_id: Text = None


class SessionCreated(Event):
    type: Literal["session.created"]
    session: Whole[dict[str, Any]] = Field(default_factory=dict)


class SessionUpdated(Event):
    type: Literal["session.updated"]
    #: The full effective configuration; empty where the server did not say.
    session: Whole[dict[str, Any]] = Field(default_factory=dict)


class UpstreamError(Event):
    type: Literal["error"]
    error: Error = Field(default_factory=ErrorDetail)

    @property
    def code(self) -> str:
        return self.error.known_code


class SpeechStarted(Event):
    type: Literal["input_audio_buffer.speech_started"]
    item_id: Text = None
    #: From the start of the session's audio, prefix padding included.
    audio_start_ms: Integer = None


class SpeechStopped(Event):
    type: Literal["input_audio_buffer.speech_stopped"]
    item_id: Text = None
    audio_end_ms: Integer = None


class AudioCommitted(Event):
    type: Literal["input_audio_buffer.committed"]
    item_id: Text = None


class IdleTimeout(Event):
    """The user was silent for the idle timeout: the upstream commits the silence as a turn and responds to it by
    itself, whoever owns the user's turns."""

    type: Literal["input_audio_buffer.timeout_triggered"]
    item_id: Text = None


class ItemAdded(Event):
    type: Literal["conversation.item.added", "conversation.item.created"]
    item: Item


class ItemDone(Event):
    type: Literal["conversation.item.done"]
    item: Item


class ResponseCreated(Event):
    type: Literal["response.created"]
    response: Whole[Response] = Field(default_factory=Response)


class ResponseDone(Event):
    """The one true end of a response, whatever its status."""

    type: Literal["response.done"]
    response: Whole[Response] = Field(default_factory=Response)


class OutputItemAdded(Event):
    type: Literal["response.output_item.added"]
    response_id: str
    item: Item


class OutputItemDone(Event):
    type: Literal["response.output_item.done"]
    response_id: str
    item: Item


class _Output(Event):
    response_id: str
    item_id: str


class OutputTextDelta(_Output):
    type: Literal["response.output_text.delta", "response.text.delta"]
    delta: str


class OutputTextDone(_Output):
    type: Literal["response.output_text.done", "response.text.done"]
    text: str


class OutputAudioDone(_Output):
    type: Literal["response.output_audio.done", "response.audio.done"]


class OutputAudioTranscriptDelta(_Output):
    type: Literal["response.output_audio_transcript.delta", "response.audio_transcript.delta"]
    delta: str


class OutputAudioTranscriptDone(_Output):
    type: Literal["response.output_audio_transcript.done", "response.audio_transcript.done"]
    transcript: str


class FunctionCallArgumentsDone(Event):
    """Comes for interrupted responses too, with arguments that may be cut off: never a reason to run a function."""

    type: Literal["response.function_call_arguments.done"]
    response_id: str
    item_id: str
    call_id: str
    arguments: JsonText = None


class InputTranscriptionDelta(Event):
    type: Literal["conversation.item.input_audio_transcription.delta"]
    item_id: str
    delta: TextOrEmpty = ""


class InputTranscriptionCompleted(Event):
    type: Literal["conversation.item.input_audio_transcription.completed"]
    item_id: str
    transcript: TextOrEmpty = ""


class InputTranscriptionFailed(Event):
    type: Literal["conversation.item.input_audio_transcription.failed"]
    item_id: str
    error: Error = Field(default_factory=ErrorDetail)


@dataclass(frozen=True, slots=True)
class OutputAudioDelta:
    """One piece of the agent's audio. On the per-frame path, so not a model: nothing beyond its header is checked."""

    response_id: str
    item_id: str
    delta: str

    def pcm(self) -> bytes:
        """The audio: 16-bit little-endian mono PCM, 24 kHz. Raises `UpstreamProtocolError` for what is not base64."""
        try:
            return pybase64.b64decode(self.delta, validate=True)
        except (TypeError, ValueError) as error:
            raise UpstreamProtocolError("response.output_audio.delta", "delta", str(error)) from None


ServerEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | UpstreamError
    | SpeechStarted
    | SpeechStopped
    | AudioCommitted
    | IdleTimeout
    | ItemAdded
    | ItemDone
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | OutputTextDelta
    | OutputTextDone
    | OutputAudioDelta
    | OutputAudioDone
    | OutputAudioTranscriptDelta
    | OutputAudioTranscriptDone
    | FunctionCallArgumentsDone
    | InputTranscriptionDelta
    | InputTranscriptionCompleted
    | InputTranscriptionFailed
)


def _audio_delta(data: dict[str, Any]) -> OutputAudioDelta:
    try:
        return OutputAudioDelta(data["response_id"], data["item_id"], data["delta"])
    except KeyError as error:
        raise UpstreamProtocolError(data["type"], str(error.args[0]), "missing") from None


def _parsers() -> dict[str, Callable[[dict[str, Any]], ServerEvent]]:
    parsers: dict[str, Callable[[dict[str, Any]], ServerEvent]] = {
        "response.output_audio.delta": _audio_delta,
        "response.audio.delta": _audio_delta,
    }
    for model in ServerEvent.__args__:
        if model is not OutputAudioDelta:
            parsers |= dict.fromkeys(model.model_fields["type"].annotation.__args__, model.model_validate)
    return parsers


#: Every type that is read. A type that is not here is ignored, whether it is unknown or of no use to this server.
PARSERS = _parsers()


def parse_server_event(data: dict[str, Any]) -> ServerEvent | None:
    """Read one event of the upstream; None for a type that this server has no use for.

    Raises `UpstreamProtocolError`, which names the type and the field, when a known type does not fit.
    """
    event_type = data.get("type")
    parser = PARSERS.get(event_type) if isinstance(event_type, str) else None
    if parser is None:
        return None
    try:
        return parser(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UpstreamProtocolError(str(event_type), ".".join(map(str, first["loc"])), first["msg"]) from None
