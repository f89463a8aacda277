"""The targets of audio, control and memory: what they compare, and what the page says about a missed one."""

from __future__ import annotations

import pytest

from benchmarks.environment import RELAY, RESAMPLED, SAME_RATE
from benchmarks.load.exchange import FUNCTION, TEXT
from benchmarks.parts.memory import MemorySample
from benchmarks.parts.peers import PLAIN, PeersSample
from benchmarks.peers.start import LITELLM_PLAIN
from benchmarks.report.targets import Target, targets
from benchmarks.run import Results
from tests.unit.benchmarks.results import audio, control, results


def target(found: Results, words: str) -> Target:
    (one,) = (target for target in targets(found) if words in target.name)
    return one


def test_nothing_measured_is_neither_hit_nor_missed() -> None:
    assert {one.hit for one in targets(results())} == {None}


def test_the_cost_of_audio_is_compared_with_the_relay_at_both_numbers_of_sessions() -> None:
    found = results()
    found.audio = {
        (RELAY, 50): [audio(100e-6, 0.001)],
        (RESAMPLED, 50): [audio(60e-6, 0.001)],
        (RELAY, 200): [audio(100e-6, 0.010, busy=0.9)],
        (RESAMPLED, 200): [audio(80e-6, 0.003, kernel=0.7, busy=0.6)],
        (SAME_RATE, 200): [audio(60e-6, 0.001)],
    }
    assert target(found, "CPU for a pair of frames, 16 kHz, 50").hit
    missed = target(found, "CPU for a pair of frames, 16 kHz, 200")
    assert missed.measured == pytest.approx(0.8)
    assert not missed.hit
    assert "70% of the CPU time is the kernel's (A: 50%), and 25% is what 16 kHz costs more" in missed.obstacle
    slow = target(found, "latency of a frame, p99, 16 kHz, 200")
    assert slow.measured == pytest.approx(0.3)
    assert "turngate used 60% of it, and A 90%" in slow.obstacle


def test_bursts_have_targets_of_their_own() -> None:
    found = results()
    found.audio = {(RELAY, 50): [audio(1e-4, 0.001)], (RESAMPLED, 50): [audio(1e-4, 0.001)]}
    found.bursts = {(RELAY, 50): [audio(50e-6, 0.001)], (RESAMPLED, 50): [audio(30e-6, 0.001, kernel=0.4)]}
    one = target(found, "in bursts, 50")
    assert one.measured == pytest.approx(0.6)
    assert "40% of the CPU time is the kernel's" in one.obstacle


def test_the_capacity_that_the_cost_allows_is_computed() -> None:
    found = results()
    found.audio = {(RESAMPLED, 200): [audio(100e-6, 0.001)]}
    assert "200 sessions fill a core" in target(found, "sessions per core, p99 within 20 ms, 16 kHz").obstacle


def test_a_peer_is_compared_with_the_same_upstream() -> None:
    found = results()
    found.peers = PeersSample({(PLAIN, 50): [audio(40e-6, 0.001)], (LITELLM_PLAIN, 50): [audio(160e-6, 0.002)]})
    assert target(found, "LiteLLM").measured == pytest.approx(0.25)


def test_control_with_audio_is_compared_with_the_silent_sessions_of_the_same_round() -> None:
    found = results()
    found.control = {200: [control({TEXT: 0.010}), control({TEXT: 0.100}), control({TEXT: 0.010})]}
    found.talking = {200: [control({TEXT: 0.030}), control({TEXT: 0.100}), control({TEXT: 0.050}, busy=0.9)]}
    one = target(found, "with audio in 200")
    assert one.measured == pytest.approx(3.0)
    assert "50% busy with audio and 50% without" in one.obstacle
    found.talking[200] = [control({FUNCTION: 0.018})] * 3
    assert target(found, "with audio in 200").measured == pytest.approx(1.8)


def test_the_memory_after_talking_is_the_gateway_s() -> None:
    found = results()
    sizes = ((60, 30), (140, 40), (200, 50))
    found.memory = MemorySample(100, 5.0, *({"gateway": ours * 1024.0, "relay": a * 1024.0} for ours, a in sizes))
    one = target(found, "that has talked")
    assert (one.measured, one.hit) == (200, False)
    assert "60 KB before it talked, 140 KB after audio in frames of 20 ms, and 200 KB" in one.obstacle
    assert "30, 40 and 50 KB" in one.obstacle
