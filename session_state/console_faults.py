"""Buttons of the console that cut and kill parts of a stack on this machine, which `turngate run` does for them.

Only a session-state process that `turngate run` has started knows its socket; for any other there is nothing to cut.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from session_state.admin_key import AdminKey
from turngate.process.http import json_response

#: A page from elsewhere cannot send this header without asking first, and is not allowed to.
OWN_PAGE = "X-Turngate-Console"
_ANSWER_SECONDS = 5.0


class Faults:
    """What can be cut, asked of `turngate run`."""

    def __init__(self, socket: Path | None) -> None:
        self._socket = socket

    async def parts(self) -> list[str]:
        """The names of the parts that can be cut; none if nothing can."""
        try:
            answer = await self._ask("parts")
        except (OSError, ValueError):
            return []
        return [str(part) for part in answer.get("parts", [])]

    async def cut(self, part: str) -> dict[str, Any]:
        """Cut this part; returns ``{"done"}`` or ``{"error"}``, a sentence. Raises OSError or ValueError."""
        return await self._ask(part)

    async def _ask(self, line: str) -> dict[str, Any]:
        if self._socket is None:
            return {"error": "parts can be cut only in a stack that `turngate run` has started"}
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(self._socket)
            try:
                writer.write(orjson.dumps(line) + b"\n")
                answer: dict[str, Any] = orjson.loads(await reader.readline())
            finally:
                writer.close()
        return answer


def faults_route(faults: Faults, key: AdminKey) -> Route:
    """``POST /console/faults/{part}`` for pages of this process alone."""

    async def cut(request: Request) -> Response:
        if OWN_PAGE not in request.headers:
            return json_response({"error": f"send the header {OWN_PAGE}, as the console does"}, 403)
        try:
            answer = await faults.cut(request.path_params["part"])
        except (OSError, ValueError):
            return json_response({"error": "`turngate run` does not answer"}, 503)
        return json_response(answer, 404 if "error" in answer else 200)

    return Route("/console/faults/{part}", key.guard(cut), methods=["POST"])
