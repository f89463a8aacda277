"""What is shown of journals as gateways write them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.continuity import journal
from session_state import journals
from session_state.journals import ITEMS_MAX, TEXT_MAX, described
from tests.unit.gateway.bench import committed, effective
from tests.unit.gateway.owner_bench import Owner, ready


def changed(owner: Owner, part: str, **fields: Any) -> dict[str, bytes]:
    """What the owner has written, with these fields of one part changed."""
    return owner.written | {part: orjson.dumps(orjson.loads(owner.written[part]) | fields)}


def texts(owner: Owner) -> list[tuple[Any, ...]]:
    """Of each item its role or type, its text, and what was heard of that."""
    return [(one["role"] or one["type"], one["text"], one["heard"]) for one in described(owner.written)["items"]]


def test_the_version_that_is_read_is_the_one_that_gateways_write() -> None:
    assert journals.VERSION == journal.VERSION


def test_what_was_said_is_shown_in_order_with_the_role_of_who_said_it() -> None:
    owner = ready()
    owner.says("Hello there", 900)
    owner.now += 5
    committed(owner, "u1")
    assert texts(owner)[-1] == ("user", None, None), "nobody has written it down yet"
    text = "What is the weather?"
    owner.event("conversation.item.input_audio_transcription.completed", item_id="u1", content_index=0, transcript=text)
    assert texts(owner) == [("user", "Hi", None), ("assistant", "Hello there", None), ("user", text, None)]
    assert [one["spoken"] for one in described(owner.written)["items"]] == [False, True, True]


def test_of_a_reply_that_the_client_has_not_played_it_is_shown_what_was_heard() -> None:
    owner = ready()
    owner.says("One two three four five six seven eight", 8_000)
    owner.now += 2
    owner.conversation.client_lost(owner.now)
    owner._drain()
    ((role, text, heard),) = texts(owner)[1:]
    assert (role, text) == ("assistant", "One two three four five six seven eight")
    assert heard
    assert text.startswith(heard)
    assert heard != text


@pytest.mark.parametrize(
    ("reply", "unheard", "heard"),
    [
        (None, {}, None),
        ({"heard": {"a1": "One"}}, {}, "One"),
        (None, {"a1": "One two"}, "One two"),
        ({"heard": {"a1": "One"}}, {"a1": ""}, ""),
        ({"heard": {"a1": "One two three "}}, {"other": "One"}, None),
    ],
)
def test_what_was_heard_is_in_either_of_two_parts(reply: Any, unheard: dict[str, str], heard: str | None) -> None:
    owner = ready()
    owner.conversation.context.transcript.said("resp_1", "a1", "One two three")
    owner.wait(0.0)
    parts = owner.written | {"reply": orjson.dumps(reply), "unheard": orjson.dumps(unheard)}
    assert [one["heard"] for one in described(parts)["items"]] == [heard]


def test_function_calls_are_shown_and_those_that_are_open() -> None:
    owner = ready()
    owner.created("resp_1", owner.requested(2))
    owner.call("resp_1", "call_1")
    owner.done("resp_1")
    found = described(owner.written)
    (call,) = [one for one in found["items"] if one["type"] == "function_call"]
    assert (call["name"], call["call_id"], call["text"]) == ("f", "call_1", "{}")
    assert found["open_calls"] == orjson.loads(owner.written["calls"])


def test_the_configuration_is_shown_without_what_could_be_a_secret() -> None:
    owner = Owner()
    tools = [
        {"type": "function", "name": "f", "description": "Does it.", "parameters": {"default": "SECRET"}},
        {
            "type": "mcp",
            "server_label": "m",
            "server_url": "https://SECRET",
            "authorization": "SECRET",
            "headers": {"X": "SECRET"},
        },
    ]
    owner.configured()
    owner.event(
        "session.updated",
        session=effective(
            model="gpt-realtime",
            tools=tools,
            tracing={"metadata": "SECRET"},
            prompt={"variables": {"key": "SECRET"}},
            audio={"input": {"transcription": {"model": "t", "prompt": "SECRET"}}, "output": {"voice": "marin"}},
        ),
    )
    shown = described(owner.written)["configuration"]
    assert shown == {
        "model": "gpt-realtime",
        "instructions": "Be kind.",
        "tools": [{"type": "function", "name": "f", "description": "Does it."}, {"type": "mcp", "server_label": "m"}],
        "audio": {"input": {"transcription": {"model": "t"}}, "output": {"voice": "marin"}},
    }
    assert b"SECRET" in owner.written["config"], "otherwise this shows nothing"
    assert "SECRET" not in str(described(owner.written))


def test_a_session_that_is_not_configured_has_no_configuration() -> None:
    owner = Owner()
    owner.event("session.created", session={})
    owner.wait(0.0)
    assert described(owner.written)["items"] == []


def test_the_newest_items_are_shown_and_long_texts_are_cut() -> None:
    owner = ready()
    for number in range(ITEMS_MAX + 5):
        owner.conversation.context.transcript.said("resp", f"a{number}", f"{number} " + TEXT_MAX * "x", complete=True)
        owner.conversation.context.transcript.cut(f"a{number}", f"{number}")
    owner.conversation.context.transcript.said("resp", "last", (TEXT_MAX + 1) * "x")
    owner.wait(0.0)
    found = described(owner.written)
    assert found["items_left_out"] == 6
    assert [one["text"] for one in found["items"]] == [*map(str, range(6, ITEMS_MAX + 5)), TEXT_MAX * "x" + "…"]


def test_what_is_nested_too_deeply_is_left_out() -> None:
    owner = ready()
    nested: Any = "x"
    for _ in range(50):
        nested = [nested]
    config = {"confirmed": {"tool_choice": nested, "model": 300 * ["y"]}}
    shown = described(owner.written | {"config": orjson.dumps(config)})["configuration"]
    assert "x" not in str(shown)
    assert len(shown["model"]) == 200


@pytest.mark.parametrize(
    "parts",
    [
        {"about": b"{}"},
        {"about": b"["},
        changed(ready(), "about", version=2),
        changed(ready(), "config", confirmed=7),
        ready().written | {"item:x": b"7"},
        ready().written | {"item:x": b'{"place":1,"id":"x","kind":"given","item":{"content":["?"]}}'},
    ],
)
def test_a_journal_of_another_version_cannot_be_read(parts: dict[str, bytes]) -> None:
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        described(parts)
