"""What `make audit` says: vulnerabilities, none, or that nothing was checked."""

from __future__ import annotations

import json
import sys

import pytest

from tools.audit import report, run

_CLEAN = {"name": "a", "version": "1", "vulns": []}
_BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
_SKIPPED = {"name": "c", "skip_reason": "not in the database"}


@pytest.mark.parametrize(
    ("packages", "code", "lines"),
    [
        ([_CLEAN], 0, ["1 pinned packages checked, 0 vulnerabilities known"]),
        ([_CLEAN, _BAD], 1, ["b 2: CVE-1, fixed in 3", "2 pinned packages checked, 1 vulnerabilities known"]),
        (
            [_CLEAN, _SKIPPED],
            0,
            ["c: not checked (not in the database)", "1 pinned packages checked, 0 vulnerabilities known"],
        ),
    ],
)
def test_findings(packages: list[object], code: int, lines: list[str]) -> None:
    assert report(lambda: (json.dumps({"dependencies": packages}), "")) == (code, lines)


@pytest.mark.parametrize(
    ("found", "errors", "reason"),
    [
        ("", "ERROR\nConnectionError: refused\n", "ConnectionError: refused"),
        ("", "", "no answer"),
        (json.dumps({"dependencies": [_SKIPPED]}), "", "c: not checked (not in the database)"),
    ],
)
def test_no_database_is_not_no_vulnerability(found: str, errors: str, reason: str) -> None:
    told = f"NOTHING WAS CHECKED: no database of vulnerabilities could be reached ({reason})"
    assert report(lambda: (found, errors)) == (2, [told])


def test_both_outputs_are_read() -> None:
    program = "import sys; print('found'); print('error', file=sys.stderr)"
    assert run([sys.executable, "-c", program]) == ("found\n", "error\n")
