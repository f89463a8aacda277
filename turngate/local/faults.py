"""Cuts and kills parts of a stack for the console's buttons: a Unix socket that only this user can open.

A connection is one request: the name of a part, or ``parts``, as a line of JSON. The answer is a JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from turngate.local.health import check

_READ_SECONDS = 2.0


class Killable(Protocol):
    """A process that is started again when it is killed."""

    @property
    def pid(self) -> int | None: ...

    def kill_on_request(self) -> None: ...


class FaultsSocket:
    """The socket, as an async context manager. It is served as long as the stack runs."""

    def __init__(self, processes: Mapping[str, Killable], simulator_url: str | None) -> None:
        """``simulator_url``: the simulator's HTTP; None if the upstream is another, which cannot be cut from here."""
        self._processes = processes
        self._simulator_url = simulator_url
        self._server: asyncio.Server | None = None

    async def serve(self, path: Path) -> None:
        """Listen at this path until `close`. Its folder must belong to this user alone."""
        self._server = await asyncio.start_unix_server(self._answer, path)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(_READ_SECONDS):
                asked = json.loads(await reader.readline())
            writer.write(json.dumps(await self.answer(str(asked))).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def answer(self, asked: str) -> dict[str, Any]:
        """What is said to this request; does it first."""
        parts = [*(["upstream"] if self._simulator_url else []), "translator", "gateway"]
        if asked == "parts":
            return {"parts": parts}
        if asked not in parts:
            return {"error": f"there is no {asked} that can be cut"}
        if asked == "upstream":
            failed = await asyncio.to_thread(check, f"{self._simulator_url}/cut")
            return {"error": failed} if failed else {"done": "The connections to the model are cut."}
        running = [name for name, child in self._processes.items() if name.startswith(f"{asked}-") and child.pid]
        if not running:
            return {"error": f"no {asked} is running at the moment"}
        self._processes[running[0]].kill_on_request()
        return {"done": f"{running[0]} is killed, and started again."}


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that only this user can open."""
    return tempfile.TemporaryDirectory(prefix="turngate-")
