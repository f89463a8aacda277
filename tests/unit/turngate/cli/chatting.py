"""Runs ``turngate chat`` with given lines, for tests."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

from rich.console import Console

from turngate.cli.chat import _chat
from turngate.cli.functions import Functions
from turngate.cli.messages import settings

FUNCTIONS = Functions.model_validate(
    {
        "functions": [
            {"name": "get_weather", "parameters": {}, "answers": [{"answer": {"sky": "snow"}}]},
            {"name": "get_time", "parameters": {}, "answers": [{"answer": "noon"}], "takes_ms": 50},
        ]
    }
)


async def lines(*given: str) -> AsyncIterator[str]:
    for line in given:
        yield line


async def chat(
    url: str,
    *typed: str,
    given: AsyncIterator[str] | None = None,
    interactive: bool = False,
    timeout_s: float = 10.0,
) -> tuple[int, list[str]]:
    shown = io.StringIO()
    code = await _chat(
        url,
        "/openai",
        settings("Be brief.", FUNCTIONS.declarations()),
        FUNCTIONS,
        lines=given or lines(*typed),
        interactive=interactive,
        timeout_s=timeout_s,
        console=Console(file=shown, width=200, color_system=None),
    )
    return code, [line.strip() for line in shown.getvalue().splitlines()]
