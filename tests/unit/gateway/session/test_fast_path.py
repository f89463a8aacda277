"""Audio past the queues: carried only where the queue's reader would do the same at this very moment."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pybase64
import pytest

from gateway.session.fast_path import FastPath
from tests.unit.gateway.bench import Bench

FRAME = b"\x01\x02" * 480


class Wire:
    """A connection below its queue, on a bench."""

    def __init__(self) -> None:
        self.carry: Callable[[bytes], bool] | None = None
        self.queued = 0
        self.blocked = False
        self.posted: list[bytes] = []

    def post(self, message: bytes, *, text: bool) -> None:
        self.posted.append(message)

    def brings(self, frame: bytes) -> bool:
        assert self.carry is not None
        return self.carry(frame)


class Line:
    """A configured session in the middle of a reply that sounds, with a fast path."""

    def __init__(self, bench: Bench | None = None) -> None:
        self.bench = bench or Bench().configured()
        self.client, self.upstream = Wire(), Wire()
        self.woken = 0
        self.failed: list[Exception] = []
        self.fast_path = FastPath(self.bench.conversation, self.client, self._wake, self.failed.append)
        self.fast_path.connect(self.upstream)
        self.fast_path.open = True
        self.bench.created("resp_1")
        self.bench.audio("resp_1", "item_1", 20)

    def _wake(self) -> None:
        self.woken += 1


def delta(response_id: object = "resp_1", item_id: str = "item_1", audio: str | None = None) -> bytes:
    said = pybase64.b64encode_as_string(FRAME) if audio is None else audio
    event = {"type": "response.output_audio.delta", "response_id": response_id, "item_id": item_id, "delta": said}
    return orjson.dumps(event)


def test_speech_goes_up_and_a_reply_goes_down() -> None:
    line = Line()
    assert line.client.brings(FRAME)
    assert orjson.loads(line.upstream.posted[0])["audio"] == pybase64.b64encode_as_string(FRAME)
    assert line.upstream.brings(delta())
    assert line.client.posted == [FRAME]
    (cut,) = line.bench.conversation.downlink.playout.cut(line.bench.now)
    assert cut.forwarded_ms == 40, "what can have been heard is known as ever"


def _closed(line: Line) -> None:
    line.fast_path.open = False


def _unread(line: Line) -> None:
    line.client.queued = line.upstream.queued = 1


def _blocked(line: Line) -> None:
    line.client.blocked = line.upstream.blocked = True


@pytest.mark.parametrize("state", [_closed, _unread, _blocked])
def test_what_must_wait_is_left_to_the_queue(state: Callable[[Line], None]) -> None:
    line = Line()
    state(line)
    assert not line.client.brings(FRAME)
    assert not line.upstream.brings(delta())
    assert (line.client.posted, line.upstream.posted) == ([], [])


def test_what_was_read_is_not_waited_for() -> None:
    line = Line()
    _unread(line)
    line.fast_path.client_read = line.fast_path.upstream_read = 1
    assert line.client.brings(FRAME)
    assert line.upstream.brings(delta())


@pytest.mark.parametrize(
    "frame",
    [
        delta("resp_2"),
        delta(item_id="item_2"),
        delta(["resp_1"]),
        delta(audio="not base64"),
        delta()[:-1],
        b'{"type":"response.output_audio.delta"}',
        b'{"type":"response.output_audio.done","response_id":"resp_1"}',
        b'{"event_id":"e","type":"response.output_audio.delta"}',
    ],
)
def test_what_is_no_plain_piece_of_the_reply_is_left_to_the_queue(frame: bytes) -> None:
    line = Line()
    assert not line.upstream.brings(frame)
    assert line.client.posted == []
    assert line.bench.conversation.counters.malformed_events == 0, "its reader counts it"


def test_nothing_of_an_interrupted_reply_is_carried() -> None:
    line = Line()
    line.bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert not line.upstream.brings(delta())


def test_audio_that_is_an_event_here_wakes_the_session() -> None:
    line = Line(Bench())
    assert line.client.brings(FRAME), "it came before the Settings, which is told"
    assert (line.woken, line.upstream.posted) == (1, [])


def test_half_a_sample_is_kept() -> None:
    line = Line()
    assert line.client.brings(b"\x01")
    assert line.upstream.posted == []
    assert line.client.brings(b"\x02")
    assert len(line.upstream.posted) == 1


def test_a_defect_ends_the_session_and_does_not_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    line = Line()
    monkeypatch.setattr(line.bench.conversation, "client_audio", defect)
    monkeypatch.setattr(line.bench.conversation.downlink.voice, "feed", defect)
    assert line.client.brings(FRAME)
    assert line.upstream.brings(delta())
    assert len(line.failed) == 2


def test_where_a_library_does_not_let_one_there_nothing_is_carried() -> None:
    upstream = Wire()
    fast_path = FastPath(Bench().conversation, None, lambda: None, lambda error: None)
    fast_path.connect(upstream)
    assert upstream.carry is None
