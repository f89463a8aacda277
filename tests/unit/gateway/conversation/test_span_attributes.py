"""What spans say about a response, and the words in them."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.conversation import span_words
from gateway.conversation.span_attributes import failure_of, failure_of_response, response_attributes, text_of
from turngate.protocol.openai.server_events import FunctionCallArgumentsDone, Response, UpstreamError


def response(**fields: Any) -> Response:
    return Response.model_validate({"id": "resp_1", **fields})


def test_tokens_are_told_by_kind_as_far_as_the_upstream_tells_them() -> None:
    usage = {
        "input_tokens": 10,
        "output_tokens": "many",
        "input_token_details": {"cached_tokens": 4, "audio_tokens": 7, "cached_tokens_details": {"text_tokens": 3}},
        "output_token_details": ["unknown"],
    }
    found = response_attributes(response(status="completed", usage=usage))
    assert {name: value for name, value in found.items() if name.startswith("gen_ai.usage")} == {
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.audio.input_tokens": 7,
        "gen_ai.usage.text.cache_read.input_tokens": 3,
    }
    assert response_attributes(response(usage=7)) == response_attributes(response())


def test_how_a_response_ended() -> None:
    interrupted = response(status="cancelled", status_details={"reason": "turn_detected"}, output_modalities=["text"])
    assert response_attributes(interrupted) == {
        "gen_ai.response.finish_reasons": ["turn_detected"],
        "gen_ai.output.type": "text",
    }
    assert failure_of_response(interrupted) == ""
    assert failure_of_response(response(status="failed")) == "failed"
    failed = response(status="failed", status_details={"error": {"code": "rate_limit_exceeded"}})
    assert failure_of_response(failed) == "rate_limit_exceeded"


def test_a_code_from_outside_is_short() -> None:
    error = UpstreamError.model_validate({"type": "error", "error": {"code": "x" * 1_000}})
    assert failure_of(error, "none") == "x" * 128
    assert failure_of(None, "none") == "none"
    assert text_of(7) == ""


def test_the_words_of_every_message_that_has_some() -> None:
    assert orjson.loads(
        str(span_words.asked({"type": "InjectAgentMessage", "message": "Hi"})["gen_ai.input.messages"])
    ) == [{"role": "assistant", "parts": [{"type": "text", "content": "Hi"}]}]
    for message in (
        {"type": "UpdatePrompt", "prompt": "Be kind."},
        {"type": "UpdateThink", "think": [{"prompt": "Be kind."}]},
        {"type": "Settings", "agent": {"think": [{"prompt": "Be kind."}]}},
    ):
        prompts = orjson.loads(str(span_words.asked(message)["gen_ai.system_instructions"]))
        assert prompts == [{"type": "text", "content": "Be kind."}]
    assert span_words.asked({"type": "UpdateSpeak", "speak": []}) == {}


def test_the_arguments_and_results_of_functions() -> None:
    done = FunctionCallArgumentsDone(
        type="response.function_call_arguments.done", response_id="r", item_id="i", call_id="c", arguments="{}"
    )
    assert span_words.arguments(done) == {"gen_ai.tool.call.arguments": "{}"}
    assert span_words.arguments(None) == {}
    assert span_words.result({"type": "InjectUserMessage"}) == {}
    assert span_words.result({"type": "FunctionCallResponse", "result": {"sun": 1}}) == {
        "gen_ai.tool.call.result": '{"sun":1}'
    }
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    (message,) = orjson.loads(str(span_words.said(response(output=[item]))["gen_ai.output.messages"]))
    assert message["parts"] == [{"type": "tool_call", "id": "c", "name": "f", "arguments": "{}"}]
