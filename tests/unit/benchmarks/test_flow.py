"""How the load generator finds the latency of audio: by the bytes that have arrived."""

from __future__ import annotations

import pytest

from benchmarks.load.flow import Flow


def test_a_frame_has_arrived_with_its_last_bytes_in_whatever_pieces() -> None:
    flow = Flow(1_000)
    flow.send(1.0)
    flow.arrive(500, 1.1)
    assert (flow.latencies, flow.missing) == ([], 1)
    flow.arrive(500, 1.2)
    assert flow.latencies == [pytest.approx(0.2)]
    assert flow.missing == 0


def test_a_delta_with_several_frames_has_one_latency() -> None:
    flow = Flow(1_000)
    flow.send(1.0, 3)
    flow.send(1.5, 2)
    flow.arrive(2_000, 1.6)
    assert (flow.latencies, flow.missing) == ([], 2)
    flow.arrive(2_500, 1.7)
    assert flow.latencies == [pytest.approx(0.7)]
    flow.arrive(500, 1.8)
    assert flow.latencies == [pytest.approx(0.7), pytest.approx(0.3)]
    assert (flow.sent, flow.missing) == (2, 0)


def test_the_audio_that_arrived_is_counted_as_frames() -> None:
    flow = Flow(1_000)
    flow.send(1.0, 4)
    flow.arrive(2_500, 1.5)
    assert flow.frames == 2.5
    flow.forget()
    assert (flow.frames, flow.missing) == (0.0, 1)
    flow.arrive(1_500, 1.6)
    assert flow.frames == 1.5


def test_what_was_sent_together_arrives_at_once() -> None:
    flow = Flow(1_000)
    flow.send(1.0)
    flow.send(1.0, 2)
    flow.arrive(3_000, 1.25)
    assert flow.latencies == [0.25, 0.25]


def test_a_resampler_may_keep_two_milliseconds_back() -> None:
    flow = Flow(1_000)
    flow.send(1.0)
    flow.arrive(904, 1.5)
    assert flow.latencies == [0.5]
