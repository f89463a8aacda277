"""Text frames of the upstream, and what is read of those that are not quite JSON."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from turngate.protocol.openai.frames import read_frame


def test_a_frame_is_the_object_in_it() -> None:
    assert read_frame(b'{"type":"x","n":1}') == {"type": "x", "n": 1}


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        (rb'{"t":"cut \ud83d"}', {"t": "cut \ufffd"}),
        (rb'{"t":["\udc00",{"\ud83d":1.5}]}', {"t": ["\ufffd", {"\ufffd": 1.5}]}),
        ('{"t":"cut \ud83d"}', {"t": "cut \ufffd"}),
        (b'{"t":"\xff"}', {"t": "\ufffd"}),
    ],
)
def test_half_of_a_surrogate_pair_is_replaced(frame: bytes | str, data: dict[str, Any]) -> None:
    assert read_frame(frame) == data


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        (b'\xef\xbb\xbf{"n":1}', {"n": 1}),
        (b'{"n":NaN,"m":-Infinity}', {"n": None, "m": None}),
        (rb'{"t":"\ud83d","n":-7,"big":100000000000000000000}', {"t": "\ufffd", "n": -7, "big": 1e20}),
        (b'{"n":NaN,"huge":' + b"9" * 5_000 + b"}", {"n": None, "huge": float("inf")}),
    ],
)
def test_what_orjson_does_not_read_is_read_as_it_would_be(frame: bytes, data: dict[str, Any]) -> None:
    """Whatever is read can be written again."""
    read = read_frame(frame)
    assert read == data
    assert orjson.dumps(read)


@pytest.mark.parametrize("frame", [b"", b"[]", b"1", b'"x"', b"{", b'{"type":"response.created"', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match="the frame is no"):
        read_frame(frame)


@pytest.mark.parametrize(
    ("frame", "response"),
    [
        (
            b'{"type": "response.done", "response": {"object":"x","id": "resp_1", "output": [{"id": "it',
            {"id": "resp_1"},
        ),
        (
            b'{"type":"response.done","response":{"id":"resp_1","status":"cancelled","status_details":{"type":"cance',
            {"id": "resp_1", "status": "cancelled"},
        ),
        (b'{"type":"response.done","response":{"status":"failed","output":[{"id":"i"}],"id":"r"', {"status": "failed"}),
        (b'{"response":{"output":[{"id":"item_1"}],"id":"resp_1"},"type":"response.done",}', {}),
        (b'{"type":"response.done",', {}),
    ],
)
def test_of_a_response_done_that_is_no_json_the_end_is_read(frame: bytes, response: dict[str, Any]) -> None:
    assert read_frame(frame) == {"type": "response.done", "response": response}
