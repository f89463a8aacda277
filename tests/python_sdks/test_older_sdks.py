"""Deepgram's Python SDKs before the newest one, each unchanged and with packages of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")
_HERE = Path(__file__).parent
#: `make test` installs them there.
_PACKAGES = _HERE.parents[1] / ".venv" / "sdks"
_SECONDS = 60


async def run(sdk: str, url: str) -> list[dict[str, Any]]:
    """What the program for this SDK printed, line by line; lines that are no JSON are the SDK's own."""
    packages = _PACKAGES / sdk
    assert packages.is_dir(), f"deepgram-sdk {sdk} is not installed: make .venv/.sdks"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(_HERE / f"sdk_{sdk}.py"), url),
        env={**os.environ, "PYTHONPATH": str(packages)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            printed, complaints = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, complaints.decode()
    return [orjson.loads(line) for line in printed.splitlines() if line.startswith(b"{")]


@pytest.mark.parametrize("sdk", ["4", "5", "6"])
async def test_a_text_turn(redis_url: str, sdk: str) -> None:
    async with Stack(redis_url=redis_url, translators=1, pace=0.1, env={"TURNGATE_LATENCY_REPORTS": "0"}) as stack:
        said = await run(sdk, stack.gateway_url)
    kinds = [message["type"] for message in said]
    assert "Error" not in kinds, said
    assert kinds.index("SettingsApplied") < kinds.index("AgentAudioDone")
    assert [message["text"] for message in said if message["type"] == "ConversationText"] == [
        "Hello.",
        "You said: Hello.",
    ]


async def test_the_first_release_of_the_sixth_dies_of_latency_reports(redis_url: str) -> None:
    """Why the setting exists; when this fails, the note about that release can go."""
    async with Stack(redis_url=redis_url, translators=1, pace=0.1) as stack:
        said = await run("6", stack.gateway_url)
    assert said[-1]["type"] == "Error"
