"""Server events of the OpenAI Realtime API (GA) that this server uses.

`parse_server_event` parses them. Other servers with this protocol omit fields, put the error code elsewhere or use
older event names; this module normalizes all of that. An invalid optional field never makes an event unreadable,
because a lost ``response.done`` would leave the slot occupied.

Models contain only the fields that are used. Times are in milliseconds, as on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

import orjson
import pybase64
from pydantic import BeforeValidator, Field, ValidationError

from turngate.kernel import scan_delta
from turngate.protocol.openai.client_events import REQUEST_KEY
from turngate.protocol.openai.errors import ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, VOICE_LOCKED
from turngate.protocol.openai.lenient import (
    Integer,
    JsonText,
    ObjectList,
    OptionalObject,
    Text,
    TextOrEmpty,
    Texts,
    UpstreamModel,
    Whole,
)

_CODE_BY_MESSAGE = (
    ("conversation already has an active response", ACTIVE_RESPONSE),
    ("cancellation failed", CANCEL_NOT_ACTIVE),
    ("cannot update a conversation's voice", VOICE_LOCKED),
)


class UpstreamProtocolError(Exception):
    """The upstream sent an event that does not match its type. The caller counts it and skips the event."""

    def __init__(self, event_type: str, field: str, problem: str) -> None:
        super().__init__(f"{event_type}: {field}: {problem}")
        self.event_type = event_type
        self.field = field


class ErrorDetail(UpstreamModel):
    type: Text = None
    code: Text = None
    message: TextOrEmpty = ""
    param: Text = None
    #: The ``event_id`` of the client event that was refused; the outer one is the server's own.
    event_id: Text = None

    @property
    def known_code(self) -> str:
        """The error code from ``code``, from the start of the message, or from ``type``, depending on the server."""
        if self.code:
            return self.code
        message = self.message.casefold()
        recognised = next((code for beginning, code in _CODE_BY_MESSAGE if message.startswith(beginning)), None)
        return recognised or self.type or "unknown_error"


def _error(value: Any) -> Any:
    return value if isinstance(value, dict | ErrorDetail) else {"message": value}


#: An error; where a server sends a text in its place, that is its message.
Error: TypeAlias = Annotated[ErrorDetail, BeforeValidator(_error)]


class ContentPart(UpstreamModel):
    type: TextOrEmpty = ""
    text: Text = None
    transcript: Text = None
    name: Text = None
    arguments: JsonText = None


class Item(UpstreamModel):
    """A conversation item: ``message``, ``function_call``, ``function_call_output``, or another type."""

    id: Text = None
    type: TextOrEmpty = "message"
    role: Text = None
    status: Text = None
    content: ObjectList[ContentPart] = ()
    call_id: Text = None
    name: Text = None
    arguments: JsonText = None


class StatusDetails(UpstreamModel):
    """The reason for a response's status: ``reason`` if cancelled or incomplete, ``error`` if failed."""

    reason: Text = None
    error: Annotated[ErrorDetail | None, BeforeValidator(lambda value: None if value is None else _error(value))] = None


class Response(UpstreamModel):
    #: Empty where the server did not say.
    id: TextOrEmpty = ""
    status: Text = None
    status_details: OptionalObject[StatusDetails] = None
    conversation_id: Any = None
    metadata: OptionalObject[dict[str, Any]] = None
    output: ObjectList[Item] = ()
    output_modalities: Texts = ()
    #: The tokens that it took.
    usage: OptionalObject[dict[str, Any]] = None

    @property
    def is_default(self) -> bool:
        """False for an out-of-band response, whose ``conversation_id`` is null. If it is absent, the result is True."""
        return self.conversation_id is not None or "conversation_id" not in self.model_fields_set

    @property
    def is_complete(self) -> bool:
        """It ran to its end: nothing of it was cut off."""
        return self.status in (None, "completed")

    @property
    def was_interrupted(self) -> bool:
        """Whether the user's speech interrupted the response."""
        return self.status_details is not None and self.status_details.reason == "turn_detected"

    @property
    def request_id(self) -> str | None:
        """The ``event_id`` of our ``response.create``; None if the server created the response automatically."""
        value = (self.metadata or {}).get(REQUEST_KEY)
        return value if isinstance(value, str) else None


class Event(UpstreamModel):
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
    """The user was silent for the idle timeout. The upstream commits the silence as a turn and responds to it
    automatically, also if the gateway owns turns."""

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
    """The end of a response, with any status. No other event ends a response."""

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
    """Also sent for interrupted responses, possibly with truncated arguments, so it must not start a function call."""

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


class OutputAudioDelta(NamedTuple):
    """A piece of the agent's audio. Not a pydantic model, because it is on the per-frame path."""

    response_id: str
    item_id: str
    #: In the session's output format: 16-bit little-endian mono PCM at 24 kHz where none was chosen.
    pcm: bytes


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
    for name in ("response_id", "item_id", "delta"):
        if not isinstance(data.get(name), str):
            raise UpstreamProtocolError(data["type"], name, "missing, or no text")
    try:
        pcm = pybase64.b64decode(data["delta"], validate=True)
    except ValueError as error:
        raise UpstreamProtocolError(data["type"], "delta", str(error)) from None
    return OutputAudioDelta(data["response_id"], data["item_id"], pcm)


#: How a frame with audio begins, as OpenAI writes it.
_DELTA = b'{"type":"response.output_audio.delta"'


def read_audio_delta(frame: bytes) -> OutputAudioDelta | None:
    """The audio in a frame; None for any other frame, and for one that is written in another way than OpenAI's: read
    that one with `read_frame`."""
    try:
        found = scan_delta(frame)
        if found is not None:
            response_id, item_id, delta = found
            # `OutputAudioDelta` itself would be a call in Python more.
            return tuple.__new__(OutputAudioDelta, (response_id, item_id, pybase64.b64decode(delta, validate=True)))
        return _audio_delta(orjson.loads(frame)) if frame.startswith(_DELTA) else None
    except (ValueError, UpstreamProtocolError):
        return None


def _parsers() -> dict[str, Callable[[dict[str, Any]], ServerEvent]]:
    parsers: dict[str, Callable[[dict[str, Any]], ServerEvent]] = {
        "response.output_audio.delta": _audio_delta,
        "response.audio.delta": _audio_delta,
    }
    for model in ServerEvent.__args__:
        if model is not OutputAudioDelta:
            parsers |= dict.fromkeys(model.model_fields["type"].annotation.__args__, model.model_validate)
    return parsers


#: A parser for each supported event type. Events of all other types are ignored.
PARSERS = _parsers()


def parse_server_event(data: dict[str, Any]) -> ServerEvent | None:
    """Parse one event of the upstream; returns None for a type that is not in `PARSERS`.

    Raises `UpstreamProtocolError`, which names the type and the field, if the event does not match its type.
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
