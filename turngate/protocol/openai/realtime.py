"""The upstream protocol: the OpenAI Realtime API (GA), as far as this server reads and writes it.

Server events come in through `parse_server_event`, client events are built by the functions at the end. Other servers
that speak this protocol leave fields out, put the error's code elsewhere or use older event names; all of that is
absorbed here, so that nothing behind this module knows of it. What is optional never makes an event unreadable: a
``response.done`` that got lost would leave the turn occupied.

A model has a field only if somebody reads it. Times are in milliseconds, as on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import pybase64
from pydantic import BeforeValidator, Field, ValidationError

from turngate.protocol.openai.lenient import Many, Maybe, Part

#: The metadata key under which a ``response.create`` carries its ``event_id``: the only thing that comes back.
REQUEST_KEY = "turngate"

ACTIVE_RESPONSE = "conversation_already_has_active_response"
CANCEL_NOT_ACTIVE = "response_cancel_not_active"
VOICE_LOCKED = "cannot_update_voice"
COMMIT_EMPTY = "input_audio_buffer_commit_empty"

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
    type: str | None = None
    code: str | None = None
    message: Annotated[str, BeforeValidator(lambda value: "" if value is None else value)] = ""
    param: str | None = None
    #: The ``event_id`` of the client event that was refused; the outer one is the server's own.
    event_id: str | None = None

    @property
    def known_code(self) -> str:
        """The code, wherever this server put it: in ``code``, in how the message begins, or in ``type``."""
        if self.code:
            return self.code
        message = self.message.casefold()
        recognised = next((code for beginning, code in _CODE_BY_MESSAGE if message.startswith(beginning)), None)
        return recognised or self.type or "unknown_error"


class ContentPart(Part):
    type: str = ""
    text: str | None = None
    transcript: str | None = None
    name: str | None = None
    arguments: str | None = None


class Item(Part):
    """A conversation item: ``message``, ``function_call``, ``function_call_output``, or a kind nobody here reads."""

    id: str | None = None
    type: str = "message"
    role: str | None = None
    status: str | None = None
    content: Many[ContentPart] = ()
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class StatusDetails(Part):
    """Why a response ended as it did: ``reason`` for cancelled and incomplete ones, ``error`` for failed ones."""

    reason: str | None = None
    error: Maybe[ErrorDetail] = None


class Response(Part):
    id: str
    status: str | None = None
    status_details: Maybe[StatusDetails] = None
    conversation_id: str | None = None
    metadata: Maybe[dict[str, Any]] = None
    output: Many[Item] = ()

    @property
    def is_default(self) -> bool:
        """False for an out-of-band response: its ``conversation_id`` is null. Absent is not null: it means default."""
        return self.conversation_id is not None or "conversation_id" not in self.model_fields_set

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

    event_id: str | None = None


class SessionCreated(Event):
    type: Literal["session.created"]
    session: dict[str, Any]


class SessionUpdated(Event):
    type: Literal["session.updated"]
    #: The full effective configuration.
    session: dict[str, Any]


class UpstreamError(Event):
    type: Literal["error"]
    error: ErrorDetail

    @property
    def code(self) -> str:
        return self.error.known_code


class SpeechStarted(Event):
    type: Literal["input_audio_buffer.speech_started"]
    item_id: str | None = None
    #: From the start of the session's audio, prefix padding included.
    audio_start_ms: int | None = None


class SpeechStopped(Event):
    type: Literal["input_audio_buffer.speech_stopped"]
    item_id: str | None = None
    audio_end_ms: int | None = None


class AudioCommitted(Event):
    type: Literal["input_audio_buffer.committed"]
    item_id: str | None = None


class IdleTimeout(Event):
    """The user was silent for the idle timeout: the upstream commits the silence as a turn and responds to it by
    itself, whoever owns the user's turns."""

    type: Literal["input_audio_buffer.timeout_triggered"]
    item_id: str | None = None


class ItemAdded(Event):
    type: Literal["conversation.item.added", "conversation.item.created"]
    item: Item


class ItemDone(Event):
    type: Literal["conversation.item.done"]
    item: Item


class ResponseCreated(Event):
    type: Literal["response.created"]
    response: Response


class ResponseDone(Event):
    """The one true end of a response, whatever its status."""

    type: Literal["response.done"]
    response: Response


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
    content_index: int = 0


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
    arguments: str


class InputTranscriptionDelta(Event):
    type: Literal["conversation.item.input_audio_transcription.delta"]
    item_id: str
    delta: str = ""


class InputTranscriptionCompleted(Event):
    type: Literal["conversation.item.input_audio_transcription.completed"]
    item_id: str
    transcript: str


class InputTranscriptionFailed(Event):
    type: Literal["conversation.item.input_audio_transcription.failed"]
    item_id: str
    error: ErrorDetail = Field(default_factory=ErrorDetail)


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


def session_update(session: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Change the session; ``session`` holds only what changes, and ``type``."""
    return {"type": "session.update", "event_id": event_id, "session": session}


def item_create(item: dict[str, Any], event_id: str, previous: str | None = None) -> dict[str, Any]:
    """Add an item at the end of the conversation, or after the item with the id ``previous``."""
    event = {"type": "conversation.item.create", "event_id": event_id, "item": item}
    return event if previous is None else event | {"previous_item_id": previous}


def response_create(response: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Ask for a response; its metadata carries ``event_id``, so that `Response.request_id` finds it again."""
    metadata = {**(response.get("metadata") or {}), REQUEST_KEY: event_id}
    return {"type": "response.create", "event_id": event_id, "response": {**response, "metadata": metadata}}


def response_cancel(response_id: str | None, event_id: str) -> dict[str, Any]:
    """Cancel a response; None stands for the default conversation's active one."""
    event = {"type": "response.cancel", "event_id": event_id}
    return event if response_id is None else event | {"response_id": response_id}


def commit_audio(event_id: str) -> dict[str, Any]:
    """End the user's audio turn by hand. No response follows by itself."""
    return {"type": "input_audio_buffer.commit", "event_id": event_id}


def item_truncate(item_id: str, audio_end_ms: int, event_id: str) -> dict[str, Any]:
    """Keep only the first ``audio_end_ms`` milliseconds of an assistant's spoken item, the part that was heard. The
    upstream removes its transcript, which says more."""
    part = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
    return {"type": "conversation.item.truncate", "event_id": event_id, **part}


def append_event(audio: bytes, event_id: str) -> dict[str, Any]:
    """`append_audio`, as an object: for audio that goes among other events."""
    return {"type": "input_audio_buffer.append", "event_id": event_id, "audio": pybase64.b64encode_as_string(audio)}


def append_audio(audio: bytes) -> bytes:
    """The JSON of an ``input_audio_buffer.append``, ready to send.

    ``audio`` is in the session's input format, 16-bit little-endian mono PCM at 24 kHz where none was chosen; the
    upstream takes at most 15 MiB at once.
    """
    return b'{"type":"input_audio_buffer.append","audio":"' + pybase64.b64encode(audio) + b'"}'
