"""Parsing of upstream events from different servers, and the client events that we send."""

from __future__ import annotations

import base64
from typing import Any, get_args

import orjson
import pytest
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent

from tests import kernels
from tests.unit.schemas import accepted_by_openai
from tools.docs.protocol import SENT_EVENTS
from turngate import kernel
from turngate.protocol.openai import server_events
from turngate.protocol.openai.client_events import (
    append_audio,
    append_event,
    commit_audio,
    item_create,
    item_truncate,
    response_cancel,
    response_create,
    session_update,
)
from turngate.protocol.openai.errors import ACTIVE_RESPONSE, CANCEL_NOT_ACTIVE, VOICE_LOCKED
from turngate.protocol.openai.server_events import (
    PARSERS,
    Item,
    ItemAdded,
    OutputAudioDelta,
    OutputAudioTranscriptDelta,
    Response,
    ResponseDone,
    SpeechStarted,
    UpstreamError,
    UpstreamProtocolError,
    parse_server_event,
    read_audio_delta,
)
from turngate.protocol.openai.unused_events import UNSENT_EVENTS, UNUSED_EVENTS

#: Event names from before GA, which other servers still use.
OLDER = {
    "response.audio.delta",
    "response.audio.done",
    "response.audio_transcript.delta",
    "response.audio_transcript.done",
    "response.text.delta",
    "response.text.done",
}


def error(**fields: Any) -> UpstreamError:
    event = parse_server_event({"type": "error", "event_id": "event_1", "error": fields})
    assert isinstance(event, UpstreamError)
    return event


def done(**fields: Any) -> Response:
    event = parse_server_event({"type": "response.done", "response": {"id": "resp_1", **fields}})
    assert isinstance(event, ResponseDone)
    return event.response


def types_of(union: Any) -> set[str]:
    """The event types of a union in the official SDK."""
    return {get_args(model.model_fields["type"].annotation)[0] for model in get_args(get_args(union)[0])}


def test_every_server_event_of_the_sdk_is_parsed_or_listed_as_unused() -> None:
    assert set(PARSERS) - OLDER | set(UNUSED_EVENTS) == types_of(RealtimeServerEvent)
    assert not set(PARSERS) & set(UNUSED_EVENTS)


@pytest.mark.parametrize(
    "data", [{"type": kind} for kind in sorted(UNUSED_EVENTS)] + [{}, {"type": None}, {"type": ["x"]}]
)
def test_an_unused_event_is_none(data: dict[str, Any]) -> None:
    assert parse_server_event(data) is None


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"type": "response.output_audio.delta", "response_id": "r", "item_id": "i"}, "delta"),
        ({"type": "response.output_text.done", "response_id": "r", "item_id": {}, "text": "t"}, "item_id"),
        ({"type": "conversation.item.done", "item": "none"}, "item"),
    ],
)
def test_the_error_for_a_malformed_event_names_type_and_field(data: dict[str, Any], field: str) -> None:
    with pytest.raises(UpstreamProtocolError) as caught:
        parse_server_event(data)
    assert (caught.value.event_type, caught.value.field) == (data["type"], field)
    assert str(caught.value).startswith(f"{data['type']}: {field}: ")


def test_older_event_names_are_accepted() -> None:
    item = {"id": "item_1", "type": "message", "role": "user", "content": None}
    created = parse_server_event({"type": "conversation.item.created", "item": item})
    assert isinstance(created, ItemAdded)
    assert created.item == Item(id="item_1", role="user")
    delta = {"type": "response.audio_transcript.delta", "response_id": "r", "item_id": "i", "delta": "hi"}
    assert isinstance(parse_server_event(delta), OutputAudioTranscriptDelta)


def test_optional_ids_and_times_may_be_missing() -> None:
    assert parse_server_event({"type": "input_audio_buffer.speech_started"}) == SpeechStarted(
        type="input_audio_buffer.speech_started"
    )


@pytest.mark.parametrize(
    "odd",
    [
        {"status": 3},
        {"status": {"value": "completed"}},
        {"status_details": "none"},
        {"status_details": {"reason": ["x"]}},
        {"status_details": {"error": "boom"}},
        {"status_details": {"error": {"param": {"path": "x"}}}},
        {"status_details": {"error": {"code": ["x"], "type": {}, "message": {}, "event_id": []}}},
        {"metadata": []},
        {"output": None},
        {"output": {}},
        {"output": ["item", None, {"content": [None, {"text": "hi"}]}]},
        {"output": [{"id": ["x"], "type": None, "role": {}, "status": [], "call_id": {}, "name": []}]},
        {"output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {"city": "Rome"}}]},
        {"output": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": None}]},
        {"output": [{"content": "words"}]},
        {"output": [{"content": [{"type": None, "text": "hi"}]}]},
        {"output": [{"content": [{"type": "audio", "transcript": {"text": "hi"}}]}]},
        {"output": [{"content": [{"type": "text", "text": ["hi"], "name": {}, "arguments": []}]}]},
        {"usage": {}},
        {"usage": "much"},
        {"conversation_id": {"id": "conv_1"}},
    ],
)
def test_a_response_done_is_read_whatever_its_optional_parts_are(odd: dict[str, Any]) -> None:
    response = done(**odd)
    assert response.id == "resp_1"
    assert response.is_default


@pytest.mark.parametrize("data", [{}, {"response": None}, {"response": "resp_1"}, {"response": {"id": None}}])
def test_a_response_done_without_an_id_is_still_the_end_of_a_response(data: dict[str, Any]) -> None:
    event = parse_server_event({"type": "response.done", **data})
    assert isinstance(event, ResponseDone)
    assert event.response.id == ""
    assert event.response.is_default


def test_arguments_that_are_no_text_are_written_as_json() -> None:
    assert Item.model_validate({"arguments": {"city": "Rome"}}).arguments == '{"city":"Rome"}'


def test_arguments_that_cannot_be_written_are_absent() -> None:
    nested: Any = 1
    for _ in range(300):
        nested = [nested]
    assert Item.model_validate({"arguments": nested}).arguments is None


@pytest.mark.parametrize(
    "data",
    [
        {"type": "session.created", "session": []},
        {"type": "session.updated"},
        {"type": "error"},
        {"type": "error", "error": None},
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": "soon", "item_id": {}},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 12.7},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": float("nan")},
        {"type": "input_audio_buffer.committed", "item_id": []},
        {"type": "response.created", "response": {"id": {}}},
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i", "transcript": None},
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": "i", "error": "noise"},
        {
            "type": "response.function_call_arguments.done",
            "response_id": "r",
            "item_id": "i",
            "call_id": "c",
            "arguments": [],
        },
    ],
    ids=lambda data: data["type"],
)
def test_what_is_optional_makes_no_event_unreadable(data: dict[str, Any]) -> None:
    assert parse_server_event(data) is not None


def test_an_error_that_is_a_text_is_its_message() -> None:
    event = parse_server_event({"type": "error", "error": "overloaded"})
    assert isinstance(event, UpstreamError)
    assert event.error.message == "overloaded"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"code": ACTIVE_RESPONSE, "type": "invalid_request_error", "message": "m"}, ACTIVE_RESPONSE),
        ({"code": None, "type": ACTIVE_RESPONSE, "message": "m"}, ACTIVE_RESPONSE),
        (
            {"type": "invalid_request_error", "message": "Conversation already has an active response in progress: r."},
            ACTIVE_RESPONSE,
        ),
        ({"code": None, "message": "Cancellation failed: no active response found"}, CANCEL_NOT_ACTIVE),
        ({"type": CANCEL_NOT_ACTIVE}, CANCEL_NOT_ACTIVE),
        ({"message": "Cannot update a conversation's voice if assistant audio is present."}, VOICE_LOCKED),
        ({"type": VOICE_LOCKED, "message": ""}, VOICE_LOCKED),
        ({"code": "invalid_value", "message": "Cancellation failed"}, "invalid_value"),
        ({"type": "server_error", "message": "oops"}, "server_error"),
        ({"code": 429}, "429"),
        ({"code": "x", "message": None}, "x"),
        ({}, "unknown_error"),
    ],
)
def test_known_code(fields: dict[str, Any], code: str) -> None:
    assert error(**fields).code == code


def test_the_inner_event_id_is_the_refused_client_events() -> None:
    assert error(code="x", event_id="evt_ours").error.event_id == "evt_ours"


@pytest.mark.parametrize(
    ("fields", "default"), [({"conversation_id": "conv_1"}, True), ({}, True), ({"conversation_id": None}, False)]
)
def test_only_an_explicit_null_makes_a_response_out_of_band(fields: dict[str, Any], default: bool) -> None:
    assert done(**fields).is_default is default


@pytest.mark.parametrize(
    ("metadata", "request_id"),
    [(None, None), ({}, None), ({"turngate": "evt_7"}, "evt_7"), ({"turngate": 7}, None), ({"other": "x"}, None)],
)
def test_request_id(metadata: Any, request_id: str | None) -> None:
    assert done(metadata=metadata).request_id == request_id


@pytest.fixture(params=[pytest.param(True, marks=kernels.compiled), False], ids=["scanned", "read as JSON"])
def scans(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled kernel, and without."""
    if not request.param:
        monkeypatch.setattr(server_events, "scan_delta", kernel.stand_ins.scan_delta)


DELTA = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": "AQIDBA=="}


@pytest.mark.usefixtures("scans")
def test_audio_is_read() -> None:
    expected = OutputAudioDelta("r", "i", b"\x01\x02\x03\x04")
    assert parse_server_event(DELTA) == expected
    assert parse_server_event({**DELTA, "type": "response.audio.delta"}) == expected
    assert read_audio_delta(orjson.dumps(DELTA)) == expected


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize("odd", [{"delta": "!"}, {"delta": None}, {"delta": 3}, {"response_id": ["r"]}, {"item_id": 1}])
def test_audio_that_cannot_be_read_is_a_protocol_error(odd: dict[str, Any]) -> None:
    (field,) = odd
    with pytest.raises(UpstreamProtocolError, match=rf"response\.output_audio\.delta: {field}: "):
        parse_server_event({**DELTA, **odd})
    assert read_audio_delta(orjson.dumps({**DELTA, **odd})) is None


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize(
    "frame",
    [
        orjson.dumps(DELTA)[:-1],
        b'{"type":"response.output_audio.done","response_id":"r"}',
        b'{"event_id":"e","type":"response.output_audio.delta"}',
    ],
)
def test_a_frame_that_is_no_plain_piece_of_audio_is_left_to_others(frame: bytes) -> None:
    assert read_audio_delta(frame) is None


WRITTEN = [
    session_update({"type": "realtime", "instructions": "Be brief."}, "evt_1"),
    item_create({"type": "function_call_output", "call_id": "c", "output": "1"}, "evt_1"),
    item_create({"type": "function_call_output", "call_id": "c", "output": "1"}, "evt_1", previous="root"),
    item_truncate("item_1", 200, "evt_1"),
    response_create({"instructions": "Say hi.", "metadata": {"a": "b"}}, "evt_1"),
    response_cancel("resp_1", "evt_1"),
    response_cancel(None, "evt_1"),
    commit_audio("evt_1"),
    append_event(b"\x00\x01\x02\x03", "evt_1"),
    orjson.loads(append_audio(b"\x00\x01\x02\x03")),
]


@pytest.mark.parametrize("event", WRITTEN, ids=lambda event: event["type"])
def test_our_client_events_are_valid_for_the_sdk(event: dict[str, Any]) -> None:
    accepted_by_openai(event)


def test_every_client_event_of_the_sdk_is_sent_or_listed_as_unsent() -> None:
    written = {event["type"] for event in WRITTEN}
    assert written | set(UNSENT_EVENTS) == types_of(RealtimeClientEvent)
    assert not written & set(UNSENT_EVENTS)
    assert written == set(SENT_EVENTS), "docs/protocol.md describes each of them"


def test_a_response_contains_the_id_of_its_request() -> None:
    asked = {"instructions": "Say hi.", "metadata": {"a": "b"}}
    event = response_create(asked, "evt_1")
    assert done(metadata=event["response"]["metadata"]).request_id == "evt_1"
    assert event["response"]["metadata"]["a"] == "b"
    assert asked == {"instructions": "Say hi.", "metadata": {"a": "b"}}, "the caller's object is not modified"
    assert response_create({}, "evt_2")["response"] == {"metadata": {"turngate": "evt_2"}}


def test_absent_optional_fields_are_not_sent() -> None:
    assert "previous_item_id" not in item_create({}, "evt_1")
    assert "response_id" not in response_cancel(None, "evt_1")


def test_append_audio() -> None:
    pcm = bytes(range(256)) * 4
    assert base64.b64decode(orjson.loads(append_audio(pcm))["audio"]) == pcm
