"""Errors of commands: one line on standard error and an exit code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import typer

from turngate.process.settings import MISUSED as MISUSED

FAILED = 1


class CommandError(Exception):
    """The command has failed. The text is one line: what happened and what to do.

    ``exit_code`` is `MISUSED` if the user's input was wrong, and `FAILED` otherwise.
    """

    def __init__(self, text: str, exit_code: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def refusal(status: int, body: bytes | bytearray | None) -> str:
    """Describe an HTTP error response: its status and, if the body is JSON with an ``error``, that text."""
    try:
        return f"HTTP {status}: {json.loads(body or b'')['error']}"
    except (ValueError, LookupError, TypeError):
        return f"HTTP {status}"


def run(command: Coroutine[Any, Any, int]) -> None:
    """Run a command and exit with its code. A `CommandError` is printed and determines the code."""
    try:
        code = asyncio.run(command)
    except CommandError as error:
        typer.echo(f"turngate: {error}", err=True)
        code = error.exit_code
    raise typer.Exit(code)
