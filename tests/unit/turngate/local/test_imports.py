"""What the processes of a stack do not import: it would take a part of the time until the stack is ready."""

from __future__ import annotations

import subprocess
import sys

import pytest

_IMPORT = {
    "turngate run": "import turngate.cli.app as app; app.with_commands('run'); import turngate.local.run",
    "supervisor": "import gateway.workers.supervisor",
    "gateway": "import turngate.bus.without_opentelemetry, gateway.app",
    "translator": "import turngate.bus.without_opentelemetry, translator.app",
    "session-state": "import turngate.bus.without_opentelemetry, session_state.app",
    "simulator": "import turngate.simulator.app",
}


@pytest.mark.parametrize(
    ("program", "absent"),
    [
        ("turngate run", {"redis", "faststream", "starlette", "uvicorn", "picows", "opentelemetry"}),
        ("supervisor", {"redis", "faststream", "picows", "opentelemetry", "gateway.app", "rich", "typer"}),
        ("gateway", {"gateway.sockets.picows", "gateway.sockets.websockets", "opentelemetry", "rich", "typer"}),
        ("translator", {"opentelemetry", "rich", "typer", "gateway"}),
        ("session-state", {"opentelemetry", "rich", "typer", "gateway"}),
        ("simulator", {"redis", "opentelemetry", "rich", "typer", "gateway"}),
    ],
)
def test_what_is_not_needed_is_not_imported(program: str, absent: set[str]) -> None:
    code = f"{_IMPORT[program]}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert absent & set(done.stdout.split()) == set()
