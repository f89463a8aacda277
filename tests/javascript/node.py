"""Programs in Node."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

_HERE = Path(__file__).parent
_SECONDS = 60


async def run(program: str, *arguments: str, seconds: float = _SECONDS) -> list[dict[str, Any]]:
    """What the program printed, line by line."""
    process = await asyncio.create_subprocess_exec(
        "node", str(_HERE / program), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds):
            printed, complaints = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, complaints.decode()
    return [orjson.loads(line) for line in printed.splitlines()]
