"""Function calls: the client's results, on their way to the model."""

from __future__ import annotations

from translator.mapping.translation import Defaults, Refusal, Translation, item_id, respond
from turngate.protocol.deepgram import UNPARSABLE, FunctionCallResponse
from turngate.protocol.messages import ClientEvent


def function_call_response(event: ClientEvent, message: FunctionCallResponse, defaults: Defaults) -> Translation:
    """The result, and the wish for a response that knows it. Raises `Refusal` when no call is named."""
    if message.id is None:
        raise Refusal(UNPARSABLE, "FunctionCallResponse: `id` is missing, and the call cannot be told by its name.")
    item = {
        "id": item_id(event, 0),
        "type": "function_call_output",
        "call_id": message.id,
        "output": message.output,
    }
    return Translation(items=(item,), intent=respond(event, answers=(message.id,)))
