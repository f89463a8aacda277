"""Thousands of conversations in any weather, and not one promise broken."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import report
from tests.simulation.run import play_seed, play_seeds

#: Every seed that has ever failed, each with its reason.
_REGRESSIONS = Path(__file__).parent / "regressions.txt"
_FIXED = range(1_500)
_FRESH = 300


def _regressions() -> list[int]:
    lines = (line.partition("#")[0].strip() for line in _REGRESSIONS.read_text().splitlines())
    return [int(line) for line in lines if line]


def _all_hold(seeds: range) -> None:
    failing = [verdict for verdict in play_seeds(seeds, jobs=os.cpu_count() or 1) if verdict.violations]
    if failing:
        pytest.fail(f"{len(failing)} seeds fail; the first:\n{report.story(failing[0])}", pytrace=False)


def test_every_promise_holds_on_the_fixed_seeds() -> None:
    _all_hold(_FIXED)


def test_every_promise_holds_on_seeds_that_nobody_has_seen(capsys: pytest.CaptureFixture[str]) -> None:
    first = secrets.randbelow(1_000_000_000)
    with capsys.disabled():
        print(f"\n  {_FRESH} fresh seeds from {first}", end=" ")
    _all_hold(range(first, first + _FRESH))


@pytest.mark.parametrize("seed", _regressions())
def test_what_failed_once_holds_for_good(seed: int) -> None:
    verdict = play_seed(seed)
    assert not verdict.violations


_HISTORIES = """
import hashlib
from tests.simulation import plan as plans
from tests.simulation.history import shown
from tests.simulation.run import play

for seed in range(40):
    histories = "".join(shown(outcome.history, 10**6) for outcome in play(plans.draw(seed)).outcomes)
    print(seed, hashlib.sha256(histories.encode()).hexdigest())
"""


def test_a_seed_decides_everything() -> None:
    """Whatever the process, its hash seed and its clock are."""

    def histories(hash_seed: int) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
        return subprocess.check_output([sys.executable, "-c", _HISTORIES], env=environment, text=True)

    assert histories(1) == histories(2)
