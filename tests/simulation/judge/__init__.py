"""The judge: P1 to P12, from what the upstream and the client sent and received, and from nothing else.

P9 has no check of its own: it says that the others hold in any weather. With a sick upstream only P8 and P10 are
judged: what comes of a turn whose end was lost cannot be told from the wire, but the session must come to rest.
"""

from __future__ import annotations

from tests.simulation.judge import configuration, facts, items, responses, turn, whole
from tests.simulation.judge.violation import Violation
from tests.simulation.world import Outcome

__all__ = ["Violation", "judge"]


def judge(outcome: Outcome) -> list[Violation]:
    """Every broken promise of one session."""
    read = facts.read(outcome)
    found = list(whole.check(read))
    if outcome.crash or outcome.plan.sickness is not None:
        return found
    wrong_configuration, timeline = configuration.check(read)
    wrong_items, needs = items.check(read)
    return [*found, *turn.check(read), *wrong_configuration, *wrong_items, *responses.check(read, needs, timeline)]
