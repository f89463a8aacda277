"""The page about both protocols, made from the code's own routes: it cannot drift from them.

``python -m tools.docs.protocol`` prints it; `make docs` writes it to docs/protocol.md, and `make check` compares.
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

Clients speak Deepgram's Voice Agent protocol, in one of two dialects chosen by path; the upstream speaks the OpenAI
Realtime API. What a client asks that needs a free turn waits for one ([turn.md](turn.md)). Where this is not what
Deepgram's service or a component's own server would do: [differences.md](differences.md).
"""
_CLIENT = """\
## What a client may send

Before its first `Settings` a client may send what is marked as such; anything else is the error
`NON_SETTINGS_MESSAGE_BEFORE_SETTINGS`. The answer comes when the upstream has confirmed the change. Binary frames are
audio in the declared format, whatever their bytes.
"""
_UPSTREAM = """\
## What the upstream sends

The columns of the clients say what an event makes the gateway send if it is the first to say it: every text, every
function call, every `AgentStartedSpeaking` and every end of a reply is told once, whichever event brings it.

After `UserStartedSpeaking` nothing of the interrupted reply follows; just before it come the words that can have been
heard, where they were not told already: as much of the text as was heard of the audio. What was told in full before the
user spoke up stays told, and the model forgets what was not heard (`conversation.item.truncate`).

An event of an unknown type is counted (`turngate_unknown_events`), and its type is logged once.
"""
_SENT = """\
## What is sent to the upstream

In the order of the requests behind it; `session.update` and `response.create` only into a free turn.
"""
_FIELDS = """\
## Where the fields of `Settings` go

Found out by translating a message with the field and one without. A field that the upstream has nothing for is named in
a `Warning`, once; one that does not exist is an error that names it, or (on `/openai`) a `Warning`.
"""

_KEPT = "kept until its item comes, which may be without it"
#: What an event does beyond the client's messages.
_EFFECTS = {
    "session.created": "what was asked so far is published",
    "session.updated": "settles configuration; the first one opens the session",
    "error": "settles what it is about: a refused update, response, item or cancellation",
    "input_audio_buffer.speech_started": "cuts what is being played: `conversation.item.truncate` at what was heard",
    "input_audio_buffer.speech_stopped": "the user's turn is no longer open",
    "input_audio_buffer.committed": "the slot is promised to the upstream's own response, or a response is asked for",
    "input_audio_buffer.timeout_triggered": "the upstream is about to respond by itself",
    "conversation.item.added": "the item is in the conversation: a later response knows it",
    "conversation.item.created": "as `conversation.item.added` (older name)",
    "conversation.item.done": "as `conversation.item.added`",
    "response.created": "takes the slot; settles what it answers",
    "response.output_item.added": "the item belongs to that response",
    "response.output_text.done": _KEPT,
    "response.output_audio_transcript.done": _KEPT,
    "response.function_call_arguments.done": _KEPT,
    "response.output_audio.done": "the reply ends here if its response is over",
    "response.done": "frees the slot, and nothing else does; voids the calls of a cancelled response",
}
#: What makes this server send each client event.
SENT_EVENTS: dict[str, str] = {
    "session.update": "`Settings` and the `Update` messages: what they change, merged; one is in flight at a time",
    "input_audio_buffer.append": "the user's audio, in the upstream's format",
    "input_audio_buffer.commit": "`ForceEndTurn`; the end of the user's turn with `useOpenAIManualAudioCommit`",
    "conversation.item.create": "`InjectUserMessage`, a function's result, an earlier conversation",
    "conversation.item.truncate": "the user or an `InjectAgentMessage` interrupts: the model keeps what was heard",
    "response.create": "what wants an answer that the upstream does not give by itself; its metadata names the request",
    "response.cancel": "an `InjectAgentMessage` interrupts, the user does with `useOpenAIManualAudioCommit`, or "
    "another response was faster",
}
_RESPONSE = {"response_id": "r", "item_id": "i", "content_index": 0, "output_index": 0}
_TEXT = [{"type": "output_text", "text": "x"}]
_WORDS = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": _TEXT}
_CALL = {"id": "c", "type": "function_call", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}"}
_USER = {"item_id": "u", "content_index": 0}
#: One event of each type that can mean something to a client, after a response ``r`` has begun.
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
    parts = [_HEAD, _CLIENT, *_table(("message", "may come first", "what it does", "answer"), _client_rows())]
    columns = ("event", "turn and requests", *(f"client on `{path}`" for path in DIALECTS))
    parts += ["", _UPSTREAM, *_table(columns, _upstream_rows())]
    parts += ["", _SENT, *_table(("event", "what for"), _sent_rows())]
    parts += ["", _FIELDS, *_table(("field", "goes to"), ((f"`{path}`", what) for path, what in field_rows())), ""]
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
                *(_told(kind, dialect) for dialect in DIALECTS.values()),
            )


def _sent_rows() -> Iterator[tuple[str, ...]]:
    not_sent = {kind: f"not sent: {why}" for kind, why in UNSENT_EVENTS.items()}
    for kind, what in sorted((SENT_EVENTS | not_sent).items()):
        yield f"`{kind}`", what


def _told(kind: str, dialect: Dialect) -> str:
    if "audio.delta" in kind:
        return "`AgentStartedSpeaking`, and the audio"
    current = _current(kind)
    downlink = Downlink(dialect)
    for event in (
        {"type": "response.created", "response": {"id": "r", "conversation_id": "c"}},
        {"type": "response.output_item.added", "response_id": "r", "item": {"id": "i", "type": "message"}},
    ):
        _hand(downlink, event)
    told = _hand(downlink, {"type": current, **_SAMPLES.get(current, {})}) if current in _SAMPLES else []
    return ", ".join(dict.fromkeys(f"`{message['type']}`" for message in told))


def _current(kind: str) -> str:
    """The name of today for one from before the API was generally available."""
    return kind.replace("response.audio", "response.output_audio").replace("response.text", "response.output_text")


def _hand(downlink: Downlink, data: dict[str, Any]) -> list[dict[str, Any]]:
    event = parse_server_event(data)
    assert event is not None
    return downlink.handle(event, 0.0)


def _sentence(doc: str | None) -> str:
    """The first paragraph of a docstring, as a table shows it; what is raised is for programmers."""
    words = " ".join((doc or "").split("\n\n")[0].split()).replace("``", "`")
    return words.partition(" Raises ")[0]


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


if __name__ == "__main__":
    print(page(), end="")
