"""`make audit`: are vulnerabilities known of the pinned versions in constraints.txt?

pip-audit asks a database of vulnerabilities on the internet. Where none can be reached, nothing is checked, and this
says so: exit code 2. Exit code 1 if there is a vulnerability, and 0 if none is known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

_PINS = Path(__file__).parents[1] / "constraints.txt"
_OPTIONS = "--no-deps --disable-pip --format json --progress-spinner off"
_COMMAND = ("-m", "pip_audit", "-r", str(_PINS), *_OPTIONS.split())
#: Seconds after which a database that does not answer counts as unreachable.
_PATIENCE = 120
_FOUND, _NOTHING_CHECKED = 1, 2


def report(audit: Callable[[], tuple[str, str]]) -> tuple[int, list[str]]:
    """The exit code, and the lines to print. ``audit`` returns what pip-audit writes: its findings and its errors."""
    found, errors = audit()
    try:
        packages = json.loads(found)["dependencies"]
    except (ValueError, LookupError, TypeError):
        return _unchecked((errors.strip().splitlines() or ["no answer"])[-1])
    lines, skipped = [], []
    for package in packages:
        if "skip_reason" in package:
            skipped.append(f"{package['name']}: not checked ({package['skip_reason']})")
        for one in package.get("vulns", ()):
            fixed = ", ".join(one["fix_versions"]) or "no version"
            lines.append(f"{package['name']} {package['version']}: {one['id']}, fixed in {fixed}")
    checked = len(packages) - len(skipped)
    if not checked:
        return _unchecked((skipped or ["there is no package"])[0])
    summary = f"{checked} pinned packages checked, {len(lines)} vulnerabilities known"
    return (_FOUND if lines else 0), [*lines, *skipped, summary]


def _unchecked(reason: str) -> tuple[int, list[str]]:
    return _NOTHING_CHECKED, [f"NOTHING WAS CHECKED: no database of vulnerabilities could be reached ({reason})"]


def audit() -> tuple[str, str]:
    """Run pip-audit."""
    return run([sys.executable, *_COMMAND])


def run(command: Sequence[str]) -> tuple[str, str]:
    """What a command writes to its two outputs; nothing to the first if it takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {_PATIENCE} s"
    return done.stdout, done.stderr


if __name__ == "__main__":
    code, lines = report(audit)
    print(*lines, sep="\n")
    sys.exit(code)
