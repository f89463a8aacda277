"""Every event that is logged is declared, with what to do about it; every declared one is logged; the page has all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.docs.logs import PACKAGES, Use, catalogues, page, uses_in
from turngate.process.log_event import NOTHING

_ROOT = Path(__file__).parents[4]
_DECLARED = catalogues()
_EVENTS = {Use(catalogue, event.name): event for catalogue, events in _DECLARED.items() for event in events}


def _used() -> set[Use]:
    paths = [path for package in PACKAGES for path in (_ROOT / package).rglob("*.py")]
    return {use for path in paths for use in uses_in(path.read_text("utf-8"))}


def test_what_is_logged_is_declared_and_what_is_declared_is_logged() -> None:
    assert _used() == set(_EVENTS)


def test_uses_are_found_under_any_name_of_the_catalogue() -> None:
    source = (
        "from gateway import log_events\n"
        "from turngate.process import log_events as process_events\n"
        "other.unrelated()\n"
        "def f(bad: bool) -> None:\n"
        "    process_events.stopped()\n"
        "    event = log_events.one if bad else log_events.another\n"
    )
    used = {
        ("gateway.log_events", "one"),
        ("gateway.log_events", "another"),
        ("turngate.process.log_events", "stopped"),
    }
    assert {(use.catalogue, use.event) for use in uses_in(source)} == used


def test_names_are_unique() -> None:
    names = [use.event for use in _EVENTS]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("use", _EVENTS, ids=lambda use: use.event)
def test_an_event_says_what_it_means_and_what_to_do(use: Use) -> None:
    event = _EVENTS[use]
    assert event.meaning.endswith(".")
    assert event.remedy.endswith(".")
    assert event.level in ("info", "debug") or event.remedy != NOTHING, "nobody is called for nothing"
    assert "session" not in event.parameters, "it is bound to the context"


def test_the_page_has_every_event_with_its_services_and_fields() -> None:
    users = {Use("gateway.log_events", "client_lost"): ["gateway", "another"]}
    rows = [line for line in page(_DECLARED, users).splitlines() if line.startswith("| `client_lost`")]
    assert [row.split(" | ")[1:3] for row in rows] == [["gateway, another", "`session`, `code`"]]
    text = page(_DECLARED, {})
    assert [use.event for use in _EVENTS if f"\n| `{use.event}` |" not in text] == []
