"""One scripted conversation, and what must be true of it whatever happened to the processes behind the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from tests.end_to_end.client import Client, received
from turngate.local.stack import Stack

#: Steps of one conversation: the Settings, and three for each round.
STEPS_PER_ROUND = 3
_RESPONSES_PER_ROUND = 4
_CALLS = '[call get_weather {"city":"Oslo"}] [call get_time {"city":"Oslo"}]'
_TROUBLE = ("Error", "Warning", "InjectionRefused")


class Talk:
    """A client that asks, changes the prompt in the middle of a reply, and answers parallel function calls."""

    def __init__(self, rounds: int, step: Callable[[], None]) -> None:
        """``step`` is called at each of its `STEPS_PER_ROUND` × rounds + 1 steps."""
        self.mark = f"mark-{uuid4().hex}"
        self.seconds = 0.0
        self._rounds = rounds
        self._step = step
        self._received: list[dict[str, Any]] = []

    async def run(self, stack: Stack) -> None:
        """Hold the conversation. Raises TimeoutError when something never came."""
        began = time.monotonic()
        async with Client(stack) as client:
            await client.configured(prompt=self.mark, functions=True)
            self._step()
            for number in range(self._rounds):
                await self._interrupted_reply(client, number)
                await self._parallel_calls(client, number)
        self.seconds = time.monotonic() - began
        self._received = [message for message in client.received if isinstance(message, dict)]

    async def _interrupted_reply(self, client: Client, number: int) -> None:
        await client.say(type="InjectUserMessage", content=f"[say 20 words] {self._words('first', number)}")
        await client.until("AgentStartedSpeaking")
        self._step()
        await client.say(type="UpdatePrompt", prompt=_rule(number))
        await client.say(type="InjectUserMessage", content=self._words("second", number))
        # What waits together is applied before the reply that it waits with.
        await client.until("PromptUpdated")
        await self._reply(client, self._words("second", number))
        self._step()

    async def _parallel_calls(self, client: Client, number: int) -> None:
        await client.say(type="InjectUserMessage", content=f"{_CALLS} {self._words('third', number)}")
        requests = [await client.until("FunctionCallRequest") for _ in range(2)]
        for call in (call for request in requests for call in request["functions"]):
            result = self._words(call["name"], number)
            await client.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content=result)
        await self._reply(client, self._words("get_weather", number), self._words("get_time", number))
        self._step()

    async def _reply(self, client: Client, *parts: str) -> None:
        await client.until(
            "ConversationText",
            lambda message: message["role"] == "assistant" and all(part in message["content"] for part in parts),
        )
        await client.until("AgentAudioDone")

    def _words(self, what: str, number: int) -> str:
        return f"{self.mark} {what} {number}"

    def judge(self, record: dict[str, Any]) -> None:
        """Fail unless the client and the upstream (its own record) saw everything once, in order, and at free turns."""
        rounds = range(self._rounds)
        assert [violation for violation in record["violations"] if violation.get("race") != "auto"] == []
        items = [entry["event"]["item"] for entry in received(record, "conversation.item.create")]
        assert [item["content"][0]["text"] for item in items if item["type"] == "message"] == [
            text
            for number in rounds
            for text in (
                f"[say 20 words] {self._words('first', number)}",
                self._words("second", number),
                f"{_CALLS} {self._words('third', number)}",
            )
        ]
        assert sorted(item["output"] for item in items if item["type"] == "function_call_output") == sorted(
            self._words(name, number) for number in rounds for name in ("get_weather", "get_time")
        )
        instructions = received(record, "session.update")[-1]["event"]["session"]["instructions"]
        assert instructions == "\n\n".join((self.mark, *map(_rule, rounds)))
        begun = [entry for entry in record["entries"] if entry["event"]["type"] == "response.created"]
        assert len(begun) == self._rounds * _RESPONSES_PER_ROUND
        kinds = [message["type"] for message in self._received]
        assert kinds.count("SettingsApplied") == 1
        assert kinds.count("PromptUpdated") == self._rounds
        assert [message for message in self._received if message["type"] in _TROUBLE] == []


def _rule(number: int) -> str:
    return f"Rule {number}."
