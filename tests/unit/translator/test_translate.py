"""Every message that translators receive is mapped, or refused with a reason."""

from __future__ import annotations

import pytest

from tests.unit.translator.events import event, translated
from translator.mapping.defaults import Defaults
from translator.mapping.result import Refusal
from translator.mapping.routes import ROUTES, translate
from turngate.protocol.deepgram import CustomToThinkProvider, ForceEndTurn, KeepAlive
from turngate.protocol.deepgram.messages import ClientMessage, GatewayMessage


def test_every_message_has_a_mapping_except_those_handled_by_the_gateway() -> None:
    own = {KeepAlive, ForceEndTurn, CustomToThinkProvider}
    assert set(ROUTES) == {*ClientMessage.__args__, *GatewayMessage.__args__} - own


@pytest.mark.parametrize("fields", [{"content": "rain"}, {"result": "rain"}, {"error": "no such city"}])
def test_a_function_result_is_an_item_and_answers_its_call(fields: dict[str, str]) -> None:
    result = translated({"type": "FunctionCallResponse", "id": "call_1", "name": "get_weather", **fields})
    [item] = result.items
    assert (item["type"], item["call_id"]) == ("function_call_output", "call_1")
    assert next(iter(fields.values())) in item["output"]
    assert result.intent is not None
    assert result.intent.answers == ("call_1",)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": "KeepAlive"}, "KeepAlive has no effect"),
        ({"type": "FromTheFuture"}, "FromTheFuture"),
        ({"type": "InjectUserMessage"}, "`content` is missing"),
        ({"type": "FunctionCallResponse", "name": "f", "content": "1"}, "`id` is missing"),
    ],
)
def test_invalid_events_are_refused(message: dict[str, str], words: str) -> None:
    with pytest.raises(Refusal, match=words) as caught:
        translate(event(message), Defaults())
    assert caught.value.code == "UNPARSABLE_CLIENT_MESSAGE"
