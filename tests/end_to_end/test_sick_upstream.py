"""Every fault of the simulator on real processes: the client is told, what can go on goes on, and nothing hangs."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed

from tests.end_to_end.client import Client, get, settings
from tests.unit.gateway.sound import tone
from turngate.local.stack import Stack
from turngate.simulator.faults import Fault
from turngate.simulator.unreadable import SHAPES

pytestmark = pytest.mark.asyncio(loop_scope="module")

_IMPATIENT = {
    "TURNGATE_UPSTREAM_REPLY_TIMEOUT_MS": "1000",
    "TURNGATE_UPSTREAM_CONNECT_TIMEOUT_MS": "3000",
    "TURNGATE_RESPONSE_SILENCE_MS": "1000",
    "TURNGATE_PROMISE_GRACE_MS": "500",
    "TURNGATE_AUDIO_GAP_MS": "300",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def impatient(redis_url: str) -> AsyncIterator[Stack]:
    """A stack that waits for its upstream for a second."""
    async with Stack(redis_url=f"{redis_url.rpartition('/')[0]}/2", translators=1, pace=0.1, env=_IMPATIENT) as running:
        yield running


async def arm(stack: Stack, fault: Fault, count: int = 1, times: int = 1) -> None:
    await get(f"{stack.simulator_url}/faults?clear&next={fault}&count={count}&times={times}")


@dataclass(frozen=True)
class Told:
    """What a client is told after its first typed message."""

    #: The type and the code of the message.
    kind: str | None = None
    code: str | None = None
    #: Its first message is answered all the same.
    answered: bool = True


#: Faults in which the session goes on.
GOES_ON = {
    Fault.DONE_MISSING: Told("Warning", "REPLY_STALLED"),
    Fault.CREATED_THEN_SILENCE: Told("Warning", "REPLY_STALLED", answered=False),
    Fault.CREATE_UNANSWERED: Told(),
    Fault.RACE_WITHOUT_EVENT_ID: Told(),
    Fault.LATE_CREATED: Told(),
    Fault.ERROR_CREATE: Told("Error", "server_error", answered=False),
    Fault.INCOMPLETE_CONTENT_FILTER: Told("Warning", "REPLY_INCOMPLETE"),
    Fault.INCOMPLETE_MAX_OUTPUT_TOKENS: Told("Warning", "REPLY_INCOMPLETE"),
    Fault.INCOMPLETE_WITHOUT_OUTPUT: Told("Warning", "REPLY_INCOMPLETE", answered=False),
    Fault.FAILED_RATE_LIMIT: Told(),
    Fault.FAILED_INFERENCE_RATE_LIMIT: Told(),
    Fault.FAILED_SERVER_ERROR: Told(),
    Fault.TEXT_ONLY: Told("Warning", "REPLY_WITHOUT_AUDIO"),
    Fault.MCP_APPROVAL_REQUEST: Told("Warning", "MCP_APPROVAL_NOT_SUPPORTED"),
}
#: Faults that end the session, because they come again with each connection: the code of the Error, and the close code.
ENDS = {
    Fault.HTTP_302: ("upstream_refused", 1000),
    Fault.HTTP_429: ("upstream_refused", 1011),
    Fault.REFUSE_KEY: ("invalid_api_key", 1000),
    Fault.INSUFFICIENT_QUOTA: ("insufficient_quota", 1000),
    Fault.CLOSE_BEFORE_UPDATED: ("upstream_closed_before_session_ready", 1011),
    Fault.EARLY_1001: ("upstream_closed", 1011),
    Fault.CLOSE_IN_RESPONSE: ("upstream_closed", 1011),
    Fault.ABORT_IN_RESPONSE: ("upstream_closed", 1011),
    Fault.SILENT: ("upstream_unreachable", 1011),
    Fault.SILENT_AFTER_CREATED: ("upstream_timeout", None),
}
#: Those with a test of their own below, or in `test_upstream_trouble`.
ELSEWHERE = {
    Fault.HTTP_503,
    Fault.CLOSE_BEFORE_CREATED,
    Fault.ERROR_UPDATE,
    Fault.DONE_UNREADABLE,
    Fault.VAD_STUCK,
    Fault.REFUSED_FUNCTION_RESULT,
    # In `test_upstream_legs`.
    Fault.CANCEL_UNANSWERED,
    Fault.TEXT_AFTER_HISTORY,
}


async def test_every_fault_has_a_test() -> None:
    assert {*GOES_ON, *ENDS, *ELSEWHERE} == set(Fault)


def words(client: Client) -> str:
    """What the agent has said."""
    return " ".join(one["content"] for one in client.of_type("ConversationText") if one["role"] == "assistant")


@pytest.mark.parametrize("fault", GOES_ON)
async def test_the_client_is_told_and_the_session_goes_on(impatient: Stack, fault: Fault) -> None:
    told = GOES_ON[fault]
    await arm(impatient, fault)
    async with Client(impatient, "/v1/agent/converse") as client:
        await client.configured()
        await client.say(type="InjectUserMessage", content="One?")
        if told.kind is not None:
            assert (await client.until(told.kind, lambda message: message.get("code") == told.code))["description"]
        if told.answered and not words(client):
            await client.until("ConversationText", lambda message: message["role"] == "assistant")
        assert not told.answered or "One" in words(client)
        assert "Two" in await client.turn("Two?")
        errors = [message["code"] for message in client.of_type("Error")]
        assert errors == ([told.code] if told.kind == "Error" else [])


@pytest.mark.parametrize("fault", ENDS)
async def test_the_client_is_told_why_the_session_ends(impatient: Stack, fault: Fault) -> None:
    code, closed = ENDS[fault]
    await arm(impatient, fault, 10)
    async with Client(impatient, "/v1/agent/converse") as client:
        with contextlib.suppress(ConnectionClosed):
            # Some are told before the client could say anything.
            await client.say(**settings())
        if fault in (Fault.CLOSE_IN_RESPONSE, Fault.ABORT_IN_RESPONSE):
            await client.until("SettingsApplied")
            await client.say(type="InjectUserMessage", content="One?")
        assert (await client.until("Error"))["code"] == code
        ended = await client.until_closed()
        assert closed is None or ended == closed
    await get(f"{impatient.simulator_url}/faults?clear")


async def test_an_end_that_cannot_be_read_is_an_end(impatient: Stack) -> None:
    """Each of its shapes, in one session."""
    await arm(impatient, Fault.DONE_UNREADABLE)
    async with Client(impatient) as client:
        await client.configured()
        for number in range(len(SHAPES)):
            assert f"Number {number}" in await client.turn(f"Number {number}?")
        codes = {message["code"] for kind in ("Error", "Warning") for message in client.of_type(kind)}
        assert "REPLY_STALLED" not in codes


async def test_a_result_that_is_refused_is_told_and_the_model_goes_on(impatient: Stack) -> None:
    await arm(impatient, Fault.REFUSED_FUNCTION_RESULT)
    async with Client(impatient) as client:
        await client.configured(functions=True)
        await client.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
        (call,) = (await client.until("FunctionCallRequest"))["functions"]
        await client.say(type="FunctionCallResponse", id=call["id"], name=call["name"], content="Rain")
        assert (await client.until("Warning"))["code"] == "FUNCTION_RESULT_REFUSED"
        reply = await client.until("ConversationText", lambda message: message["role"] == "assistant")
        assert "could not be delivered" in reply["content"]


async def test_a_turn_whose_end_the_upstream_does_not_notice_is_ended(impatient: Stack) -> None:
    await arm(impatient, Fault.VAD_STUCK)
    async with Client(impatient) as client:
        await client.configured()
        await client.socket.send(tone(24_000, 440.0))
        await client.until("UserStartedSpeaking")
        reply = await client.until("ConversationText", lambda message: message["role"] == "assistant")
        assert "I heard you speak" in reply["content"]


#: Faults of a reply, and the code of what the client is told of it.
OF_REPLIES = {
    Fault.DONE_MISSING: "REPLY_STALLED",
    Fault.CREATED_THEN_SILENCE: "REPLY_STALLED",
    Fault.INCOMPLETE_CONTENT_FILTER: "REPLY_INCOMPLETE",
    Fault.INCOMPLETE_WITHOUT_OUTPUT: "REPLY_INCOMPLETE",
    Fault.FAILED_RATE_LIMIT: None,
    Fault.FAILED_SERVER_ERROR: None,
    Fault.TEXT_ONLY: "REPLY_WITHOUT_AUDIO",
}


@pytest.mark.parametrize("fault", OF_REPLIES)
async def test_the_reply_to_a_spoken_turn_holds_nothing_up(impatient: Stack, fault: Fault) -> None:
    """An update that was held during it, and the next turn, are carried out."""
    code = OF_REPLIES[fault]
    await arm(impatient, fault)
    async with Client(impatient) as client:
        await client.configured()
        await client.socket.send(tone(24_000, 440.0))
        await client.socket.send(bytes(48_000))
        await client.until("UtteranceEnd")
        await client.say(type="UpdatePrompt", prompt="Be brief.")
        await client.until("PromptUpdated")
        await client.say(type="InjectUserMessage", content="What are your instructions?")
        await client.until("ConversationText", lambda message: "Be brief" in message["content"])
        codes = {message["code"] for kind in ("Error", "Warning") for message in client.of_type(kind)}
        assert codes == ({code} if code is not None else set())


async def test_a_function_call_that_is_cut_off_is_not_made(impatient: Stack) -> None:
    await arm(impatient, Fault.INCOMPLETE_MAX_OUTPUT_TOKENS)
    async with Client(impatient) as client:
        await client.configured(functions=True)
        await client.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
        assert (await client.until("Warning"))["code"] == "REPLY_INCOMPLETE"
        await client.until("AgentAudioDone")
        assert client.of_type("FunctionCallRequest") == []
        # The model knows that it was not made.
        assert "cut off" in await client.turn("And now?")


async def test_a_reply_that_fails_again_and_again_is_told_each_time(impatient: Stack) -> None:
    await arm(impatient, Fault.FAILED_SERVER_ERROR, times=3)
    async with Client(impatient) as client:
        await client.configured()
        await client.say(type="InjectUserMessage", content="One?")
        assert (await client.until("Error"))["code"] == "server_error"
        # Of this one the first attempt fails.
        assert "Two" in await client.turn("Two?")
        assert len(client.of_type("Error")) == 1


async def test_ends_that_are_all_missing_cost_time_only(impatient: Stack) -> None:
    await arm(impatient, Fault.DONE_MISSING, times=0)
    async with Client(impatient, "/v1/agent/converse") as client:
        await client.configured()
        for number in range(3):
            assert f"Number {number}" in await client.turn(f"Number {number}?")
        assert client.of_type("Error") == []
