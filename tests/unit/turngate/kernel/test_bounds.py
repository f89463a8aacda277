"""The compiled kernel reads and writes only what is its own: a short run of ``python -m tests.fuzz.kernel``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.programs import needs

_ROOT = Path(__file__).parents[4]
_ROUNDS = 800


@needs("gcc")
def test_nothing_is_read_or_written_out_of_bounds() -> None:
    command = [sys.executable, "-m", "tests.fuzz.kernel", "--rounds", str(_ROUNDS)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4_000:]
