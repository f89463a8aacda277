"""The picture at the head of the page: which bars it has, and what its title says."""

from __future__ import annotations

import pytest

from benchmarks.environment import DIRECT, RELAY, RESAMPLED, SAME_RATE
from benchmarks.parts.peers import PLAIN, PeersSample
from benchmarks.peers.start import LIMIT, LITELLM, LITELLM_PLAIN
from benchmarks.report import headline
from benchmarks.run import Results
from tests.unit.benchmarks.results import audio, results


def without_peers() -> Results:
    found = results()
    for count, factor in ((50, 1.0), (200, 0.5)):
        found.audio |= {
            (DIRECT, count): [audio(0.0, 0.0001)],
            (RELAY, count): [audio(100e-6, 0.010)],
            (SAME_RATE, count): [audio(50e-6, 0.002)],
            (RESAMPLED, count): [audio(80e-6 * factor, 0.020 * factor)],
        }
    return found


def test_without_peers_turngate_is_compared_with_the_relay_at_the_most_sessions() -> None:
    cost, latency = headline.panels(without_peers()).values()
    assert cost == pytest.approx({RESAMPLED: 0.4, SAME_RATE: 0.5, RELAY: 1.0})
    assert latency == pytest.approx({RESAMPLED: 1.0, SAME_RATE: 0.2, RELAY: 1.0})
    assert headline.title(without_peers()) == (
        "turngate, 200 sessions: 0.40 × the CPU time of a bare relay, 1.00 × its latency"
    )


def test_peers_are_compared_in_their_own_rounds_and_the_limit_is_named_as_such() -> None:
    found = without_peers()
    found.peers = PeersSample(
        {
            (RELAY, 50): [audio(100e-6, 0.001)],
            (LITELLM, 50): [audio(200e-6, 0.004)],
            (LITELLM_PLAIN, 50): [audio(200e-6, 0.004)],
            (PLAIN, 50): [audio(200e-6, 0.004)],
            (RELAY, 200): [audio(100e-6, 0.010)],
            (RESAMPLED, 200): [audio(70e-6, 0.005)],
            (LIMIT, 200): [audio(20e-6, 0.001)],
        }
    )
    cost, latency = headline.panels(found).values()
    assert cost == {RESAMPLED: pytest.approx(0.7), RELAY: 1.0, LITELLM: None, f"{LIMIT}, no TLS": pytest.approx(0.2)}
    assert latency[LITELLM] is None
    assert list(latency) == list(cost)
