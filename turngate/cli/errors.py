"""How a command fails: one clear line on standard error, and an exit code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import typer

FAILED = 1
#: A wrong option, setting or file, as command lines have it.
MISUSED = 2


class CommandError(Exception):
    """The command cannot go on. The text is one line: what happened and what to do.

    ``exit_code`` is `MISUSED` when the person's input was wrong, `FAILED` when something else was.
    """

    def __init__(self, text: str, exit_code: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def refusal(status: int, body: bytes | bytearray | None) -> str:
    """An HTTP refusal in words: its status and, when the body is JSON with an ``error``, what that says."""
    try:
        return f"HTTP {status}: {json.loads(body or b'')['error']}"
    except (ValueError, LookupError, TypeError):
        return f"HTTP {status}"


def run(command: Coroutine[Any, Any, int]) -> None:
    """Run a command to its end and leave with its exit code; a `CommandError` becomes its line and its code."""
    try:
        code = asyncio.run(command)
    except CommandError as error:
        typer.echo(f"turngate: {error}", err=True)
        code = error.exit_code
    raise typer.Exit(code)
