from __future__ import annotations

import io

import pytest
from rich.console import Console

from turngate.cli.demo.command import _report, draw
from turngate.cli.demo.verdict import Verdict
from turngate.cli.errors import FAILED

MET = Verdict("the sun rises")
BROKEN = Verdict("the moon shines", ("it is new", "it is cloudy"))
UNCHECKED = Verdict("the stars twinkle", unchecked="no telescope")


@pytest.mark.parametrize(
    ("verdict", "drawn"),
    [
        (MET, "  ✓ the sun rises"),
        (BROKEN, "  ✗ the moon shines\n      it is new\n      it is cloudy"),
        (UNCHECKED, "  – the stars twinkle (not checked: no telescope)"),
    ],
)
def test_a_verdict_shows_its_mark_and_its_problems(verdict: Verdict, drawn: str) -> None:
    assert draw(verdict).plain == drawn


@pytest.mark.parametrize(
    ("verdicts", "code", "summary"),
    [
        ([MET, MET], 0, "2 of 2 expectations met"),
        ([MET, UNCHECKED], 0, "1 of 2 expectations met, 1 not checked"),
        ([MET, BROKEN, UNCHECKED], FAILED, "1 of 3 expectations met, 1 failed, 1 not checked"),
    ],
)
def test_only_a_failed_expectation_fails_the_demo(verdicts: list[Verdict], code: int, summary: str) -> None:
    shown = io.StringIO()
    assert _report(Console(file=shown, color_system=None), verdicts) == code
    assert shown.getvalue().splitlines()[-1] == summary
