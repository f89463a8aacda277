"""The tester, tested: every known way to break the code is noticed soon, and only because the code is broken."""

from __future__ import annotations

import pytest

from tests.simulation.faults import FAULTS
from tests.simulation.faults_in_shells import Fault
from tests.simulation.run import play_seed, play_seeds

#: Seeds within which each fault must be caught.
_SOON = 500
#: What a fault raises whose own code does not fit the product any more. It is caught, and shows nothing.
_MISTAKES = ("TypeError", "AttributeError", "NameError", "UnboundLocalError", "ImportError")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_caught(fault: Fault, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch:
        fault.put_in(patch)
        caught = next(
            (verdict for verdict in play_seeds(range(fault.first, fault.first + _SOON)) if verdict.violations), None
        )
    assert caught is not None, f"not caught within {_SOON} seeds"
    crashes = [violation.what for violation in caught.violations if violation.promise == "crash"]
    assert not [crash for crash in crashes if any(mistake in crash for mistake in _MISTAKES)], crashes
    assert not play_seed(caught.seed).violations
    with capsys.disabled():
        print(
            f"\n  {fault.name}: caught after {caught.seed - fault.first + 1} seeds ({caught.violations[0].promise})",
            end=" ",
        )
