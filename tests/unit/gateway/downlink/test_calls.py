"""Function calls: each complete one is requested once, whatever event brings it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialect import AGENT, COMPONENT, Dialect
from tests.unit.gateway import upstream
from tests.unit.gateway.client import Client
from turngate.protocol.deepgram.events import ServerMessage
from turngate.protocol.openai.server_events import ServerEvent


def calls(told: list[ServerMessage]) -> list[dict[str, Any]]:
    return [function for m in told if m["type"] == "FunctionCallRequest" for function in m["functions"]]


def test_parallel_calls_are_requested_once_each() -> None:
    client = Client(COMPONENT)
    items = [upstream.call("call_1"), upstream.call("call_2")]
    client.hears(upstream.created(), *(upstream.item_added(item | {"status": "in_progress"}) for item in items))
    for item in items:
        assert client.hears(upstream.arguments_done(item)) == []
        client.hears(upstream.item_done(item), upstream.output_item_done(item))
    client.hears(upstream.done(output=items))
    request = {"name": "get_weather", "arguments": '{"city":"Oslo"}', "client_side": True}
    assert calls(client.told) == [{"id": "call_1", **request}, {"id": "call_2", **request}]
    kinds = [message["type"] for message in client.told]
    assert kinds == ["FunctionCallRequest", "FunctionCallRequest"]


@pytest.mark.parametrize("dialect", [AGENT, COMPONENT])
def test_a_reply_that_only_calls_is_not_speech(dialect: Dialect) -> None:
    client = Client(dialect)
    assert client.hears(
        upstream.created(), upstream.output_item_done(upstream.call()), upstream.done(output=[upstream.call()])
    ) == ["FunctionCallRequest"]


def test_a_call_that_only_the_end_of_the_response_names_is_requested() -> None:
    client = Client()
    assert client.hears(upstream.created(), upstream.done(output=[upstream.call()])) == ["FunctionCallRequest"]


@pytest.mark.parametrize(
    "events",
    [
        [upstream.output_item_done(upstream.call(status="incomplete"))],
        [upstream.done(status="incomplete", output=[upstream.call()])],
        [upstream.output_item_done(upstream.call() | {"call_id": None})],
    ],
)
def test_an_incomplete_call_is_not_requested(events: list[ServerEvent]) -> None:
    assert "FunctionCallRequest" not in Client().hears(upstream.created(), *events)


@pytest.mark.parametrize(("cut_off", "expected"), [(True, '{"city":"Oslo"}'), (False, "{}")])
def test_arguments_are_taken_from_where_they_are(cut_off: bool, expected: str) -> None:
    client = Client()
    arguments = upstream.arguments_done(upstream.call())
    bare = upstream.call() | {"arguments": ""}
    client.hears(upstream.created(), *([arguments] if cut_off else []), upstream.output_item_done(bare))
    assert [call["arguments"] for call in calls(client.told)] == [expected]


def test_a_result_is_acknowledged_in_each_dialects_way() -> None:
    component, agent = Client(COMPONENT), Client(AGENT, history=True)
    for client in (component, agent):
        client.hears(upstream.created(), upstream.output_item_done(upstream.call()), upstream.done())
        client.tell(client.downlink.function_call_taken("call_1", "rain"))
    assert component.told[-1] == {"type": "AgentThinking", "content": ""}
    assert agent.told[-1]["function_calls"] == [
        {
            "id": "call_1",
            "name": "get_weather",
            "client_side": True,
            "arguments": '{"city":"Oslo"}',
            "response": "rain",
        }
    ]
    assert agent.downlink.function_call_taken("call_unknown") == []
