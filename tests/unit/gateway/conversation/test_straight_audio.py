"""Audio that goes straight: what is decided for one piece holds for the next ones until anything else comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.conversation.limits import Limits
from gateway.dialect import AGENT
from tests.unit.gateway.bench import SETTINGS, Bench

LIMITS = Limits(slow_think=0, heartbeat=1_000)
PIECE = b"\x01\x02" * 480
#: Bytes that are all different for as long as can be, so that none is lost or added without a trace.
PATTERN = bytes(range(251)) * 1_200
AT_16_KHZ = {
    "input": {"encoding": "linear16", "sample_rate": 16_000},
    "output": {"encoding": "linear16", "sample_rate": 16_000},
}
AS_WAV = {**AT_16_KHZ, "output": {**AT_16_KHZ["output"], "container": "wav"}}


def agent(bench: Bench, pcm: bytes = PIECE, response: str = "r1", item: str = "i1") -> bytes | None:
    return bench.conversation.agent_audio(response, item, pcm, bench.now)


def sounding() -> Bench:
    """A reply sounds, and its audio goes straight."""
    bench = Bench(AGENT, LIMITS).configured()
    bench.created("r1")
    assert agent(bench) is None, "after AgentStartedSpeaking"
    bench.conversation.drain()
    assert agent(bench) == agent(bench) == PIECE
    return bench


def _barge_in(bench: Bench) -> None:
    bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)


def _ended(bench: Bench) -> None:
    bench.conversation.end(1012, "SERVER_GOING_AWAY")


@pytest.mark.parametrize("comes", [_barge_in, _ended])
def test_nothing_more_is_sent_of_a_reply_that_is_over(comes: Callable[[Bench], None]) -> None:
    bench = sounding()
    comes(bench)
    assert agent(bench) == b""


def test_another_item_and_another_response_are_decided_anew() -> None:
    bench = sounding()
    assert agent(bench, item="i2") == PIECE
    assert agent(bench, item="i2", pcm=b"") == b""
    bench.done("r1")
    bench.created("r2")
    assert agent(bench, response="r2", item="i3") is None
    assert agent(bench, response="r2", item="i3") == PIECE


def test_half_a_sample_waits_for_its_other_half() -> None:
    bench = Bench(AGENT, LIMITS).configured(audio=AT_16_KHZ)
    for _ in range(2):
        assert bench.conversation.client_audio(bytes(640), 0.0)
    assert bench.conversation.client_audio(b"\x01", 0.0) == b""
    assert bench.conversation.client_audio(bytes(639), 0.0)
    assert bench.conversation.client_audio(bytes(640), 0.0)


def test_the_silence_of_a_client_is_counted_from_its_last_frame() -> None:
    bench = Bench(AGENT, LIMITS).configured()
    for _ in range(3):
        bench.now += 0.02
        assert bench.conversation.client_audio(PIECE, bench.now)
    bench.event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
    assert bench.conversation.deadline() == bench.now + LIMITS.audio_gap


def test_a_header_waits_for_the_first_sample() -> None:
    bench = Bench(AGENT, LIMITS).configured(audio=AS_WAV)
    bench.created("r1")
    sent = [agent(bench, PIECE[:2]) for _ in range(40)]
    assert sent[0] is None, "after AgentStartedSpeaking"
    frames = [out for out in bench.conversation.drain().to_client if isinstance(out, bytes)]
    assert b"".join(filter(None, [*frames, *sent])).startswith(b"RIFF")


class Beside:
    """Two conversations, in one of which everything is decided anew for every piece."""

    def __init__(self, audio: dict[str, Any]) -> None:
        self.benches = [Bench(AGENT, LIMITS).configured(audio=audio) for _ in range(2)]
        for bench in self.benches:
            bench.created("r0")

    def do(self, step: Callable[[Bench], Any]) -> None:
        quick, slow = self.benches
        slow.conversation._audio.decide_anew()
        assert step(quick) == step(slow)
        assert self._seen(quick) == self._seen(slow)

    def _seen(self, bench: Bench) -> tuple[Any, ...]:
        playout, turn = bench.conversation.downlink.playout, bench.conversation.context.turn
        out = bench.conversation.drain()
        return (
            out.to_client,
            out.to_upstream,
            playout.unplayed(bench.now),
            round(playout.total_ms, 6),
            [bench.conversation.downlink.replies.has_delivered("r0", item) for item in ("i0", "i1")],
            turn.progress,
            bench.conversation._client.user_audio.kept_bytes,
            bench.conversation.deadline(),
        )


def _user(size: int) -> Callable[[Bench], Any]:
    def step(bench: Bench) -> bytes | None:
        bench.now += 0.02
        return bench.conversation.client_audio(PATTERN[:size], bench.now)

    return step


def _agent(given: tuple[int, int, int]) -> Callable[[Bench], Any]:
    response, item, size = given

    def step(bench: Bench) -> bytes | None:
        bench.now += 0.02
        return agent(bench, PATTERN[:size], f"r{response}", f"i{item}")

    return step


def _event(kind: str, **fields: Any) -> Callable[[Bench], Any]:
    return lambda bench: bench.event(kind, **fields)


def _wait(seconds: float) -> Callable[[Bench], Any]:
    return lambda bench: bench.wait(seconds).to_upstream


EVENTS = [
    _event("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0),
    _event("input_audio_buffer.speech_stopped", item_id="u", audio_end_ms=400),
    _event("response.output_audio.done", response_id="r0", item_id="i0"),
    lambda bench: bench.created("r1"),
    lambda bench: bench.done("r0"),
    lambda bench: bench.say(type="UpdatePrompt", prompt="Be brief."),
]
SIZES = st.sampled_from([0, 1, 2, 639, 640, 960, 19_200, 300_000])


@settings(deadline=None)
@given(
    st.sampled_from([SETTINGS["audio"], AT_16_KHZ, AS_WAV, {"input": {"encoding": "mulaw", "sample_rate": 8_000}}]),
    st.lists(
        st.one_of(
            st.lists(SIZES.map(_user), min_size=3, max_size=6),
            st.lists(st.tuples(st.just(0), st.sampled_from([0, 0, 0, 1]), SIZES).map(_agent), min_size=3, max_size=6),
            st.lists(st.tuples(st.integers(0, 1), st.just(0), SIZES).map(_agent), min_size=3, max_size=6),
            st.lists(st.sampled_from([*EVENTS, _wait(0.01), _wait(0.4)]), min_size=1, max_size=2),
        ),
        max_size=10,
    ).map(lambda runs: [step for run in runs for step in run]),
)
def test_straight_is_the_same_as_decided_anew(audio: dict[str, Any], steps: list[Callable[[Bench], Any]]) -> None:
    beside = Beside(audio)
    for step in steps:
        beside.do(step)
