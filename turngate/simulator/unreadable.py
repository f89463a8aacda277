"""Malformed shapes of ``response.done`` that servers have sent, or may send: each has one value of a wrong type, or is
no JSON. None of them changes what the event means at least: that this response is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import orjson

from turngate.simulator.frames import Event

#: From a healthy event to the frame that is sent in its place.
Shape = Callable[[Event], bytes]
_MESSAGE: dict[str, Any] = {"id": "item_x", "type": "message", "role": "assistant", "status": "completed"}


def _response(**fields: Any) -> Shape:
    # Not with orjson, which does not write what is nested deeply.
    return lambda event: json.dumps({**event, "response": {**event["response"], **fields}}).encode()


def _output(*items: Any) -> Shape:
    return _response(output=list(items))


def _lone_surrogate(event: Event) -> bytes:
    content = [{"type": "output_audio", "transcript": "\ud83d"}]
    return json.dumps(
        {**event, "response": {**event["response"], "output": [{**_MESSAGE, "content": content}]}}
    ).encode()


def _without(name: str) -> Shape:
    def without(event: Event) -> bytes:
        return orjson.dumps(
            {**event, "response": {key: value for key, value in event["response"].items() if key != name}}
        )

    return without


def _cut_off(*, keeps: float) -> Shape:
    def cut(event: Event) -> bytes:
        frame = orjson.dumps(event)
        return frame[: round(len(frame) * keeps)]

    return cut


def _instead(response: Any) -> Shape:
    return lambda event: orjson.dumps({**event, "response": response})


def _no_response(event: Event) -> bytes:
    return orjson.dumps({"type": event["type"], "event_id": event["event_id"]})


def _nested(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = {"a": value}
    return value


def _written_badly(value: str) -> Shape:
    """With a value that is not JSON."""

    def write(event: Event) -> bytes:
        frame = orjson.dumps({**event, "response": {**event["response"], "usage": "?"}})
        return frame.replace(b'"?"', value.encode())

    return write


SHAPES: tuple[Shape, ...] = (
    _lone_surrogate,
    _output({"id": "item_x", "type": "function_call", "call_id": "call_x", "name": "f", "arguments": {"city": "Oslo"}}),
    _output({**_MESSAGE, "content": [{"type": None, "transcript": "x"}]}),
    _output({**_MESSAGE, "content": None}),
    _output({**_MESSAGE, "content": "text"}),
    _output({**_MESSAGE, "content": [None, 1, "x"]}),
    _output({**_MESSAGE, "role": 7, "status": ["completed"]}),
    _output(None, 1, "x"),
    _response(output=None),
    _response(output={}),
    _response(status_details={"type": "completed", "error": {"code": "x", "message": "y", "param": {"a": 1}}}),
    _response(status_details={"error": "text"}),
    _response(status_details=["failed"]),
    _response(usage="many"),
    _response(usage={"total_tokens": "12", "input_tokens": None}),
    _response(metadata=[]),
    _response(metadata={"a": 1}),
    _without("id"),
    _without("status"),
    _response(conversation_id=5),
    _response(id=["resp"]),
    _response(status={"type": "completed"}),
    _response(status_details={"error": {"code": ["x"], "message": {"a": 1}, "type": None}}),
    _output({"id": "item_x", "type": "function_call", "call_id": 7, "name": None, "arguments": _nested(1, 300)}),
    _output(_nested({"id": "item_x"}, 500)),
    _written_badly("NaN"),
    _written_badly("-Infinity"),
    _written_badly("9" * 5_000),
    _written_badly('"\\udc00", "big": ' + "9" * 30),
    _written_badly("[" * 2_000 + "]" * 2_000),
    _written_badly("'many'"),
    lambda event: b"\xef\xbb\xbf" + orjson.dumps(event),
    lambda event: orjson.dumps(event) * 2,
    _instead(None),
    _instead(["resp"]),
    _no_response,
    _cut_off(keeps=0.95),
    _cut_off(keeps=0.5),
    _cut_off(keeps=0.1),
)
