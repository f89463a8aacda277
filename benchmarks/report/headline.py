"""What the page says first: turngate and the other servers of the run, relative to baseline A."""

from __future__ import annotations

from benchmarks.environment import RELAY, RESAMPLED, SAME_RATE
from benchmarks.parts import audio
from benchmarks.parts.peers import PLAIN
from benchmarks.peers.start import LIMIT, LITELLM, LITELLM_PLAIN, PICOWS
from benchmarks.run import Results

OURS = (RESAMPLED, SAME_RATE)
#: The order of the bars.
_ORDER = (RESAMPLED, SAME_RATE, RELAY, PICOWS, LITELLM, LIMIT)
_SHOWN = {LIMIT: f"{LIMIT}, no TLS"}


def sessions(results: Results) -> int:
    """The number of sessions of the picture: the largest of the measurements that it shows."""
    return max(count for _, count in _samples(results))


def title(results: Results) -> str:
    """The finding in one sentence."""
    spent, slow = (ratios[RESAMPLED] for ratios in panels(results).values())
    assert spent is not None
    assert slow is not None
    shares = f"{spent:.2f} × the CPU time of a bare relay, {slow:.2f} × its latency"
    return f"turngate, {sessions(results)} sessions: {shares}"


def panels(results: Results) -> dict[str, dict[str, float | None]]:
    """CPU time and latency of turngate and of the peers, if there are any in this run, divided by those of A in the
    same rounds; by title and name. None for a peer that did not carry so many sessions."""
    samples, count = _samples(results), sessions(results)
    known = {name for name, _ in samples} - {PLAIN, LITELLM_PLAIN}
    spent: dict[str, float | None] = {}
    slow: dict[str, float | None] = {}
    for name in _ORDER:
        if name in known:
            rows, baseline = samples.get((name, count)), samples[RELAY, count]
            own, least = audio.cost(rows or []), audio.cost(baseline)
            shown = _SHOWN.get(name, name)
            spent[shown] = own / least if own is not None and least else None
            slow[shown] = audio.latency(rows, "p99") / audio.latency(baseline, "p99") if rows else None
    return {"CPU time for a pair of frames": spent, "latency of a frame (p99)": slow}


def _samples(results: Results) -> audio.Samples:
    return results.audio if results.peers is None else results.peers.audio
