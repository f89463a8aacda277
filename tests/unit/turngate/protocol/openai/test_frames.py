"""Text frames of the upstream, and what is read of those that are not quite JSON."""

from __future__ import annotations

from typing import Any

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
        (b'{"response":{"output":[{"id":"item_1"}],"id":"resp_1"},"type":"response.done",}', {}),
        (b'{"type":"response.done",', {}),
    ],
)
def test_of_a_response_done_that_is_no_json_the_end_is_read(frame: bytes, response: dict[str, Any]) -> None:
    assert read_frame(frame) == {"type": "response.done", "response": response}
