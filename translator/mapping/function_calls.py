"""Results of function calls."""

from __future__ import annotations

from translator.mapping.defaults import Defaults
from translator.mapping.result import MappingResult, Refusal, item_id, respond
from turngate.protocol.deepgram import UNPARSABLE, FunctionCallResponse, LateFunctionResult
from turngate.protocol.messages import ClientEvent


def function_call_response(event: ClientEvent, message: FunctionCallResponse, defaults: Defaults) -> MappingResult:
    """The result of a function call, which is added to the conversation and answered by a response.

    Raises `Refusal` if the message has no call id.
    """
    if message.id is None:
        raise Refusal(UNPARSABLE, "FunctionCallResponse: `id` is missing, and the call cannot be told by its name.")
    item = {
        "id": item_id(event, 0),
        "type": "function_call_output",
        "call_id": message.id,
        "output": message.output,
    }
    return MappingResult(items=(item,), intent=respond(event, answers=(message.id,)))


def late_function_result(event: ClientEvent, message: LateFunctionResult, defaults: Defaults) -> MappingResult:
    """A result that came after its call had been answered with an error. A call can be answered only once, so the
    result is added as a message of the system, and answered by a response."""
    text = f"Late result of the function {message.name} (call {message.id}), which was reported as unanswered:"
    item = {
        "id": item_id(event, 0),
        "type": "message",
        "role": "system",
        "content": [{"type": "input_text", "text": f"{text}\n{message.output}"}],
    }
    return MappingResult(items=(item,), intent=respond(event))
