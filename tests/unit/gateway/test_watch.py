"""The look at all sessions, which delays no audio."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any, cast

from gateway.server import GatewayServer


class Looked:
    """A session that holds a byte, and notes in which turn of the event loop it is looked at."""

    def __init__(self, name: str, turns: list[int], looks: list[int]) -> None:
        self.name = name
        self._turns = turns
        self._looks = looks

    def watch(self) -> int:
        self._looks.append(self._turns[0])
        return 1


async def test_others_are_served_between_looks() -> None:
    turns, looks = [0], cast(list[int], [])
    sessions: dict[str, Any] = {}
    for number in range(100):
        sessions[str(number)] = Looked(str(number), turns, looks)
    admission = SimpleNamespace(held_bytes=0)
    server = SimpleNamespace(_settings=SimpleNamespace(client_stall_ms=8), _sessions=sessions, _admission=admission)
    watching = asyncio.create_task(GatewayServer.watch(cast(GatewayServer, server)))
    async with asyncio.timeout(30):
        while not admission.held_bytes:
            turns[0] += 1
            if len(looks) == 32:
                # It ends while the look is under way.
                sessions.pop("99", None)
            await asyncio.sleep(0)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    assert admission.held_bytes == 99
    assert max(looks.count(turn) for turn in looks) == 32
