"""Control exchanges of one session: from the client's message to the resulting event at the upstream."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.load.frames import delta
from benchmarks.load.session import LoadSession, clock

#: Seconds after which an exchange counts as unanswered.
_PATIENCE = 20.0
#: The function that the model calls.
CALLED = "get_time"
_RESPONSE: dict[str, Any] = {"object": "realtime.response", "conversation_id": "conv_C9G8", "output": []}

SETTINGS, TEXT, HELD, FUNCTION = "Settings", "text", "held configuration", "function result"
EXCHANGES = (SETTINGS, TEXT, HELD, FUNCTION)


class Exchanges:
    """The control exchanges of one session. Create it when the session is ready."""

    def __init__(self, session: LoadSession, settings: dict[str, Any]) -> None:
        """``settings``: the ``Settings`` that the client repeats, with the session's mark."""
        self._session = session
        self._settings = settings
        self._awaited: dict[str, asyncio.Future[tuple[dict[str, Any], float]]] = {}
        self._turn = 0
        #: The frame to send every 20 ms during a response; None between responses.
        self.saying: bytes | None = None
        session.on_event = self._heard
        session.on_message = self._heard

    async def cycle(self, pause: float, hold: float, reply: float = 0.0) -> dict[str, float]:
        """Do each of the four exchanges once; returns their durations in seconds. Raises TimeoutError.

        pause: seconds between two exchanges. hold: duration of the response during which configuration is requested.
        reply: that of the other one.
        """
        took: dict[str, float] = {}
        took[SETTINGS] = await self.reconfigure()
        await asyncio.sleep(pause)

        created = self._await("response.create")
        began = clock()
        self._session.say({"type": "InjectUserMessage", "content": "What time is it?"})
        request, at = await self._in_time(created)
        took[TEXT] = at - began
        response = self._begin_response(request)

        updated, told = self._await("session.update"), self._await("PromptUpdated")
        asked = self._await("FunctionCallRequest")
        self._session.say({"type": "UpdatePrompt", "prompt": "Be brief."})
        await asyncio.sleep(hold)
        if updated.done():
            raise RuntimeError("configuration was sent during an active response")
        began = self._call_function(response)
        took[HELD] = (await self._in_time(updated))[1] - began
        await self._in_time(told)
        await self._in_time(asked)
        await asyncio.sleep(pause)

        created = self._await("response.create")
        began = clock()
        call = f"call_{self._turn}"
        self._session.say({"type": "FunctionCallResponse", "id": call, "name": CALLED, "content": "noon"})
        request, at = await self._in_time(created)
        took[FUNCTION] = at - began
        response = self._begin_response(request)
        await asyncio.sleep(reply)
        self.saying = None
        self._session.tell("response.done", response={**response, "status": "completed"})
        await asyncio.sleep(pause)
        return took

    async def reconfigure(self) -> float:
        """Send the ``Settings`` again; returns, after their confirmation, the seconds until the upstream got them."""
        updated, applied = self._await("session.update"), self._await("SettingsApplied")
        began = clock()
        self._session.say(self._settings)
        _, at = await self._in_time(updated)
        await self._in_time(applied)
        return at - began

    def begin_reply(self) -> None:
        """Start a response that nobody asked for, until `end_reply`."""
        self.saying = self._session.begin_reply()

    def end_reply(self) -> None:
        self.saying = None
        self._session.end_reply()

    def _begin_response(self, request: dict[str, Any]) -> dict[str, Any]:
        """Start the requested response, as the upstream."""
        self._turn += 1
        asked = request.get("response") or {}
        response = {**_RESPONSE, "id": f"resp_{self._session.mark}_{self._turn}", "metadata": asked.get("metadata")}
        self._session.tell("response.created", response={**response, "status": "in_progress"})
        self.saying = delta(response["id"], f"said_{self._session.mark}_{self._turn}")
        return response

    def _call_function(self, response: dict[str, Any]) -> float:
        """End the response with a function call; returns the time at which its end was sent."""
        self.saying = None
        call = {
            "id": f"item_{self._session.mark}_{self._turn}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{self._turn}",
            "name": CALLED,
            "arguments": "{}",
        }
        self._session.tell("response.output_item.added", response_id=response["id"], output_index=0, item=call)
        self._session.tell("conversation.item.done", previous_item_id=None, item=call)
        self._session.tell("response.output_item.done", response_id=response["id"], output_index=0, item=call)
        now = clock()
        self._session.tell("response.done", response={**response, "status": "completed", "output": [call]})
        return now

    def _await(self, kind: str) -> asyncio.Future[tuple[dict[str, Any], float]]:
        """The next message of this type at either end, with its time."""
        self._awaited[kind] = asyncio.get_running_loop().create_future()
        return self._awaited[kind]

    async def _in_time(self, future: asyncio.Future[tuple[dict[str, Any], float]]) -> tuple[dict[str, Any], float]:
        return await asyncio.wait_for(future, _PATIENCE)

    def _heard(self, message: dict[str, Any], now: float) -> None:
        kind = message["type"]
        if (waiting := self._awaited.pop(kind, None)) is not None:
            waiting.set_result((message, now))
        if kind == "conversation.item.create":
            item = {**message["item"], "status": "completed"}
            self._session.tell("conversation.item.added", previous_item_id=None, item=item)
            self._session.tell("conversation.item.done", previous_item_id=None, item=item)
        elif kind in ("Error", "error"):
            raise RuntimeError(f"{self._session.mark}: {message}")
