"""The configuration in force: appending, what cannot change any more, and the one update in flight."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.turn.upstream_config import Update, UpstreamConfig, merged
from turngate.protocol.messages import Configuration

_SPEED = "session.audio.output.speed"


def in_flight(session: dict[str, Any]) -> UpstreamConfig:
    made = UpstreamConfig()
    made.sent(Update("update-1", session, (1,), 0))
    return made


def test_appended_text_builds_on_what_the_upstream_confirmed() -> None:
    made = UpstreamConfig()
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
    assert made.refuse("cannot_update_voice", None).again
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
        ("unknown_parameter", "session.tools[0].strict", None),
        ("unknown_parameter", "session.nowhere", None),
        ("unknown_parameter", None, None),
        ("unknown_parameter", "session.type", None),
        # Without its format, audio would be noise.
        ("unknown_parameter", "session.audio.output.format", None),
        ("unknown_parameter", "session.audio.output.format.rate", None),
        ("unknown_parameter", "session.audio.output", None),
        ("unknown_parameter", "session.audio", None),
        ("invalid_value", "session.reasoning", None),
        ("cannot_update_voice", None, None),
        (None, None, None),
    ],
)
def test_which_refusals_name_a_field_to_do_without(code: str | None, param: str | None, left_out: str | None) -> None:
    session = {
        "type": "realtime",
        "reasoning": {},
        "tools": [{}],
        "audio": {"output": {"speed": 1.2, "format": {"rate": 1}}},
    }
    made = in_flight(session)
    assert made.refuse(code, param).again == (left_out is not None)
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
    made = UpstreamConfig()
    made.learn({"instructions": "Be helpful."})
    assert made.prepare(Configuration(append_instructions="B")).session["instructions"] == "Be helpful.\n\nB"


def in_force(**session: Any) -> UpstreamConfig:
    made = UpstreamConfig()
    made.confirm(session)
    return made


def test_a_reset_is_sent_only_where_there_is_something_to_reset() -> None:
    reset = Configuration(
        session={
            "audio": {
                "input": {"transcription": {"model": "m", "language": "", "keywords": []}},
                "output": {"speed": 1.0},
            }
        }
    )
    idle = {"audio": {"input": {"transcription": {"model": "m"}}, "output": {}}}
    assert UpstreamConfig().prepare(reset).session == {"type": "realtime", **idle}
    nothing = {"audio": {"input": {"transcription": {"language": "", "keywords": None}}, "output": {"speed": 1}}}
    assert in_force(**nothing).prepare(reset).session == {"type": "realtime", **idle}
    something = in_force(
        audio={"input": {"transcription": {"language": "de", "keywords": ["x"]}}, "output": {"speed": 1.2}}
    )
    assert something.prepare(reset).session == {"type": "realtime", **reset.session}
    slower = Configuration(session={"audio": {"output": {"speed": 0.8}}})
    assert UpstreamConfig().prepare(slower).session["audio"]["output"] == {"speed": 0.8}


@pytest.mark.parametrize(
    ("limit", "length", "kept", "told"), [(10, 10, 10, None), (10, 11, 10, 11), (0, 50_000, 50_000, None)]
)
def test_instructions_that_are_too_long_are_truncated(limit: int, length: int, kept: int, told: int | None) -> None:
    prepared = UpstreamConfig(limit).prepare(Configuration(session={"instructions": "x" * length}))
    assert (len(prepared.session["instructions"]), prepared.truncated_from) == (kept, told)


def test_what_is_appended_counts_too() -> None:
    made = UpstreamConfig(10)
    made.confirm({"instructions": "12345678"})
    prepared = made.prepare(Configuration(append_instructions="9"))
    assert (prepared.session["instructions"], prepared.truncated_from) == ("12345678\n\n", 11)
    assert made.prepare(Configuration(session={"tools": []})).truncated_from is None


def test_which_functions_the_model_has() -> None:
    tools = [{"type": "function", "name": "f"}, {"type": "mcp"}, None]
    assert UpstreamConfig().offers("g"), "nothing is known yet"
    assert in_force(tools=None).offers("g"), "a server that does not show them"
    assert in_force(tools=tools, prompt={"id": "p"}).offers("g"), "a stored prompt may bring its own"
    made = in_force(tools=tools, prompt=None)
    assert (made.offers("f"), made.offers("g")) == (True, False)
    made.sent(Update("update-1", {"tools": [{"type": "function", "name": "g"}]}, (1,), 0))
    made.confirm({"tools": []})
    assert (made.offers("f"), made.offers("g")) == (False, True)


def test_what_is_wrong_within_a_list_does_not_fix_the_list() -> None:
    made = in_flight({"tools": [{"type": "function", "name": "f", "strict": True}]})
    assert not made.refuse("unknown_parameter", "session.tools[0].strict").again
    assert made.prepare(Configuration(session={"tools": []})).left_out == ()


def test_a_server_that_does_not_show_its_configuration_has_taken_what_it_was_sent() -> None:
    made = UpstreamConfig()
    made.confirm({"instructions": "A", "audio": {"output": {"voice": "marin"}, "input": {"turn_detection": None}}})
    detection = {"type": "semantic_vad", "create_response": True}
    made.sent(Update("update-1", {"instructions": "B", "audio": {"input": {"turn_detection": detection}}}, (1,), 0))
    assert made.confirm({}) is not None
    assert made.server_responds
    assert made.confirmed["audio"]["output"] == {"voice": "marin"}
    assert made.prepare(Configuration(append_instructions="C")).session["instructions"] == "B\n\nC"
    assert made.confirm({}) is None
    assert made.confirmed["instructions"] == "B"


def test_merging_replaces_an_object_of_another_type() -> None:
    before = {"turn_detection": {"type": "server_vad", "threshold": 0.4}, "tools": [1]}
    assert merged(before, {"turn_detection": {"threshold": 0.6}})["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.6,
    }
    assert merged(before, {"turn_detection": {"type": "semantic_vad"}, "tools": []}) == {
        "turn_detection": {"type": "semantic_vad"},
        "tools": [],
    }


@pytest.mark.parametrize(
    ("in_force", "change", "sent"),
    [
        (
            {"type": "server_vad", "threshold": 0.4},
            {"silence_duration_ms": 300},
            {"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 300},
        ),
        ({"type": "server_vad", "threshold": 0.4}, {"type": "semantic_vad"}, {"type": "semantic_vad"}),
        (None, {"type": "semantic_vad"}, {"type": "semantic_vad"}),
    ],
)
def test_a_change_of_turn_detection_is_completed_with_what_is_in_force(in_force: Any, change: Any, sent: Any) -> None:
    made = UpstreamConfig()
    made.confirm({"audio": {"input": {"turn_detection": in_force}}})
    prepared = made.prepare(Configuration(session={"audio": {"input": {"turn_detection": change}}}))
    assert prepared.session["audio"]["input"]["turn_detection"] == sent


def test_a_change_of_turn_detection_changes_nothing_where_that_is_off() -> None:
    made = UpstreamConfig()
    made.confirm({"audio": {"input": {"turn_detection": None}}})
    change = {"audio": {"input": {"turn_detection": {"eagerness": "low"}, "transcription": None}}}
    assert made.prepare(Configuration(session=change)).session["audio"]["input"] == {"transcription": None}
