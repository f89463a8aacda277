"""Items: creating, retrieving, truncating and deleting them, and the errors for invalid requests."""

from __future__ import annotations

from typing import Any

import pybase64
import pytest

from tests.unit.turngate.simulator.client import CITIES, Client, error, only, sound, text_item
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.frames import Event

CALL = {"type": "function_call", "name": "get_weather", "arguments": "{}", "call_id": "call_1"}


def message(role: str, content: Any, **fields: Any) -> Event:
    return {"type": "message", "role": role, "content": content, **fields}


def create(client: Client, item: Event, **fields: Any) -> list[Event]:
    return client.send("conversation.item.create", item=item, **fields)


def order(client: Client) -> list[str]:
    """The ids of all items, first to last."""
    return [item.wire["id"] for item in client.session._items.newest_first()][::-1]


@pytest.mark.parametrize(
    "item",
    [
        text_item("hello"),
        message("system", [{"type": "input_text", "text": "Be kind."}]),
        message("assistant", [{"type": "output_text", "text": "Hello."}]),
        message("user", [{"type": "input_audio", "audio": sound(200), "transcript": "hello"}]),
        message("user", [{"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}]),
        message("user", []),
        CALL,
        {"type": "function_call", "name": "x", "arguments": ""},
    ],
)
def test_created(client: Client, item: Event) -> None:
    added, done = create(client, item)
    assert added["item"] == done["item"]
    assert added["item"]["status"] == "completed"


REFUSED = [
    ({"type": "other"}, "invalid_value", "item.type"),
    ({"role": "user", "content": []}, "missing_required_parameter", "item.type"),
    (message("robot", []), "invalid_value", "item.role"),
    ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
    (message("user", "hello"), "invalid_value", "item.content"),
    (message("user", [{"type": "text", "text": "x"}]), "invalid_value", "item.content[0].type"),
    (message("system", [{"type": "text", "text": "x"}]), "invalid_value", "item.content[0].type"),
    (message("assistant", [{"type": "text", "text": "x"}]), "invalid_value", "item.content[0].type"),
    (message("user", [{"type": "output_text", "text": "x"}]), "invalid_value", "item.content[0].type"),
    (message("system", [{"type": "input_audio", "audio": ""}]), "invalid_value", "item.content[0].type"),
    (message("assistant", [{"type": "input_text", "text": "x"}]), "invalid_value", "item.content[0].type"),
    (message("assistant", [{"type": "output_audio", "transcript": "x"}]), "invalid_value", "item.content[0].type"),
    (message("user", [{"type": "input_text"}]), "missing_required_parameter", "item.content[0].text"),
    (message("user", [{"type": "input_audio", "audio": "*"}]), "invalid_value", "item.content[0].audio"),
    (message("user", [{"type": "input_image", "image_url": "http://x"}]), "invalid_value", "item.content[0].image_url"),
    (text_item("x", id="i" * 33), "string_above_max_length", "item.id"),
    (text_item("x", id="a b"), "invalid_value", "item.id"),
    (text_item("x", nonsense=1), "unknown_parameter", "item.nonsense"),
    ({**CALL, "call_id": "no/slash"}, "invalid_value", "item.call_id"),
    ({**CALL, "call_id": "c" * 33}, "string_above_max_length", "item.call_id"),
    ({"type": "function_call", "name": "x"}, "missing_required_parameter", "item.arguments"),
    ({"type": "function_call_output", "call_id": "none", "output": "x"}, "invalid_tool_call_id", "item.call_id"),
    ({"type": "function_call_output", "call_id": "none"}, "missing_required_parameter", "item.output"),
    ({"type": "function_call_output", "call_id": "none", "output": {}}, "invalid_value", "item.output"),
]


@pytest.mark.parametrize(("item", "code", "param"), REFUSED, ids=[f"{code}-{param}" for _, code, param in REFUSED])
def test_refused(client: Client, item: Event, code: str, param: str) -> None:
    refused = error(create(client, item, event_id="mine"))
    assert (refused["code"], refused["param"], refused["event_id"]) == (code, param, "mine")
    assert order(client) == []


def test_the_error_for_an_orphan_result_names_the_call(client: Client) -> None:
    refused = error(create(client, {"type": "function_call_output", "call_id": "call_x", "output": ""}))
    assert refused["message"] == "Tool call ID 'call_x' not found in conversation."


def test_duplicate_ids(client: Client) -> None:
    create(client, text_item("first", id="mine"))
    assert error(create(client, text_item("second", id="mine")))["code"] == "item_create_duplicate_item_id"
    create(client, CALL)
    assert error(create(client, CALL))["param"] == "item.call_id"
    assert len(order(client)) == 2


def test_previous_item_id(client: Client) -> None:
    create(client, text_item("b", id="b"))
    assert create(client, text_item("d", id="d"), previous_item_id=None)[0]["previous_item_id"] == "b"
    assert create(client, text_item("c", id="c"), previous_item_id="b")[0]["previous_item_id"] == "b"
    assert create(client, text_item("a", id="a"), previous_item_id="root")[0]["previous_item_id"] is None
    assert order(client) == ["a", "b", "c", "d"]
    refused = error(create(client, text_item("e", id="e"), previous_item_id="nowhere"))
    assert (refused["code"], refused["param"]) == ("invalid_value", "previous_item_id")
    assert order(client) == ["a", "b", "c", "d"]


def test_a_result_for_a_call_that_was_made(client: Client) -> None:
    create(client, CALL)
    added, _ = create(client, {"type": "function_call_output", "call_id": "call_1", "output": "rain"})
    assert added["item"]["output"] == "rain"


def test_a_deleted_call_accepts_no_result(client: Client) -> None:
    added, _ = create(client, CALL)
    client.send("conversation.item.delete", item_id=added["item"]["id"])
    refused = error(create(client, {"type": "function_call_output", "call_id": "call_1", "output": "rain"}))
    assert refused["code"] == "invalid_tool_call_id"


def test_retrieve_returns_the_audio(client: Client) -> None:
    audio = sound(300)
    client.hear(audio)
    committed, added, _ = client.send("input_audio_buffer.commit")
    assert "audio" not in added["item"]["content"][0]
    (retrieved,) = client.send("conversation.item.retrieve", item_id=committed["item_id"])
    assert retrieved["item"]["content"][0]["audio"] == audio


def test_created_audio_is_retrieved_and_heard(client: Client) -> None:
    item = message("user", [{"type": "input_audio", "audio": sound(1500)}], id="mine")
    added, _ = create(client, item)
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    (retrieved,) = client.send("conversation.item.retrieve", item_id="mine")
    assert retrieved["item"]["content"][0]["audio"] == sound(1500)
    client.send("response.create")
    assert client.until("response.output_text.done")["text"] == "I heard you speak for 1.5 seconds."


@pytest.mark.parametrize("fmt", ["audio/pcm", "audio/pcmu"])
def test_retrieve_returns_the_assistants_audio(fmt: str) -> None:
    client = Client()
    client.configure(audio={"output": {"format": {"type": fmt}}})
    events = client.ask("Good morning")
    item = only(events, "response.output_item.done")["item"]["id"]
    (retrieved,) = client.send("conversation.item.retrieve", item_id=item)
    streamed = b"".join(pybase64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")
    assert pybase64.b64decode(retrieved["item"]["content"][0]["audio"], validate=True) == streamed


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("retrieve", "item_retrieve_invalid_item_id"),
        ("truncate", "item_truncate_invalid_item_id"),
        ("delete", "item_delete_invalid_item_id"),
    ],
)
def test_unknown_items(client: Client, kind: str, code: str) -> None:
    more = {"content_index": 0, "audio_end_ms": 0} if kind == "truncate" else {}
    refused = error(client.send(f"conversation.item.{kind}", item_id="nowhere", event_id="mine", **more))
    assert (refused["code"], refused["param"], refused["event_id"]) == (code, "item_id", "mine")


def test_delete(client: Client) -> None:
    item = client.say("hello")
    (deleted,) = client.send("conversation.item.delete", item_id=item)
    assert (deleted["type"], deleted["item_id"]) == ("conversation.item.deleted", item)
    assert order(client) == []


def spoken(client: Client) -> str:
    """Let the assistant say something; returns the item's id."""
    return str(only(client.ask("Good morning"), "response.output_item.done")["item"]["id"])


class TestTruncate:
    def test_audio_is_cut_and_the_transcript_removed(self) -> None:
        client = Client()
        item = spoken(client)
        (truncated,) = client.send(
            "conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=500, event_id="mine"
        )
        assert truncated["type"] == "conversation.item.truncated"
        assert truncated["audio_end_ms"] == 500
        (retrieved,) = client.send("conversation.item.retrieve", item_id=item)
        (part,) = retrieved["item"]["content"]
        assert part.get("transcript") is None
        assert len(pybase64.b64decode(part["audio"], validate=True)) == 500 * 48

    def test_beyond_the_end(self) -> None:
        client = Client()
        item = spoken(client)
        refused = error(client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=99_999))
        assert refused["code"] == "invalid_value"
        assert "is already shorter than 99999ms" in refused["message"]

    def test_a_second_truncation_sees_the_length_left_by_the_first(self) -> None:
        client = Client()
        item = spoken(client)
        client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=0)
        assert (
            "already shorter"
            in error(client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=100))[
                "message"
            ]
        )

    def test_while_it_is_spoken(self) -> None:
        client = Client()
        client.say("[say 30 words]")
        client.send("response.create")
        item = client.until("response.output_item.added")["item"]["id"]
        client.wait(0.5)
        (truncated,) = client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=400)
        assert truncated["type"] == "conversation.item.truncated"
        client.wait(1)
        client.send("response.cancel")
        done = only(client.settle(), "conversation.item.done")["item"]
        assert done["content"][0].get("transcript") is None
        (retrieved,) = client.send("conversation.item.retrieve", item_id=item)
        assert len(pybase64.b64decode(retrieved["item"]["content"][0]["audio"])) == 400 * 48

    @pytest.mark.parametrize("role", ["user", "assistant"])
    def test_only_the_models_audio(self, client: Client, role: str) -> None:
        item = client.say("hello") if role == "user" else spoken(client)
        refused = error(client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=0))
        assert refused["message"] == "Only model output audio messages can be truncated"

    def test_only_the_first_part(self) -> None:
        client = Client()
        refused = error(
            client.send("conversation.item.truncate", item_id=spoken(client), content_index=1, audio_end_ms=0)
        )
        assert refused["param"] == "content_index"

    def test_its_fields(self, client: Client) -> None:
        assert error(client.send("conversation.item.truncate", item_id="x"))["param"] == "content_index"
        refused = error(client.send("conversation.item.truncate", item_id="x", content_index=0, audio_end_ms=-1))
        assert refused["code"] == "integer_below_min_value"


def test_a_full_conversation_drops_the_oldest_item_without_an_event() -> None:
    client = Client(Behaviour(max_items=2))
    ids = [client.say(text) for text in ("a", "b", "c")]
    assert order(client) == ids[1:]


def test_a_full_conversation_drops_the_oldest_audio() -> None:
    client = Client(Behaviour(max_audio_bytes=48 * 500))
    client.configure(audio={"input": {"turn_detection": None}})
    items = []
    for _ in range(3):
        client.hear(sound(240))
        items.append(client.send("input_audio_buffer.commit")[0]["item_id"])
    has_audio = [
        "audio" in client.send("conversation.item.retrieve", item_id=item)[0]["item"]["content"][0] for item in items
    ]
    assert has_audio == [False, True, True]


def test_an_item_deleted_while_it_is_made_stays_deleted(client: Client) -> None:
    client.configure(tools=[CITIES])
    client.say("[say 30 words]")
    client.send("response.create")
    item = client.until("response.output_item.added")["item"]["id"]
    client.send("conversation.item.delete", item_id=item)
    client.settle()
    assert item not in order(client)
