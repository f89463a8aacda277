"""Merging of intents: configuration field by field, later ``seq`` first, and exclusive responses alone."""

from __future__ import annotations

from typing import Any

from translator.mapping.release import merge, merge_configurations
from turngate.protocol.messages import Configuration, Intent, Release, ResponseRequest, SendRelease


def configuration(seq: int, **session: Any) -> Intent:
    return Intent(seq=seq, configuration=Configuration(session=session))


def response(seq: int, exclusive: bool = False, **overrides: Any) -> Intent:
    return Intent(seq=seq, response=ResponseRequest(overrides=overrides, exclusive=exclusive))


def released(*intents: Intent) -> SendRelease:
    return merge(Release(id="r", session="s", gateway="g", intents=intents))


def test_intents_in_any_order_become_one_update_and_one_response() -> None:
    command = released(response(4), configuration(3, instructions="B"), response(1), configuration(2, instructions="A"))
    assert (command.release, command.session) == ("r", "s")
    assert (command.configures, command.responds) == ((2, 3), (1, 4))
    assert command.configuration == Configuration(session={"instructions": "B"})
    assert command.response == ResponseRequest()


def test_what_is_not_granted_is_not_sent() -> None:
    assert released(response(1)).configuration is None
    assert released(configuration(1)).response is None


def test_objects_merge_field_by_field_and_variants_replace() -> None:
    first: dict[str, Any] = {
        "audio": {"output": {"voice": "ash", "speed": 1.2}, "input": {"turn_detection": {"type": "server_vad", "x": 1}}}
    }
    second = {
        "audio": {"output": {"voice": "sage"}, "input": {"turn_detection": {"type": "semantic_vad"}}},
        "tools": [],
    }
    command = released(configuration(1, **first), configuration(2, **second))
    assert command.configuration is not None
    assert command.configuration.session == {
        "audio": {"output": {"voice": "sage", "speed": 1.2}, "input": {"turn_detection": {"type": "semantic_vad"}}},
        "tools": [],
    }


def test_transcriptions_merge_like_two_updates_upstream() -> None:
    changes = [
        Configuration(session={"audio": {"input": {"transcription": {"model": "m", "prompt": "Oslo"}}}}),
        Configuration(session={"audio": {"input": {"transcription": {"model": "m", "language": "no"}}}}),
    ]
    merged = merge_configurations(changes).session["audio"]["input"]["transcription"]
    assert merged == {"model": "m", "prompt": "Oslo", "language": "no"}


def test_null_replaces_an_object() -> None:
    merged = merge_configurations([Configuration(session={"a": {"b": 1}}), Configuration(session={"a": None})])
    assert merged.session == {"a": None}


def test_appended_text_follows_the_earlier_instructions() -> None:
    def text(*changes: Configuration) -> tuple[Any, str | None]:
        merged = merge_configurations(list(changes))
        return merged.session.get("instructions"), merged.append_instructions

    def set_to(value: str) -> Configuration:
        return Configuration(session={"instructions": value})

    def add(value: str) -> Configuration:
        return Configuration(append_instructions=value)

    assert text(add("B"), add("C")) == (None, "B\n\nC")
    assert text(set_to("A"), add("B"), add("C")) == ("A\n\nB\n\nC", None)
    assert text(add("B"), set_to("A")) == ("A", None)
    assert text(add("B"), set_to("A"), add("C")) == ("A\n\nC", None)
    assert text(set_to(""), add("B")) == ("B", None)
    assert text(add("B"), Configuration(session={"tools": []})) == (None, "B")
    assert text(set_to("A"), Configuration(session={"tools": []})) == ("A", None)


def test_an_exclusive_response_is_never_merged() -> None:
    assert released(response(1, exclusive=True, instructions="say x"), response(2)).responds == (1,)
    assert released(response(1), response(2, exclusive=True), response(3)).responds == (1, 3)
    alone = released(response(1, exclusive=True, instructions="say x")).response
    assert alone == ResponseRequest(overrides={"instructions": "say x"}, exclusive=True)
    words = ResponseRequest(exclusive=True, interrupts=True)
    assert released(Intent(seq=1, response=words), response(2)).response == words


def test_the_rest_of_a_reply_goes_first() -> None:
    said = Intent(seq=3, response=ResponseRequest(exclusive=True, first=True))
    assert released(response(1, exclusive=True), response(2), said).responds == (3,)
    asked = Intent(seq=3, response=ResponseRequest(append_instructions="Go on.", first=True))
    together = released(response(1, exclusive=True), response(2), asked)
    assert together.responds == (2, 3)
    assert together.response is not None
    assert together.response.append_instructions == "Go on."


def test_overrides_of_plain_responses_merge() -> None:
    command = released(response(1, tool_choice="none"), response(2, max_output_tokens=5))
    assert command.response == ResponseRequest(overrides={"tool_choice": "none", "max_output_tokens": 5})
