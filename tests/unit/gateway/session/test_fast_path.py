"""The fast path for audio: used only where the queue's reader would do the same at this very moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pybase64
import pytest

from gateway.session.fast_path import FastPath
from tests.unit.gateway.bench import Bench

FRAME = b"\x01\x02" * 480


class Direct:
    """A connection without its queue."""

    def __init__(self) -> None:
        self.on_message: Callable[[bytes], bool] | None = None
        self.idle = True
        self.blocked = False
        self.posted: list[bytes] = []

    def post(self, message: bytes, *, text: bool) -> None:
        raise AssertionError("audio is posted as such")

    def post_audio(self, message: bytes) -> None:
        self.posted.append(message)

    def brings(self, frame: bytes) -> bool:
        assert self.on_message is not None
        return self.on_message(frame)


class Line:
    """A configured session in the middle of a reply that sounds, with a fast path."""

    def __init__(self, bench: Bench | None = None) -> None:
        self.bench = bench or Bench().configured()
        self.client, self.upstream = Direct(), Direct()
        self.queued: list[bytes] = []
        self.handed_over = 0
        self.failed: list[Exception] = []
        self.fast_path = FastPath(self.bench.conversation, lambda: self.bench.now, self._hand_over, self.failed.append)
        self.fast_path.connect(self.client, self.upstream, self.queued)
        self.fast_path.open = True
        self.bench.created("resp_1")
        self.bench.audio("resp_1", "item_1", 20)

    def _hand_over(self) -> None:
        self.handed_over += 1


def delta(response_id: str = "resp_1", item_id: str = "item_1", audio: str | None = None) -> bytes:
    said = pybase64.b64encode_as_string(FRAME) if audio is None else audio
    event = {"type": "response.output_audio.delta", "response_id": response_id, "item_id": item_id, "delta": said}
    return orjson.dumps(event)


def test_speech_goes_up_and_a_reply_goes_down() -> None:
    line = Line()
    assert line.client.brings(FRAME)
    assert orjson.loads(line.upstream.posted[0])["audio"] == pybase64.b64encode_as_string(FRAME)
    assert line.upstream.brings(delta())
    assert line.client.posted == [FRAME]
    assert not line.handed_over
    (cut,) = line.bench.conversation.downlink.playout.cut(line.bench.now)
    assert cut.forwarded_ms == 40, "what can have been heard is known all the same"


def _closed(line: Line) -> None:
    line.fast_path.open = False


def _unread(line: Line) -> None:
    line.client.idle = line.upstream.idle = False


def _blocked(line: Line) -> None:
    line.client.blocked = line.upstream.blocked = True


@pytest.mark.parametrize("state", [_closed, _unread, _blocked])
def test_what_must_wait_is_left_to_the_queue(state: Callable[[Line], None]) -> None:
    line = Line()
    state(line)
    assert not line.client.brings(FRAME)
    assert not line.upstream.brings(delta())
    assert (line.client.posted, line.upstream.posted) == ([], [])


def test_the_agents_audio_does_not_overtake_what_is_queued_for_the_client() -> None:
    line = Line()
    line.queued.append(b"Welcome")
    assert not line.upstream.brings(delta())
    assert line.client.posted == []
    assert line.client.brings(FRAME), "the user's audio does not wait for it"
    line.queued.clear()
    assert line.upstream.brings(delta())


@pytest.mark.parametrize("frame", [delta(audio="not base64"), delta()[:-1], b'{"type":"response.done"}'])
def test_what_is_no_audio_is_left_to_the_queue(frame: bytes) -> None:
    line = Line()
    assert not line.upstream.brings(frame)
    assert line.client.posted == []
    assert line.bench.conversation.counters.malformed_events == 0, "its reader counts it"


def test_the_first_piece_of_a_reply_follows_what_is_told_before_it() -> None:
    line = Line()
    line.bench.created("resp_2")
    assert line.upstream.brings(delta("resp_2", "item_2"))
    assert line.client.posted == []
    assert line.handed_over == 1
    told, audio = line.bench.conversation.drain().to_client
    assert isinstance(told, dict)
    assert (told["type"], audio) == ("AgentStartedSpeaking", FRAME)


def test_nothing_of_an_interrupted_reply_is_forwarded() -> None:
    line = Line()
    line.bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert line.upstream.brings(delta())
    assert (line.client.posted, line.handed_over) == ([], 0)


def test_audio_that_is_an_event_is_handed_over() -> None:
    line = Line(Bench())
    assert line.client.brings(FRAME), "it came before the Settings, which is told"
    assert (line.handed_over, line.upstream.posted) == (1, [])


def test_half_a_sample_is_kept() -> None:
    line = Line()
    assert line.client.brings(b"\x01")
    assert line.upstream.posted == []
    assert line.client.brings(b"\x02")
    assert len(line.upstream.posted) == 1


def test_of_many_tiny_frames_so_many_pass_at_once_and_the_rest_waits_for_its_turn() -> None:
    line = Line()
    passed = [line.client.brings(b"\1\2") for _ in range(1_000)]
    assert passed == sorted(passed, reverse=True)
    assert 200 < passed.count(True) < 300
    line.bench.now += 0.1
    assert line.client.brings(FRAME)


def test_a_defect_ends_the_session_and_does_not_reach_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    line = Line()
    monkeypatch.setattr(line.bench.conversation, "client_audio", defect)
    monkeypatch.setattr(line.bench.conversation, "agent_audio", defect)
    assert line.client.brings(FRAME)
    assert line.upstream.brings(delta())
    assert len(line.failed) == 2


@pytest.mark.parametrize("without", ["client", "upstream"])
def test_where_a_library_gives_no_access_there_is_no_fast_path(without: str) -> None:
    there = Direct()
    ends: dict[str, Any] = {"client": there, "upstream": there, without: None}
    fast_path = FastPath(Bench().conversation, lambda: 0.0, lambda: None, lambda error: None)
    fast_path.connect(ends["client"], ends["upstream"])
    assert there.on_message is None
