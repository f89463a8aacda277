"""The models of the reservation protocol and of ownership detect injected faults.

The complete search without faults is `make model`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.programs import needs
from tools.model.check import EPOCH_MODEL, MODEL, OWNER_MODEL, AnyCheck, Check, EpochCheck, OwnerCheck, run

pytestmark = needs("spin", "gcc")

COLLISION = Check(liveness=False, responses=False, own=1, faults=0)
TROUBLE = Check(liveness=False, responses=False, own=0, faults=1)
#: The fault, the check that must detect it, and a part of the violated property.
FAULTS = [
    ("NO_FENCE", COLLISION, "slot=="),
    ("EARLY_END", COLLISION, "busy&&announced"),
    ("ANSWER_ALL", COLLISION, "what_it_knows"),
    ("OVERTAKE", TROUBLE, "r>>1"),
    ("NO_LEASE", replace(TROUBLE, liveness=True), "acceptance cycle"),
    ("NO_REPUBLISH", replace(TROUBLE, liveness=True), "acceptance cycle"),
    ("LOSE_REFUSED", replace(COLLISION, liveness=True), "acceptance cycle"),
]
MOVES = OwnerCheck(comes=3, faults=0)
_NOTHING_IS_LOST = "written==said"
OWNER_FAULTS = [
    ("NO_FENCE", MOVES, "epoch<=term[g]"),
    ("NO_EPOCH", MOVES, "invalid end state"),
    ("FENCED_ADDS_NOTHING", MOVES, _NOTHING_IS_LOST),
    ("NOTHING_TO_ADD", MOVES, _NOTHING_IS_LOST),
    ("UNASKED_COMPLETE", MOVES, _NOTHING_IS_LOST),
    ("HANDED_OVER_EARLY", MOVES, _NOTHING_IS_LOST),
    ("NO_SECOND_CLAIM", MOVES, "late"),
    ("NEVER_TOLD", MOVES, "invalid end state"),
]
DRAIN = EpochCheck(liveness=False, comes=1, drains=1)
LOSS = EpochCheck(liveness=True, comes=1, lost=1)
EPOCH_FAULTS = [
    ("NO_FENCE", DRAIN, "term[g]>=epoch"),
    ("GOES_ON", DRAIN, "heard_of[g]<=term[g]"),
    ("NO_RECORD_FENCE", DRAIN, "record_epoch==epoch"),
    ("OLD_RELEASE", DRAIN, "e==term[g]"),
    ("FORGETS_ANY", replace(LOSS, liveness=False), "epoch==term[0]"),
    ("READS_EARLY", DRAIN, "faults=="),
    ("LOSES_OPEN", DRAIN, ">=journal"),
    ("ATTACHES_AND_CLAIMS", DRAIN, "welcomed"),
    ("REVIVES", EpochCheck(liveness=False, comes=2, faults=1), "term[g]>=epoch"),
    ("NO_EXPIRY", LOSS, "acceptance cycle"),
    ("NO_WAIT_LIMIT", LOSS, "acceptance cycle"),
    ("REFUSAL_IGNORED", replace(LOSS, comes=2), "acceptance cycle"),
]


@pytest.mark.parametrize(("fault", "check", "finding"), [*FAULTS, *OWNER_FAULTS, *EPOCH_FAULTS])
def test_an_injected_fault_is_detected(fault: str, check: AnyCheck, finding: str) -> None:
    result = run(check, fault)
    assert result.errors == 1
    assert finding in result.finding


@pytest.mark.parametrize("check", [TROUBLE, replace(TROUBLE, liveness=True), MOVES, DRAIN, LOSS])
def test_without_a_fault_nothing_is_found(check: AnyCheck) -> None:
    result = run(check)
    assert result.errors == 0
    assert result.states > 1_000


@pytest.mark.parametrize(
    ("model", "faults"), [(MODEL, FAULTS), (OWNER_MODEL, OWNER_FAULTS), (EPOCH_MODEL, EPOCH_FAULTS)]
)
def test_every_fault_of_the_model_is_tested(model: Path, faults: list[tuple[str, object, str]]) -> None:
    conditions = set(re.findall(r"^#(?:ifn?def |elif defined\()(\w+)", model.read_text(), re.MULTILINE))
    assert conditions - {"OWN", "RESPONSES", "COMES", "FAULTS", "SAYS", "LOST", "DRAINS"} == {
        fault for fault, _, _ in faults
    }
