"""The judge: P1 to P13, from what the upstream and the client sent and received, and from nothing else.

P9 has no check of its own: it says that the others hold in any weather. With a sick upstream the session must come to
rest as well (P10), errors and delays have their reasons, and some sicknesses leave no trace on the wire by which it
could be told whose an item or an answer was.
"""

from __future__ import annotations

from tests.simulation.judge import configuration, continuity, items, reader, responses, turn, whole
from tests.simulation.judge.violation import Violation
from tests.simulation.line import Outcome
from turngate.simulator.faults import Fault

__all__ = ["Violation", "judge"]

#: An end that is read has other items than the one that was meant, and a result that was refused is sent again.
_BLURS_ITEMS = {Fault.DONE_UNREADABLE, Fault.REFUSED_FUNCTION_RESULT}
_BLURS_ANSWERS = {Fault.REFUSED_FUNCTION_RESULT}


def judge(outcome: Outcome) -> list[Violation]:
    """Every broken promise of one session."""
    read = reader.read(outcome)
    found = list(whole.check(read))
    if outcome.crash:
        return found
    wrong_configuration, timeline = configuration.check(read)
    wrong_items, needs = items.check(read)
    found += [*turn.check(read), *wrong_configuration]
    if outcome.plan.sickness not in _BLURS_ITEMS:
        found += wrong_items
        found += continuity.check(read)
    if outcome.plan.sickness not in _BLURS_ANSWERS:
        found += responses.check(read, needs, timeline)
    return found
