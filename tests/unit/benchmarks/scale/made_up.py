"""Unit costs with round figures, and small worlds."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from benchmarks.scale.calls import CALLS
from benchmarks.scale.costs import (
    BOTH,
    CLAIM,
    CLAIMED,
    CONNECT,
    ENTRIES,
    ENTRY,
    EXCHANGE,
    GATEWAY,
    KINDS,
    RECORD,
    RECORDS,
    REQUEST,
    REQUESTS,
    REVISIT,
    SETTINGS,
    SILENT,
    TURN,
    UP,
    WHOLE,
    Cost,
    Memory,
    UnitCosts,
)
from benchmarks.scale.parts import Plan
from benchmarks.scale.prices import prices, rules
from benchmarks.scale.world import World

_COUNTS = {RECORDS: 2.0, REQUESTS: 1.0, ENTRIES: 3.0}
_LIVE = (CONNECT, SETTINGS, EXCHANGE, TURN, CLAIM, SILENT)
_BUSY = (RECORD, REQUEST, ENTRY, WHOLE, REVISIT, CLAIMED)

COSTS = UnitCosts(
    about={},
    rounds=1,
    work={
        **{unit: Cost(dict.fromkeys(KINDS, 1e-3), (4e-3, 4e-3), 1_000.0, 500.0, _COUNTS) for unit in _LIVE},
        **{unit: Cost(dict.fromkeys(KINDS, 1e-4), (4e-4, 4e-4)) for unit in _BUSY},
        TURN: Cost(dict.fromkeys(KINDS, 1e-3), (4e-3, 4e-3), 1_000.0, 500.0, {RECORDS: 3.0, ENTRIES: 3.0}),
        UP: Cost({GATEWAY: 2e-3}, (2e-3, 2e-3)),
        BOTH: Cost({GATEWAY: 4e-3}, (4e-3, 4e-3)),
    },
    memory=Memory(dict.fromkeys(KINDS, 50e6), 60e3, 100e3, 80e3, 1e3, 10e3),
    descriptors=2.0,
    checks=(),
)
#: Small enough for a test, with servers as busy as those of a large one.
PLAN = Plan(sessions=1_500, gateways=30, translators=2, session_states=2, lost_at=12.0, back_at=32.0, seconds=60.0)


@cache
def world(*, costs: float = 10.0, rule: str = "", value: float = 0.0, journals: bool = True, **plan: Any) -> World:
    """A world that has run. ``costs``: a factor on all costs; ``rule``: the name of a rule that has this value."""
    given = prices(COSTS, journals=journals)
    dearer = replace(given, **{name: costs * getattr(given, name) for name in given.__dataclass_fields__})
    values: dict[str, Any] = {rule: value} if rule else {}
    changed = replace(rules(), **values)
    made = World(replace(PLAN, **plan), CALLS, dearer, changed)
    made.run()
    return made
