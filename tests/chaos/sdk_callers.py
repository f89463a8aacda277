"""Callers on Deepgram's JavaScript SDK, as its users write them: it reconnects by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import orjson

from tests.chaos.account import Account
from tests.chaos.callers import GREETING

_PROGRAM = Path(__file__).parents[1] / "javascript" / "callers.mjs"


class SdkCallers:
    """So many conversations in one process of Node."""

    def __init__(self, url: str, count: int, turns: int, step: Callable[[], None]) -> None:
        """Each has ``turns`` turns at least, and goes on until `enough`; ``step`` is called after each."""
        self.accounts: list[Account] = []
        self._arguments = (url, str(count), str(turns), GREETING)
        self._step = step
        self._enough = asyncio.Event()

    def enough(self) -> None:
        """Each may end after the turn that it is in."""
        self._enough.set()

    async def run(self) -> None:
        """Hold the conversations. Raises AssertionError if the program fails."""
        process = await asyncio.create_subprocess_exec(
            "node", str(_PROGRAM), *self._arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        telling = asyncio.create_task(self._tell(process.stdin))
        try:
            async for line in process.stdout:
                self._heard(orjson.loads(line))
            assert await process.wait() == 0
        finally:
            telling.cancel()
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _tell(self, stdin: asyncio.StreamWriter) -> None:
        await self._enough.wait()
        stdin.write(b"enough\n")
        await stdin.drain()

    def _heard(self, printed: dict[str, object]) -> None:
        if printed.get("step"):
            self._step()
            return
        asked_again = printed.pop("askedAgain")
        assert isinstance(asked_again, list)
        self.accounts.append(Account(**printed, asked_again=set(asked_again)))  # type: ignore[arg-type]
