"""Conversation items, and requests for responses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.translator.events import event, settings, translated
from translator.mapping.defaults import Defaults
from translator.mapping.routes import translate


def test_a_user_message_is_an_item_and_requests_a_response() -> None:
    result = translated({"type": "InjectUserMessage", "content": "hi"})
    assert result.items == (
        {
            "id": "0123456789ab_1_0",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "hi"}],
        },
    )
    assert result.intent is not None
    assert result.intent.response is not None
    assert not result.intent.response.exclusive
    assert result.intent.answers == ()


def test_an_agent_message_is_an_exclusive_response() -> None:
    result = translated({"type": "InjectAgentMessage", "message": "Goodbye, Ann."})
    assert result.items == ()
    assert result.intent is not None
    assert result.intent.response is not None
    assert result.intent.response.exclusive
    assert "Goodbye, Ann." in result.intent.response.overrides["instructions"]
    assert result.intent.response.overrides["tool_choice"] == "none"


@pytest.mark.parametrize(("behavior", "interrupts"), [("default", False), ("queue", False), ("interrupt", True)])
def test_only_an_interrupting_agent_message_does_not_wait_for_the_user(behavior: str, interrupts: bool) -> None:
    result = translated({"type": "InjectAgentMessage", "message": "Stop!", "behavior": behavior})
    assert result.intent is not None
    assert result.intent.response is not None
    assert result.intent.response.interrupts is interrupts


def test_the_end_of_the_users_turn_requests_a_response() -> None:
    result = translated({"type": "UserTurnEnded"})
    assert result.items == ()
    assert result.intent is not None
    assert result.intent.response is not None
    assert result.intent.response.overrides == {}


def test_a_reply_that_was_cut_off_is_gone_on_with_before_anything_else() -> None:
    result = translated({"type": "ReplyCutOff", "heard": "One two"})
    assert result.intent is not None
    response = result.intent.response
    assert response is not None
    assert (response.overrides, response.exclusive, response.first) == ({}, False, True)
    assert response.append_instructions is not None
    assert response.append_instructions.endswith("\n\nOne two")


def test_the_rest_of_given_words_is_said_as_given() -> None:
    result = translated({"type": "ReplyCutOff", "heard": "One two", "rest": "three."})
    assert result.intent is not None
    response = result.intent.response
    assert response is not None
    assert (response.exclusive, response.first, response.append_instructions) == (True, True, None)
    assert response.overrides["instructions"].endswith("\n\nthree.")


def test_an_earlier_conversation_is_added_as_items() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "History", "role": "user", "content": "Weather?"},
        {
            "type": "History",
            "function_calls": [
                {"id": "c1", "name": "f", "client_side": True, "arguments": "{}", "response": "rain"},
                {"id": "c2", "name": "g", "client_side": True, "arguments": "{}", "response": "snow"},
            ],
        },
        {"type": "History", "role": "assistant", "content": "Rain."},
    ]
    items = translated(settings({"context": {"messages": messages}})).items
    assert [(item["type"], item.get("role"), item.get("call_id")) for item in items] == [
        ("message", "user", None),
        ("function_call", None, "c1"),
        ("function_call_output", None, "c1"),
        ("function_call", None, "c2"),
        ("function_call_output", None, "c2"),
        ("message", "assistant", None),
    ]
    assert items[-1]["content"] == [{"type": "output_text", "text": "Rain."}]
    assert items[2]["output"] == "rain"
    assert [item["id"] for item in items] == [f"0123456789ab_1_{n}" for n in range(6)]


def test_item_ids_never_exceed_the_upstreams_limit() -> None:
    message = {"type": "InjectUserMessage", "content": "hi"}
    [item] = translate(event(message, seq=10**9), Defaults()).items
    assert len(item["id"]) <= 32


@pytest.mark.parametrize("name", ["fc:1", "x" * 33, "ünïcødé", ""])
def test_call_ids_of_other_services_are_converted(name: str) -> None:
    calls = [{"id": name, "name": "f", "client_side": True, "arguments": "{}", "response": "ok"}]
    call, output = translated(settings({"context": {"messages": [{"function_calls": calls}]}})).items
    assert call["call_id"] == output["call_id"]
    assert call["call_id"].removeprefix("call_").isalnum()
    assert len(call["call_id"]) <= 32


def test_a_late_function_result_is_a_message_of_the_system() -> None:
    result = translated({"type": "LateFunctionResult", "id": "call_1", "name": "get_weather", "output": "rain"})
    (item,) = result.items
    assert (item["type"], item["role"]) == ("message", "system")
    text = item["content"][0]["text"]
    assert text == "Late result of the function get_weather (call call_1), which was reported as unanswered:\nrain"
    assert result.intent is not None
    assert result.intent.answers == ()
