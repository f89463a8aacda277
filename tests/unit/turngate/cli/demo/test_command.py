from __future__ import annotations

import io

import pytest
from rich.console import Console

from turngate.cli.demo.check_result import CheckResult
from turngate.cli.demo.command import _report, draw
from turngate.cli.errors import FAILED

MET = CheckResult("the sun rises")
BROKEN = CheckResult("the moon shines", ("it is new", "it is cloudy"))
UNCHECKED = CheckResult("the stars twinkle", unchecked="no telescope")


@pytest.mark.parametrize(
    ("check_result", "drawn"),
    [
        (MET, "  ✓ the sun rises"),
        (BROKEN, "  ✗ the moon shines\n      it is new\n      it is cloudy"),
        (UNCHECKED, "  – the stars twinkle (not checked: no telescope)"),
    ],
)
def test_a_result_is_shown_with_its_problems(check_result: CheckResult, drawn: str) -> None:
    assert draw(check_result).plain == drawn


@pytest.mark.parametrize(
    ("results", "code", "summary"),
    [
        ([MET, MET], 0, "2 of 2 expectations met"),
        ([MET, UNCHECKED], 0, "1 of 2 expectations met, 1 not checked"),
        ([MET, BROKEN, UNCHECKED], FAILED, "1 of 3 expectations met, 1 failed, 1 not checked"),
    ],
)
def test_only_a_failed_check_fails_the_demo(results: list[CheckResult], code: int, summary: str) -> None:
    shown = io.StringIO()
    assert _report(Console(file=shown, color_system=None), results) == code
    assert shown.getvalue().splitlines()[-1] == summary
