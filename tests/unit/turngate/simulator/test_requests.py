"""Invalid frames, unknown events, and the options of ``response.create``."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.turngate.simulator.client import CITIES, CLOCK, Client, error, of, only, reply, text_item
from turngate.simulator.frames import Event
from turngate.simulator.realtime_session import CLIENT_EVENTS


class TestFrames:
    @pytest.mark.parametrize(
        ("frame", "code", "param"),
        [
            (b"\x00\x01", "invalid_event", None),
            (b"{}", "invalid_event", None),
            ("hello", "invalid_json", None),
            ('{"type": ', "invalid_json", None),
            ("[]", "invalid_event", None),
            ("[" * 900 + "]" * 900, "invalid_json", None),
            ('{"type": "session.update", "session": ' + '{"a": ' * 100 + "0" + "}" * 101, "invalid_json", None),
            ("{}", "invalid_event", "type"),
            ('{"type": "session.close"}', "invalid_value", "type"),
            ('{"type": 7}', "invalid_value", "type"),
            ('{"type": []}', "invalid_value", "type"),
        ],
    )
    def test_bad(self, client: Client, frame: str | bytes, code: str, param: str | None) -> None:
        refused = error(client.frame(frame))
        assert (refused["code"], refused["param"]) == (code, param)
        assert client.configure(), "the session continues"

    def test_the_error_for_an_unknown_type_lists_the_known_ones(self, client: Client) -> None:
        message = error(client.send("output_audio_buffer.clear"))["message"]
        assert all(f"'{kind}'" in message for kind in CLIENT_EVENTS)

    def test_many_brackets_are_not_nested(self, client: Client) -> None:
        item = text_item("[{" * 200)
        event = orjson.dumps({"type": "conversation.item.create", "item": item}).decode()
        assert len(client.frame(event)) == 2

    def test_text_frames_and_parsed_objects_are_equivalent(self, client: Client) -> None:
        event = {"type": "conversation.item.create", "item": text_item("hello")}
        assert [made["type"] for made in client.frame(orjson.dumps(event).decode())] == [
            made["type"] for made in client.frame(event)
        ]

    def test_an_unknown_field_of_the_event(self, client: Client) -> None:
        refused = error(client.send("response.create", nonsense=1, event_id="mine"))
        assert (refused["code"], refused["param"], refused["event_id"]) == ("unknown_parameter", "nonsense", "mine")

    @pytest.mark.parametrize("event_id", ["x" * 513, 7])
    def test_a_bad_event_id(self, client: Client, event_id: Any) -> None:
        assert error(client.send("response.create", event_id=event_id))["param"] == "event_id"

    def test_the_servers_own_ids_are_unique(self, client: Client) -> None:
        client.ask("hello")
        ids = [event["event_id"] for event in client.events]
        assert len(set(ids)) == len(ids)


REFUSED = [
    ({"temperature": 1}, "unknown_parameter", "response.temperature"),
    ({"turn_detection": None}, "unknown_parameter", "response.turn_detection"),
    ({"audio": {"output": {"speed": 1.0}}}, "unknown_parameter", "response.audio.output.speed"),
    ({"audio": {"input": {}}}, "unknown_parameter", "response.audio.input"),
    ({"conversation": "other"}, "invalid_value", "response.conversation"),
    ({"output_modalities": ["text", "audio"]}, "invalid_value", "response.output_modalities"),
    ({"metadata": {f"k{index}": "v" for index in range(17)}}, "object_above_max_properties", "response.metadata"),
    ({"metadata": {"k" * 65: "v"}}, "invalid_value", "response.metadata"),
    ({"metadata": {"k": "v" * 513}}, "string_above_max_length", "response.metadata.k"),
    ({"metadata": {"k": 1}}, "invalid_value", "response.metadata.k"),
    ({"max_output_tokens": 4097}, "integer_above_max_value", "response.max_output_tokens"),
    ({"tools": [{"type": "function"}]}, "missing_required_parameter", "response.tools[0].name"),
    ({"tool_choice": {"type": "function", "name": "x"}}, "invalid_value", "response.tool_choice"),
    ({"input": [{"type": "item_reference", "id": "nowhere"}]}, "invalid_value", "response.input[0].id"),
    ({"input": [{"type": "message", "role": "user"}]}, "missing_required_parameter", "response.input[0].content"),
    ({"input": {}}, "invalid_value", "response.input"),
    ({"instructions": None}, "invalid_value", "response.instructions"),
]


@pytest.mark.parametrize(("response", "code", "param"), REFUSED, ids=[f"{code}-{param}" for _, code, param in REFUSED])
def test_refused(client: Client, response: Event, code: str, param: str) -> None:
    refused = error(client.send("response.create", event_id="mine", response=response))
    assert (refused["code"], refused["param"], refused["event_id"]) == (code, param, "mine")
    assert client.settle() == [], "and nothing began"
    assert client.send("response.create") == [], "and the slot is free"


class TestOverrides:
    def test_metadata_comes_back(self, client: Client) -> None:
        events = client.ask("hello", metadata={"ref": "a"})
        for kind in ("response.created", "response.done"):
            assert only(events, kind)["response"]["metadata"] == {"ref": "a"}

    def test_null_metadata_and_a_null_response(self, client: Client) -> None:
        client.send("response.create", response=None)
        client.settle()
        assert only(client.ask("hello", metadata=None), "response.created")["response"]["metadata"] is None

    def test_instructions_replace_the_sessions_for_one_response(self, client: Client) -> None:
        client.configure(instructions="Be kind.")
        question = "What are your instructions?"
        assert reply(client.ask(question, instructions="Be brief.")) == "My instructions are: Be brief."
        assert reply(client.ask(question)) == "My instructions are: Be kind."

    def test_modalities_and_voice_and_format(self, client: Client) -> None:
        output = {"voice": "cedar", "format": {"type": "audio/pcmu"}}
        events = client.ask("hello", output_modalities=["audio"], audio={"output": output})
        assert of(events, "response.output_audio.delta")
        created = only(events, "response.created")["response"]
        assert created["audio"]["output"] == output
        assert created["output_modalities"] == ["audio"]

    def test_tools(self, client: Client) -> None:
        client.configure(tools=[CITIES])
        assert reply(client.ask("The weather in Oslo?", tools=[])) == "You said: The weather in Oslo?"
        assert of(client.ask("The time?", tools=[CLOCK]), "response.function_call_arguments.done")

    def test_input_is_the_context(self, client: Client) -> None:
        client.say("Nobody hears this")
        old = client.say("red")
        items = [{"type": "item_reference", "id": old}, text_item("and blue")]
        client.send("response.create", response={"conversation": "none", "input": items})
        assert reply(client.settle()) == "You said: red and blue"
        client.send("response.create", response={"input": []})
        assert reply(client.settle()) == "Hello! How can I help you?"
