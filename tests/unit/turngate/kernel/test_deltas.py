"""The scan of an event that has audio: it finds what reading the JSON finds, or nothing."""

from __future__ import annotations

from typing import Any

import orjson
import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import kernels
from turngate import kernel
from turngate.protocol.openai import server_events
from turngate.protocol.openai.server_events import OutputAudioDelta, read_audio_delta

#: As OpenAI sends it.
EVENT = {
    "type": "response.output_audio.delta",
    "event_id": "event_1",
    "response_id": "resp_1",
    "item_id": "item_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "AQIDBA==",
}
FOUND = ("resp_1", "item_1", b"AQIDBA==")


def scanned(frame: bytes) -> tuple[str, str, bytes] | None:
    return kernel.scan_delta(frame)


@kernels.compiled
def test_the_event_of_openai_is_scanned() -> None:
    assert scanned(orjson.dumps(EVENT)) == FOUND
    assert scanned(orjson.dumps({**EVENT, "obfuscation": "x", "more": None, "other": True, "third": False})) == FOUND
    assert scanned(orjson.dumps({**EVENT, "delta": ""})) == (*FOUND[:2], b"")


@kernels.compiled
@pytest.mark.parametrize(
    "other",
    [
        {"response_id": "ünïcode"},
        {"response_id": 'quo"te'},
        {"item_id": "back\\slash"},
        {"item_id": 3},
        {"delta": None},
        {"delta": ["AQID"]},
        {"more": {}},
        {"more": [1]},
        {"more": 1.5},
        {"more": -1},
        {"more": 10**18},
        {"\\": 1},
    ],
)
def test_what_is_written_in_another_way_is_left_to_the_reader_of_json(other: dict[str, Any]) -> None:
    assert scanned(orjson.dumps({**EVENT, **other})) is None


@kernels.compiled
@pytest.mark.parametrize("field", ["response_id", "item_id", "delta"])
def test_an_event_without_a_field_is_no_piece_of_audio(field: str) -> None:
    assert scanned(orjson.dumps({name: value for name, value in EVENT.items() if name != field})) is None


@kernels.compiled
@pytest.mark.parametrize("field", ["response_id", "item_id", "delta"])
def test_an_event_with_a_field_twice_is_left_to_the_reader_of_json(field: str) -> None:
    assert scanned(orjson.dumps(EVENT)[:-1] + b',"' + field.encode() + b'":"AQID"}') is None


@kernels.compiled
@pytest.mark.parametrize("wrong", ["01", "00", "tru", "nul", "", "1 ", "-", '"', '"a', '"a"b', "+1", "1e3"])
def test_what_is_no_json_is_not_scanned(wrong: str) -> None:
    frame = orjson.dumps(EVENT)
    assert scanned(frame.replace(b'"output_index":0', b'"output_index":' + wrong.encode())) is None


@kernels.compiled
def test_no_part_of_an_event_is_scanned() -> None:
    frame = orjson.dumps(EVENT)
    for end in range(len(frame)):
        assert scanned(frame[:end]) is None
    for more in (b" ", b"}", b",", b"\0"):
        assert scanned(frame + more) is None
    assert kernel.scan_delta(frame.decode()) is None  # type: ignore[arg-type]


def read_as_json(frame: bytes) -> OutputAudioDelta | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_events, "scan_delta", kernel.stand_ins.scan_delta)
        return read_audio_delta(frame)


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["resp_1", "item_1", "AQIDBA==", "AQID/+A=", "AQI=", "A===", "AB==", "\n"]),
    st.binary(max_size=30).map(pybase64.b64encode_as_string),
    st.integers(-(10**19), 10**19),
    st.sampled_from([None, True, 0.5, [], {}]),
)
NAMES = st.sampled_from(["type", "event_id", "response_id", "item_id", "delta", "x", "é"])


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """An event with other fields and values, some twice, and now and then with bytes that are replaced."""
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    fields = draw(st.permutations([*((name, value) for name, value in EVENT.items() if name != "type"), *fields]))
    written = b",".join(orjson.dumps(name) + b":" + orjson.dumps(value) for name, value in fields if _fits(value))
    frame = bytearray(b'{"type":"response.output_audio.delta",' + written + b"}")
    for at, byte in draw(st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)), max_size=1)):
        frame[at] = byte
    return bytes(frame)


def _fits(value: Any) -> bool:
    """Whether orjson writes it."""
    return not isinstance(value, int) or -(2**63) <= value < 2**64


@kernels.compiled
@given(frame=frames())
def test_what_is_scanned_is_what_is_read(frame: bytes) -> None:
    if scanned(frame) is not None:
        assert read_audio_delta(frame) == read_as_json(frame)
