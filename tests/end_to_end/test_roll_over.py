"""A conversation across many roll-overs: what the client gets is what it gets without them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.end_to_end.client import PATIENCE_SECONDS, Client, get
from tests.end_to_end.test_numbers import Number
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROUNDS = 8
#: Half a second at 24 kHz of speech, and of silence.
_LOUD = b"\x40\x1f" * 12_000
_QUIET = bytes(24_000)


class Call:
    """A call with a function, an update and a barge-in in every round, and the record of what its client was sent."""

    def __init__(self, stack: Stack, rolled_over: Number | None) -> None:
        """``rolled_over`` grows with the roll-overs of the stack; None if it has none."""
        self._stack = stack
        self._rolled_over = rolled_over
        self.rolls = 0.0
        self.record: dict[str, list[Any]] = {}

    async def run(self) -> None:
        async with Client(self._stack) as client:
            await client.configured(functions=True)
            await client.turn("My name is Ada.")
            for number in range(ROUNDS):
                await self._function(client, number)
                await self._barge_in(client, number)
            told = await client.turn("What are your instructions?")
            assert all(f"Mind {number}." in told for number in range(ROUNDS))
            assert "Ada" in await client.turn("What is my name?")
        self.record = _comparable(client)

    async def _rolls_over(self) -> None:
        """Return after the next roll-over."""
        if self._rolled_over is None:
            return
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self._rolled_over.grown() == self.rolls:
                await asyncio.sleep(0.01)
        self.rolls = await self._rolled_over.grown()

    async def _function(self, client: Client, number: int) -> None:
        """A roll-over comes while the call is open: its result is for a connection that did not ask."""
        await client.say(type="InjectUserMessage", content=f'[call get_weather {{"city": "Oslo"}}] on day {number}')
        (call,) = (await client.until("FunctionCallRequest"))["functions"]
        await self._rolls_over()
        await client.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content=f"Rain {number}")
        await client.until("AgentAudioDone")

    async def _barge_in(self, client: Client, number: int) -> None:
        """The user talks over a reply in which the prompt was changed."""
        await client.say(type="InjectUserMessage", content=f"[say 300 words] and stop me, {number}")
        await client.until("AgentStartedSpeaking")
        await client.say(type="UpdatePrompt", prompt=f"Mind {number}.")
        await client.socket.send(_LOUD)
        await client.until("UserStartedSpeaking")
        await client.socket.send(_QUIET)
        await client.until("AgentStartedSpeaking")
        await client.until("AgentAudioDone")
        await self._rolls_over()


def _comparable(client: Client) -> dict[str, list[Any]]:
    """What was sent, without what is another in each session: ids, delays, and how much was heard of a reply before it
    was cut off. Acknowledgements come beside replies, and so does what is told of the user's turns: a transcript may be
    ready before the reply to it, or after."""
    agent: list[Any] = []
    user: list[Any] = []
    acknowledged: list[Any] = []
    audio = 0
    for message in client.received:
        if isinstance(message, bytes):
            audio += len(message)
            continue
        match message:
            case {"type": "PromptUpdated"}:
                acknowledged.append(message["type"])
            case {"type": "Transcript" | "UtteranceEnd" as kind}:
                user.append(kind)
            case {"type": "ConversationText", "role": "user", "content": content}:
                user.append(content)
            case {"type": "UserStartedSpeaking"}:
                audio = 0
                agent.append(message["type"])
                user.append(message["type"])
            case {"type": "AgentAudioDone"}:
                agent.append(("AgentAudioDone", audio))
                audio = 0
            case {"type": "ConversationText", "content": content}:
                agent.append(content)
            case {"type": "FunctionCallRequest", "functions": functions}:
                agent.append([(one["name"], one["arguments"]) for one in functions])
            case {"type": kind}:
                agent.append(kind)
    return {"agent": agent, "user": user, "acknowledged": acknowledged}


async def test_the_record_of_a_client_is_the_same_with_and_without_roll_overs(stack: Stack, redis_url: str) -> None:
    plain = Call(stack, None)
    await plain.run()
    url = f"{redis_url.rpartition('/')[0]}/3"
    # Longer than a reply that is begun and talked over takes: where its connection is replaced before any of it was
    # heard, the conversation is left without it, and the simulator answers the question again.
    env = {"TURNGATE_UPSTREAM_ROLLOVER_MS": "2500"}
    async with (
        Stack(redis_url=url, translators=1, pace=0.2, env=env) as rolling,
        Number(rolling, "gateway", "rolled_over_total") as rolled_over,
    ):
        rolled = Call(rolling, rolled_over)
        await rolled.run()
        assert len((await get(f"{rolling.simulator_url}/sessions"))["sessions"]) > 2 * ROUNDS
    assert rolled.rolls >= 2 * ROUNDS
    for kind, told in plain.record.items():
        assert rolled.record[kind] == told, kind
