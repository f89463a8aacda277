"""Results of function calls: from the client, or made by the gateway when the client's does not come or is refused.

A call is answered upstream exactly once. A result that the client sends after the gateway has answered in its place is
added to the conversation as what it is, a late result, and the model replies to it.
"""

from __future__ import annotations

from gateway.conversation.context import Context
from gateway.turn.function_calls import Call
from gateway.turn.requests import Kind, Request, TooManyRequests
from turngate.protocol.deepgram import FunctionCallResponse, LateFunctionResult, events

#: Why the gateway answers a call, by the code of its ``Warning``: in words for the model, and for the client.
_NO_RESULT = {
    "FUNCTION_CALL_TIMEOUT": ("The function did not answer in time.", "was not answered in time"),
    "FUNCTION_RESULT_REFUSED": ("The function's result could not be delivered.", "has a result that was not accepted"),
    "NON_EXISTENT_FUNCTION_CALLED": ("There is no function of this name.", "does not exist"),
}


class FunctionResults:
    """The results of one session's function calls."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def received(self, message: FunctionCallResponse, now: float) -> None:
        """A result of the client. Raises `TooManyRequests`."""
        context = self._context
        call = context.calls.find(message.id, message.name)
        if call is not None:
            self._accept({**message.wire(), "id": call.id, "name": call.name}, now)
            context.calls.answered(call)
            context.tell(*context.downlink.function_call_taken(call.id, message.output))
        elif (name := context.calls.answered_for(message.id)) is not None:
            assert message.id is not None
            late = LateFunctionResult(id=message.id, name=name, output=message.output)
            self._accept(late.wire(), now)
            context.calls.forget_answered_for(message.id)
            context.tell(*context.downlink.function_call_taken(message.id, message.output))
        elif not context.calls.late(message.id):
            known = message.id or message.name or "it"
            context.tell(
                events.warning("UNKNOWN_FUNCTION_CALL", f"No function call waits for {known}; the result was not used.")
            )

    def refused(self, request: Request, now: float, *, item_refused: bool) -> None:
        """This request, which brought a result, is settled without effect. The model is told, unless it has the result,
        gets it now, or was told already. ``item_refused``: the upstream refused the item with the result."""
        call = self._context.calls.get(request.message["id"])
        if call is None:
            return
        if request.own or (request.translated and not item_refused):
            self._context.calls.delivered(call.id)
        else:
            self.answer(call, "FUNCTION_RESULT_REFUSED", now)

    def due(self, now: float) -> None:
        """The client has not answered function calls in time."""
        for call in self._context.calls.overdue(now):
            self.answer(call, "FUNCTION_CALL_TIMEOUT", now)

    def answer(self, call: Call, code: str, now: float) -> None:
        """Answer a call with an error in the client's stead; the client gets the ``Warning`` with this code."""
        context = self._context
        error, problem = _NO_RESULT[code]
        try:
            self._accept(
                {"type": "FunctionCallResponse", "id": call.id, "name": call.name, "error": error}, now, own=True
            )
        except TooManyRequests:
            context.calls.delivered(call.id)
            told = "too many requests are waiting to tell the model"
        else:
            context.calls.answered(call)
            if code != "NON_EXISTENT_FUNCTION_CALLED":
                context.calls.accept_late(call)
            told = "the model is told"
        context.tell(events.warning(code, f"{call.name} ({call.id}) {problem}; {told}."))

    def _accept(self, message: dict[str, object], now: float, *, own: bool = False) -> None:
        self._context.accept(Kind.RESPONSE, message, now, own=own)
