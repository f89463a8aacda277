"""The model of the reservation protocol detects injected faults.

The complete search without faults is `make model`.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest

from tools.model.check import MODEL, Check, run

pytestmark = pytest.mark.skipif(
    shutil.which("spin") is None or shutil.which("gcc") is None, reason="needs spin and gcc"
)

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


@pytest.mark.parametrize(("fault", "check", "finding"), FAULTS)
def test_an_injected_fault_is_detected(fault: str, check: Check, finding: str) -> None:
    result = run(check, fault)
    assert result.errors == 1
    assert finding in result.finding


@pytest.mark.parametrize("liveness", [False, True])
def test_without_a_fault_nothing_is_found(liveness: bool) -> None:
    result = run(replace(TROUBLE, liveness=liveness))
    assert result.errors == 0
    assert result.states > 1_000


def test_every_fault_of_the_model_is_tested() -> None:
    conditions = set(re.findall(r"^#ifn?def (\w+)", MODEL.read_text(), re.MULTILINE))
    assert conditions - {"OWN", "FAULTS", "RESPONSES"} == {fault for fault, _, _ in FAULTS}
