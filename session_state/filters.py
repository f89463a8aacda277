"""Which sessions of a list are wanted: the filters of ``GET /sessions``, as in the console's page "Fleet". No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

#: The most sessions on a page.
LIMIT_MAX = 1_000
#: Milliseconds after which something is held for long.
_HELD_LONG = 5_000
#: Near a limit: less than this share of the session's length is left, or more than this of its open requests is used.
_SHARE_LEFT = 0.1
_REQUESTS_PERCENT = 80

#: A session as `session_state.store.describe` shows it, or one that is unreadable.
Session: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a list of sessions."""

    #: The name of a filter.
    only: str = "all"
    #: Words that a session must contain, in lower case.
    words: tuple[str, ...] = ()
    #: The most sessions of the reply; None for all.
    limit: int | None = None
    #: Where the page before ended; empty for the first.
    after: str = ""

    def takes(self, session: Session) -> bool:
        """Whether this session is wanted."""
        text = _text(session) if self.words else ""
        return FILTERS[self.only](session) and all(word in text for word in self.words)


def wanted(query: Mapping[str, str]) -> Wanted:
    """What the query of a request asks for. Raises ValueError, whose text says what is wrong with it."""
    only, limit = query.get("only", "all"), query.get("limit")
    if only not in FILTERS:
        raise ValueError(f"only: one of {', '.join(FILTERS)}")
    if limit is not None and not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= LIMIT_MAX):
        raise ValueError(f"limit: a number from 1 to {LIMIT_MAX}")
    words = tuple(query.get("search", "").lower().split())
    return Wanted(only, words, None if limit is None else int(limit), query.get("cursor", ""))


def _waiting(session: Session) -> list[Mapping[str, Any]]:
    """What is held and not released."""
    released = (session.get("release") or {}).get("seqs", ())
    return [head for head in session.get("held", ()) if head["seq"] not in released]


def _held_for(session: Session) -> int:
    """Milliseconds for which the oldest has been held; 0 if nothing is."""
    return max((head["since_ms_ago"] for head in _waiting(session)), default=0)


def _is_near_a_limit(session: Session) -> bool:
    left, end, began = (session.get(name) for name in ("ends_in_ms", "ends_at_ms", "began_at_ms"))
    ends = left is not None and end is not None and began is not None and left < _SHARE_LEFT * (end - began)
    return ends or (session.get("requests_percent") or 0) > _REQUESTS_PERCENT


#: By name.
FILTERS: Mapping[str, Callable[[Session], bool]] = {
    "all": lambda _: True,
    "held": lambda session: bool(_waiting(session)),
    "long": lambda session: _held_for(session) > _HELD_LONG,
    "near": _is_near_a_limit,
    "parked": lambda session: session.get("parked_ms_ago") is not None,
    "reconnecting": lambda session: session.get("slot") == "reconnecting",
    "unreadable": lambda session: "unreadable" in session,
}


def _text(session: Session) -> str:
    calls = " ".join(session.get("open_calls") or ())
    named = (session.get(name) or "" for name in ("session", "gateway", "slot", "response_id", "server"))
    return f"{' '.join(named)} {calls}".lower()
