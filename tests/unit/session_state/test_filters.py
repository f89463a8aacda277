"""The filters of ``GET /sessions``: the same sessions as in the console."""

from __future__ import annotations

from typing import Any

import pytest

from session_state.filters import FILTERS, wanted

HEAD = {"seq": 4, "kind": "response", "since_ms_ago": 6_000, "answers": []}
IDLE: dict[str, Any] = {
    "session": "s-1",
    "server": "one",
    "gateway": "Gateway-7",
    "slot": "idle",
    "response_id": None,
    "open_calls": ["call_9"],
    "held": [],
    "release": None,
    "parked_ms_ago": None,
    "requests_percent": 10,
    "began_at_ms": 0,
    "ends_at_ms": 1_000,
    "ends_in_ms": 500,
}
SESSIONS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "idle": (IDLE, set()),
    "held": (IDLE | {"held": [HEAD | {"since_ms_ago": 5_000}]}, {"held"}),
    "held for long": (IDLE | {"held": [HEAD | {"since_ms_ago": 5_001}]}, {"held", "long"}),
    "released": (IDLE | {"held": [HEAD], "release": {"seqs": [4]}}, set()),
    "parked": (IDLE | {"parked_ms_ago": 0}, {"parked"}),
    "reconnecting": (IDLE | {"slot": "reconnecting"}, {"reconnecting"}),
    "near its end": (IDLE | {"ends_in_ms": 99}, {"near"}),
    "not near its end": (IDLE | {"ends_in_ms": 100}, set()),
    "near its requests": (IDLE | {"requests_percent": 81}, {"near"}),
    "unreadable": ({"session": "s-1", "heartbeat_ms_ago": 1, "unreadable": "why"}, {"unreadable"}),
}


@pytest.mark.parametrize(("session", "filters"), SESSIONS.values(), ids=SESSIONS)
def test_which_filters_take_a_session(session: dict[str, Any], filters: set[str]) -> None:
    assert {name for name in FILTERS if wanted({"only": name}).takes(session)} == filters | {"all"}


@pytest.mark.parametrize(
    ("words", "found"),
    [("", True), ("gateway-7", True), ("IDLE s-1", True), ("call_9", True), ("one", True), ("idle two", False)],
)
def test_every_word_must_be_in_it(words: str, found: bool) -> None:
    assert wanted({"search": words}).takes(IDLE) is found
    assert wanted({"search": "s-1"}).takes(SESSIONS["unreadable"][0])


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"limit": ""}, {"only": "some"}])
def test_what_cannot_be_asked_for(query: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(query))):
        wanted(query)


def test_what_is_asked_for_by_default() -> None:
    everything = wanted({})
    assert (everything.limit, everything.after, everything.only, everything.words) == (None, "", "all", ())
    assert wanted({"limit": "1000", "cursor": "one:s"}).limit == 1_000
