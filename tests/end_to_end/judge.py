"""Every frame that gateways sent upstream, from the simulator's own record, against the official SDK.

What the simulator sends is judged in its own tests; what clients receive, as it comes (`client.Client`).
"""

from __future__ import annotations

from typing import Any

import httpx

from tests.end_to_end.client import get
from tests.unit.schemas import accepted_by_openai
from turngate.local.stack import Stack


class Judge:
    """Remembers how far it has read each session's record, so that hearing a stack again costs only what is new."""

    def __init__(self) -> None:
        self._heard: dict[str, int] = {}
        #: Frames that were judged so far.
        self.frames = 0

    async def hear(self, stack: Stack) -> None:
        """Fails unless everything that this stack's simulator was sent since the last time is valid."""
        try:
            sessions = (await get(f"{stack.simulator_url}/record"))["sessions"]
        except (LookupError, RuntimeError, httpx.TransportError):
            # A test that has no simulator, or that took it down.
            return
        for session in sessions:
            total = session["dropped"] + len(session["entries"])
            new = total - self._heard.get(session["session"], 0)
            self._heard[session["session"]] = total
            for entry in session["entries"][-new:] if new else ():
                if entry["direction"] == "received":
                    self.frames += 1
                    accepted_by_openai(_with_audio(entry["event"]))


def _with_audio(event: dict[str, Any]) -> dict[str, Any]:
    """The record keeps the size of audio in its place; a few samples stand for it here."""
    if "audio_bytes" in event:
        return {name: value for name, value in event.items() if name != "audio_bytes"} | {"audio": "AAAA"}
    item = event.get("item")
    if isinstance(item, dict) and isinstance(item.get("content"), list):
        return {**event, "item": {**item, "content": [_with_audio(part) for part in item["content"]]}}
    return event
