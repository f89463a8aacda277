"""The configuration in force: appending, what cannot change any more, and the one update in flight."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.broker import Configuration
from gateway.configuration import SessionConfiguration, Update

_SPEED = "session.audio.output.speed"


def in_flight(session: dict[str, Any]) -> SessionConfiguration:
    made = SessionConfiguration()
    made.sent(Update("update-1", session, (1,), 0))
    return made


def test_appended_text_builds_on_what_the_upstream_confirmed() -> None:
    made = SessionConfiguration()
    assert made.prepare(Configuration(append_instructions="B")).session == {"type": "realtime", "instructions": "B"}
    made.confirm({"instructions": "A"})
    assert made.prepare(Configuration(append_instructions="B")).session["instructions"] == "A\n\nB"


def test_preparing_does_not_change_the_command() -> None:
    change = Configuration(session={"audio": {"output": {"voice": "ash"}}})
    made = in_flight(change.session)
    made.refuse("cannot_update_voice", None)
    assert made.prepare(change).session == {"type": "realtime", "audio": {"output": {}}}
    assert change.session == {"audio": {"output": {"voice": "ash"}}}


def test_a_confirmation_ends_the_update_and_says_who_responds() -> None:
    made = in_flight({})
    update = made.confirm({"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}})
    assert update is not None
    assert update.event_id == "update-1"
    assert not made.server_responds
    assert made.confirm({"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}) is None
    assert made.server_responds
    made.confirm({"audio": {"input": {"turn_detection": None}}})
    assert not made.server_responds
    made.confirm({"audio": None})
    assert not made.server_responds


def test_the_voice_that_cannot_change_is_left_out_from_then_on_unless_it_is_the_same() -> None:
    made = in_flight({"instructions": "A", "audio": {"output": {"voice": "ash"}}})
    made.update = None
    made.confirm({"audio": {"output": {"voice": "marin"}}})
    made.sent(Update("update-2", {"audio": {"output": {"voice": "ash"}}}, (2,), 0))
    refused = made.refuse("cannot_update_voice", None)
    assert refused is not None
    assert refused[1]
    prepared = made.prepare(Configuration(session={"instructions": "B", "audio": {"output": {"voice": "ash"}}}))
    assert prepared.left_out == ("audio.output.voice",)
    assert prepared.session == {"type": "realtime", "instructions": "B", "audio": {"output": {}}}
    same = made.prepare(Configuration(session={"audio": {"output": {"voice": "marin"}}}))
    assert same.left_out == ()
    assert made.prepare(Configuration(session={"instructions": "C"})).left_out == ()


@pytest.mark.parametrize(
    ("code", "param", "left_out"),
    [
        ("unknown_parameter", "session.reasoning", "reasoning"),
        ("unknown_parameter", "session.audio.output.speed", "audio.output.speed"),
        ("unknown_parameter", "session.tools[0].strict", "tools"),
        ("unknown_parameter", "session.nowhere", None),
        ("unknown_parameter", None, None),
        ("unknown_parameter", "session.type", None),
        ("invalid_value", "session.reasoning", None),
        ("cannot_update_voice", None, None),
        (None, None, None),
    ],
)
def test_which_refusals_name_a_field_to_do_without(code: str | None, param: str | None, left_out: str | None) -> None:
    session = {"type": "realtime", "reasoning": {}, "tools": [{}], "audio": {"output": {"speed": 1}}}
    made = in_flight(session)
    refused = made.refuse(code, param)
    assert refused is not None
    assert refused[1] == (left_out is not None)
    assert made.prepare(Configuration(session=session)).left_out == ((left_out,) if left_out is not None else ())


def test_a_speed_that_met_a_response_is_tried_again() -> None:
    session = {"type": "realtime", "audio": {"output": {"speed": 1.2, "voice": "ash"}}}
    made = in_flight(session)
    update = made.update
    assert update is not None
    assert made.refuse("invalid_value", _SPEED, occupied=True) == (update, True, False)
    assert made.prepare(Configuration(session=session)).left_out == ()
    made.sent(update)
    assert made.refuse("invalid_value", _SPEED) == (update, True, True), "the response is not announced yet"
    made.sent(update)
    assert made.refuse("invalid_value", _SPEED) == (update, False, False), "and then it was no response after all"
    made.confirm({})
    made.sent(update)
    assert made.refuse("invalid_value", _SPEED) == (update, True, True)
    made.sent(update)
    assert made.refuse("invalid_value", "session.audio.output.voice", occupied=True) == (update, False, False)


def test_text_is_appended_to_what_the_upstream_began_with() -> None:
    made = SessionConfiguration()
    made.learn({"instructions": "Be helpful."})
    assert made.prepare(Configuration(append_instructions="B")).session["instructions"] == "Be helpful.\n\nB"


def test_a_refusal_of_nothing_is_nothing() -> None:
    assert SessionConfiguration().refuse("invalid_value", None) is None
