"""What the upstream sends, frame by frame."""

from __future__ import annotations

import orjson
import pybase64
import pytest

from tests.unit.gateway.bench import Bench, types

#: What clients' libraries take at most by default.
LARGEST_MESSAGE = 1024 * 1024


@pytest.mark.parametrize("frame", [b"", b"[]", "no JSON", b'{"type":'])
def test_what_is_no_event_is_counted(frame: bytes | str) -> None:
    bench = Bench().configured()
    bench.conversation.upstream_frame(frame, bench.now)
    assert bench.conversation.counters.malformed_events == 1
    assert bench.conversation.drain().to_client == []


def delta(pcm: bytes) -> bytes:
    part = {"response_id": "resp_1", "item_id": "item_1", "delta": pybase64.b64encode_as_string(pcm)}
    return orjson.dumps({"type": "response.output_audio.delta", **part})


def test_audio_follows_what_announces_it() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.conversation.upstream_frame(delta(bytes(960)), bench.now)
    told, audio = bench.conversation.drain().to_client
    assert isinstance(told, dict)
    assert told["type"] == "AgentStartedSpeaking"
    assert audio == bytes(960)


def test_audio_that_comes_at_once_goes_in_messages_that_every_client_takes() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    pcm = bytes(range(256)) * 6_000
    bench.conversation.upstream_frame(delta(pcm), bench.now)
    frames = [frame for frame in bench.conversation.drain().to_client if isinstance(frame, bytes)]
    assert b"".join(frames) == pcm
    assert 2 * max(map(len, frames)) < LARGEST_MESSAGE, "the client's rate may be twice the upstream's"


def test_nothing_is_heard_after_the_session_has_ended() -> None:
    bench = Bench().configured()
    bench.created("resp_1")
    bench.conversation.end(1000, "over")
    bench.conversation.upstream_frame(delta(bytes(960)), bench.now)
    assert bench.conversation.drain().to_client == []


def test_an_error_before_the_session_is_why_it_was_refused() -> None:
    bench = Bench()
    bench.error("invalid_api_key", message="Incorrect API key provided.")
    assert bench.conversation.refusal == ("invalid_api_key", "Incorrect API key provided.")
    assert types(bench.out.messages) == []
