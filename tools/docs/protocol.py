"""Generates docs/protocol.md from the routes of the gateway and the translator.

``python -m tools.docs.protocol`` prints the page, `make docs` writes it, and `make check` compares it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gateway.dialect import DIALECTS, Dialect
from gateway.downlink.downlink import Downlink
from tools.docs.fields import rows as field_rows
from translator.mapping.routes import ROUTES
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS
from turngate.protocol.deepgram.messages import ClientMessage
from turngate.protocol.openai.server_events import PARSERS, parse_server_event
from turngate.protocol.openai.unused_events import UNSENT_EVENTS, UNUSED_EVENTS

_HEAD = """\
# The two protocols

<!-- Made by `make docs` from the routes of the gateway and the translator. Do not edit. -->

Use this page to look up how turngate handles a message, an event, or a field of `Settings`. Clients use Deepgram's
Voice Agent protocol in one of two dialects, which the path selects; the upstream uses the OpenAI Realtime API. Requests
that need a free slot are held until it is free ([turn.md](turn.md)). [differences.md](differences.md) lists the
differences from Deepgram's service and from the component's own server.
"""
_CLIENT = """\
## Messages from clients

Before the first `Settings`, a client may send only the messages marked here; any other gets the error
`NON_SETTINGS_MESSAGE_BEFORE_SETTINGS`. An answer is sent when the upstream has confirmed the change. Binary frames are
audio in the declared format.
"""
_UPSTREAM = """\
## Events from the upstream

The client columns list the messages that the gateway sends for an event. Each text, function call,
`AgentStartedSpeaking` and end of a reply is sent once, for the first event that contains it.

After `UserStartedSpeaking`, nothing more of the interrupted reply is sent. If its text has not been sent yet, the part
that the user can have heard is sent just before: the same share of the text as of the audio. Text that was already sent
in full is not taken back. The part that was not heard is removed from the model's conversation
(`conversation.item.truncate`).

Events of unknown types are counted (`turngate_unknown_events_total`), and each type is logged once.
"""
_SENT = """\
## Events to the upstream

They are sent in the order of the requests they come from; `session.update` and `response.create` only while the slot is
free.
"""
_FIELDS = """\
## Fields of `Settings`

The effects are determined by translating a message with and without the field. A field without a counterpart upstream
is named in a `Warning`, once. An unknown field is an error that names it, or (on `/openai`) a `Warning`.
"""

_KEPT = "kept until its item arrives, which may lack it"
#: The effect of an event on the slot and on requests.
_EFFECTS = {
    "session.created": "the requests received so far are published",
    "session.updated": "settles configuration requests; the first one makes the slot free",
    "error": "settles the refused update, response, item or cancellation",
    "input_audio_buffer.speech_started": "stops playback: `conversation.item.truncate` at the position that was heard",
    "input_audio_buffer.speech_stopped": "the user's turn is no longer open",
    "input_audio_buffer.committed": "the slot is promised to the upstream's automatic response, or a response is "
    "requested",
    "input_audio_buffer.timeout_triggered": "the upstream is about to respond automatically",
    "conversation.item.added": "the item is in the conversation, and later responses include it",
    "conversation.item.created": "as `conversation.item.added` (older name)",
    "conversation.item.done": "as `conversation.item.added`",
    "response.created": "occupies the slot; settles the requests that it answers",
    "response.output_item.added": "the item belongs to that response",
    "response.output_text.done": _KEPT,
    "response.output_audio_transcript.done": _KEPT,
    "response.function_call_arguments.done": _KEPT,
    "response.output_audio.done": "ends the reply if its response has ended",
    "response.done": "frees the slot (no other event does); cancels the calls of a cancelled response",
}
#: When this server sends each client event.
SENT_EVENTS: dict[str, str] = {
    "session.update": "`Settings` and the `Update` messages, merged; at most one is in flight",
    "input_audio_buffer.append": "the user's audio, in the upstream's format",
    "input_audio_buffer.commit": "`ForceEndTurn`; the end of the user's turn with `useOpenAIManualAudioCommit`",
    "conversation.item.create": "`InjectUserMessage`, a function's result, an earlier conversation",
    "conversation.item.truncate": "the user or an `InjectAgentMessage` interrupts; the model keeps the part that was "
    "heard",
    "response.create": "a request that needs a response which the upstream does not create automatically; its metadata "
    "names the request",
    "response.cancel": "an `InjectAgentMessage` interrupts, the user interrupts with `useOpenAIManualAudioCommit`, or "
    "another response started first",
}
_RESPONSE = {"response_id": "r", "item_id": "i", "content_index": 0, "output_index": 0}
_TEXT = [{"type": "output_text", "text": "x"}]
_WORDS = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": _TEXT}
_CALL = {"id": "c", "type": "function_call", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}"}
_USER = {"item_id": "u", "content_index": 0}
#: A sample event of each type that can cause a message to the client, during a response ``r``.
_SAMPLES: dict[str, dict[str, Any]] = {
    "error": {"error": {"type": "server_error", "message": "x"}},
    "input_audio_buffer.speech_started": {"item_id": "u"},
    "input_audio_buffer.speech_stopped": {"item_id": "u"},
    "conversation.item.input_audio_transcription.delta": {**_USER, "delta": "x"},
    "conversation.item.input_audio_transcription.completed": {**_USER, "transcript": "x"},
    "conversation.item.input_audio_transcription.failed": {**_USER, "error": {}},
    "response.created": {"response": {"id": "s", "conversation_id": "c"}},
    "response.output_item.done": {"response_id": "r", "item": _CALL},
    "conversation.item.done": {"item": {**_WORDS}},
    "response.output_text.delta": {**_RESPONSE, "delta": "x"},
    "response.output_audio_transcript.delta": {**_RESPONSE, "delta": "x"},
    "response.done": {"response": {"id": "r", "status": "completed", "conversation_id": "c", "output": [_WORDS]}},
}


def page() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD, _CLIENT, *_table(("message", "before `Settings`", "effect", "answer"), _client_rows())]
    columns = ("event", "slot and requests", *(f"client on `{path}`" for path in DIALECTS))
    parts += ["", _UPSTREAM, *_table(columns, _upstream_rows())]
    parts += ["", _SENT, *_table(("event", "sent for"), _sent_rows())]
    parts += ["", _FIELDS, *_table(("field", "effect"), ((f"`{path}`", what) for path, what in field_rows())), ""]
    return "\n".join(parts)


def _client_rows() -> Iterator[tuple[str, ...]]:
    for model in ClientMessage.__args__:
        name = model.model_fields["type"].default
        allowed = [f"`{path}`" for path, dialect in DIALECTS.items() if name in dialect.messages_before_settings]
        before = "yes" if name == "Settings" or len(allowed) == len(DIALECTS) else ", ".join(allowed)
        answer = f"`{ACKNOWLEDGEMENTS[name]}`" if name in ACKNOWLEDGEMENTS else ""
        yield f"`{name}`", before, _sentence(ROUTES.get(model, model).__doc__), answer


def _upstream_rows() -> Iterator[tuple[str, ...]]:
    for kind in sorted({*PARSERS, *UNUSED_EVENTS}):
        if kind in UNUSED_EVENTS:
            yield f"`{kind}`", f"not used: {UNUSED_EVENTS[kind]}", "", ""
        else:
            yield (
                f"`{kind}`",
                _EFFECTS.get(_current(kind), ""),
                *(_messages(kind, dialect) for dialect in DIALECTS.values()),
            )


def _sent_rows() -> Iterator[tuple[str, ...]]:
    not_sent = {kind: f"not sent: {why}" for kind, why in UNSENT_EVENTS.items()}
    for kind, what in sorted((SENT_EVENTS | not_sent).items()):
        yield f"`{kind}`", what


def _messages(kind: str, dialect: Dialect) -> str:
    if "audio.delta" in kind:
        return "`AgentStartedSpeaking`, and the audio"
    current = _current(kind)
    downlink = Downlink(dialect)
    for event in (
        {"type": "response.created", "response": {"id": "r", "conversation_id": "c"}},
        {"type": "response.output_item.added", "response_id": "r", "item": {"id": "i", "type": "message"}},
    ):
        _handle(downlink, event)
    sent = _handle(downlink, {"type": current, **_SAMPLES.get(current, {})}) if current in _SAMPLES else []
    return ", ".join(dict.fromkeys(f"`{message['type']}`" for message in sent))


def _current(kind: str) -> str:
    """The current name of an event; some have another one from before GA."""
    return kind.replace("response.audio", "response.output_audio").replace("response.text", "response.output_text")


def _handle(downlink: Downlink, data: dict[str, Any]) -> list[dict[str, Any]]:
    event = parse_server_event(data)
    assert event is not None
    return downlink.handle(event, 0.0)


def _sentence(doc: str | None) -> str:
    """The first paragraph of a docstring for a table, without what it says about exceptions."""
    words = " ".join((doc or "").split("\n\n")[0].split()).replace("``", "`")
    return words.partition(" Raises ")[0]


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


if __name__ == "__main__":
    print(page(), end="")
