"""P10: nothing waits for ever, whatever the upstream fails to say. Judged where the upstream is sick: elsewhere the
session is held against much shorter times."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.judge.facts import Facts
from tests.simulation.judge.violation import Violation

#: Seconds of silence that the gateway sends for a user who is not heard any more, until it commits.
_SILENCE = 10.0
#: What the clock of the simulation, and its network, add to a time.
_SLACK = 0.5


def check(facts: Facts) -> Iterator[Violation]:
    """The turn moves, and every request is settled or told, each within its time."""
    outcome = facts.outcome
    limits = outcome.plan.limits
    end = outcome.history[-1].at if outcome.history else 0.0
    # A cancel waits for its answer, and after the upstream's word that nothing runs for an end that may be late.
    cancelled = limits.reply + limits.promise
    moves = max(limits.response_silence, limits.reply) + cancelled
    spoken = limits.audio_gap + _SILENCE + limits.reply
    if outcome.longest_standstill > max(moves, spoken) + _SLACK:
        yield Violation("P10", end, f"nothing moved for {outcome.longest_standstill:.1f} s")
    if outcome.longest_unsettled > limits.patience.give_up + _SLACK:
        yield Violation("P10", end, f"a request waited for {outcome.longest_unsettled:.1f} s without progress")
