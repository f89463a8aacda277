"""What happened in one session, in order: all that a judge may look at.

The same event appears at each place that it passes: what the gateway sent at one moment, the upstream received at
another. An entry's position in the list is its place in time, finer than the clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple


class Where(StrEnum):
    """Whose view an entry is."""

    CLIENT_SENT = "client    ->"
    CLIENT_GOT = "client    <-"
    #: The user is heard: audio that is not silence. ``what`` is empty.
    CLIENT_SPOKE = "client    ))"
    GATEWAY_SENT = "gateway   ->"
    GATEWAY_GOT = "gateway   <-"
    UPSTREAM_GOT = "upstream  ->"
    UPSTREAM_SENT = "upstream  <-"
    #: A response that the upstream made by itself: when it was accepted, which no event shows.
    UPSTREAM_BEGAN = "upstream  **"
    #: The upstream's connection is lost; what comes later is about the next one. ``what`` may be `AUDIO_GONE`.
    UPSTREAM_LOST = "upstream  --"
    #: The next connection has taken the place of this one. ``what`` is what the upstream has of the conversation there:
    #: its session, and its items in order.
    UPSTREAM_EXCHANGED = "upstream  =="
    #: For readers only: what befell the broker and the processes.
    FAULT = "          !!"


#: The fault that another gateway goes on with a session.
MOVED = "another gateway goes on"
#: The gateway before was killed, and the user's audio was nowhere else.
AUDIO_GONE = "with the user's audio"


class Entry(NamedTuple):
    """``what`` is a JSON object, or for `Where.CLIENT_SENT` a `Said`, for `Where.FAULT` a text."""

    at: float
    where: Where
    what: Any


class Said(NamedTuple):
    """A client's message, and what it was told in that very instant."""

    message: dict[str, Any]
    replies: tuple[dict[str, Any], ...]


History = list[Entry]

#: Events that say nothing about a promise, left out when a history is shown.
_TIRESOME = ("delta", "content_part", "output_item.added", "rate_limits", "item.done", "_transcript.done", "text.done")


def shown(history: History, longest: int = 400) -> str:
    """The history for a reader, events of no interest left out, the middle cut when it is long."""
    lines = [
        f"{entry.at:9.3f}  {entry.where}  {_described(entry.what)}" for entry in history if not _is_tiresome(entry)
    ]
    if len(lines) > longest:
        half = longest // 2
        lines[half:-half] = [f"           … {len(lines) - 2 * half} more …"]
    return "\n".join(lines)


def _is_tiresome(entry: Entry) -> bool:
    if entry.where in (Where.UPSTREAM_SENT, Where.GATEWAY_GOT):
        kind = entry.what["type"]
        return any(part in kind for part in _TIRESOME)
    return False


def _described(what: Any) -> str:
    if isinstance(what, Said):
        return _described(what.message)
    if not isinstance(what, dict):
        return str(what)
    kind = what.get("type", "")
    response, item, error = what.get("response"), what.get("item"), what.get("error")
    if isinstance(response, dict) and "id" in response:
        asked = (response.get("metadata") or {}).get("turngate", "by itself")
        return f"{kind} {response['id'][-4:]} {response['status']} ({asked})"
    if isinstance(item, dict):
        words = "".join(str(part.get("text", "")) for part in item.get("content", ()))
        return f"{kind} {item.get('id')} {item['type']} {item.get('call_id', '')} {words or item.get('output', '')}"
    if isinstance(error, dict):
        return f"{kind} {error.get('code')} about {error.get('event_id')}"
    if kind == "session.updated":
        return f"{kind} instructions={what['session']['instructions']!r}"
    text = str({name: value for name, value in what.items() if name not in ("type", "event_id", "audio")})
    return f"{kind} {what.get('event_id') or ''} {text if len(text) <= 200 else text[:200] + '…'}"
