"""``GET /sessions/{id}/journal``: what the journal of a session knows, for people: what was said, the open function
calls, and the configuration in force.

Only what is named here is shown, so that nothing that could be a secret is: of the configuration no addresses, headers
or credentials. The journal is read as `gateway.conversation.journal` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from session_state.keys import JOURNAL_KEY
from turngate.bus import trouble
from turngate.bus.consumer import reason_of

#: The version of the parts that is read: `gateway.continuity.journal.VERSION`.
VERSION = 1
#: Items that are read, and the newest of them, which are shown.
_ITEMS_READ = 2_000
ITEMS_MAX = 200
#: The most characters of a text, entries of a list or an object, and levels of them.
TEXT_MAX = 4_000
_ENTRIES_MAX = 200
_LEVELS_MAX = 8

_ITEM = "item:"
_PARTS = ("about", "config", "calls", "reply", "unheard")
#: What is shown of the configuration.
_SESSION = ("model", "instructions", "output_modalities", "tool_choice", "max_output_tokens", "reasoning")
_AUDIO_INPUT = ("format", "noise_reduction", "turn_detection")
_AUDIO_OUTPUT = ("format", "voice", "speed")
_TRANSCRIPTION = ("model", "language")
_TOOL = ("type", "name", "description", "server_label")


class Journals:
    """Reads the journals of sessions, and changes nothing."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._key = prefix + JOURNAL_KEY

    async def journal(self, session: str) -> dict[str, Any] | None:
        """The journal of this session (`described`), with ``unreadable``, the reason, if it cannot be read; None if
        there is none. Errors that concern the server pass through."""
        try:
            parts = await self._read(self._key + session)
            return described(parts) if parts else None
        except (ResponseError, ValueError, LookupError, TypeError, AttributeError) as error:
            if trouble.concerns_server(error):
                raise
            return {"unreadable": reason_of(error)}

    async def _read(self, key: str) -> dict[str, bytes]:
        """The parts that are shown, by name; without what has gone meanwhile."""
        there: Any = await self._redis.hkeys(key)
        items = [name for name in map(bytes.decode, there) if name.startswith(_ITEM)]
        names = [*_PARTS, *items[:_ITEMS_READ]]
        found: Any = await self._redis.hmget(key, names) if there else ()
        return {name: part for name, part in zip(names, found, strict=False) if part is not None}


def described(parts: Mapping[str, bytes]) -> dict[str, Any]:
    """A journal for people, within limits. Raises ValueError, LookupError, TypeError or AttributeError if it cannot be
    read."""
    read = {name: orjson.loads(part) for name, part in parts.items()}
    about, reply = read["about"], read["reply"]
    if about["version"] != VERSION:
        raise ValueError(f"a journal of version {about['version']}; this session-state reads version {VERSION}")
    heard = (reply["heard"] if reply is not None else {}) | read["unheard"]
    items = sorted((part for name, part in read.items() if name.startswith(_ITEM)), key=itemgetter("place"))
    shown: dict[str, Any] = _bounded(
        {
            "began_at_ms": int(about["began_at"] * 1000),
            "dialect": about["dialect"],
            "items": [_item(one, heard.get(one["id"])) for one in items[-ITEMS_MAX:]],
            "open_calls": read["calls"],
            "configuration": _configuration(read["config"]["confirmed"]),
        }
    )
    return shown | {"items_left_out": max(0, len(items) - ITEMS_MAX)}


def _item(journaled: dict[str, Any], heard: str | None) -> dict[str, Any]:
    """An item of the conversation. ``text`` is None while the words of a spoken turn are not known; ``heard`` is what
    the client has played of the agent's text, None if that is all of it, as far as is known."""
    shown = {"id": journaled["id"], "type": "message", "name": None, "call_id": None, "heard": None}
    match journaled["kind"]:
        case "turn":
            return shown | {"role": "user", "spoken": True, "text": journaled["text"] or None}
        case "reply":
            text = journaled["text"]
            told = {"heard": None if heard is None or heard.strip() == text.strip() else heard}
            return shown | {"role": "assistant", "spoken": True, "text": text, **told}
        case _:
            item = journaled["item"]
            called = {name: item.get(name) for name in ("type", "name", "call_id")}
            return shown | called | {"role": item.get("role"), "spoken": False, "text": _text(item)}


def _text(item: dict[str, Any]) -> str:
    """The text of a message, the arguments of a call, or its output."""
    parts = item.get("content") or ()
    texts = [part.get("text") or "" for part in parts]
    return "\n".join([*texts, *(item[name] for name in ("arguments", "output") if name in item)])


def _configuration(session: dict[str, Any]) -> dict[str, Any]:
    """What is shown of a session object."""
    audio = session.get("audio") or {}
    heard, spoken = audio.get("input") or {}, audio.get("output") or {}
    return _of(session, _SESSION) | {
        "tools": [_of(tool, _TOOL) for tool in session.get("tools") or ()],
        "audio": {
            "input": _of(heard, _AUDIO_INPUT)
            | {"transcription": _of(heard.get("transcription") or {}, _TRANSCRIPTION)},
            "output": _of(spoken, _AUDIO_OUTPUT),
        },
    }


def _of(given: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _bounded(value: Any, levels: int = _LEVELS_MAX) -> Any:
    """The same, with everything shortened that is longer than it may be."""
    match value:
        case str() if len(value) > TEXT_MAX:
            return value[:TEXT_MAX] + "…"
        case dict() | list() if levels == 0:
            return "…"
        case dict():
            return {name: _bounded(one, levels - 1) for name, one in list(value.items())[:_ENTRIES_MAX]}
        case list():
            return [_bounded(one, levels - 1) for one in value[:_ENTRIES_MAX]]
        case _:
            return value
