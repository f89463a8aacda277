"""Whole traces, from real processes to a real receiver of OTLP."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from tests.collector import Collector, Received, collector, tree
from tests.end_to_end.client import PATIENCE_SECONDS, Client, get, settings
from tests.end_to_end.line import line
from tests.end_to_end.test_conversation import speak
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPLY = "realtime_inference gpt-realtime-2.1"
FIRST = [
    "gateway: invoke_agent",
    f"  gateway: {REPLY} -> translate",
    "  gateway: request InjectUserMessage -> translate",
    "    translator: translate",
    "  gateway: request UpdatePrompt -> release",
    "    session-state: hold",
    "    translator: release",
    "      gateway: apply -> request UpdatePrompt",
    "    translator: translate",
]
SECOND = [
    "gateway: invoke_agent",
    f"  gateway: {REPLY}",
    "  gateway: request InjectUserMessage",
    "    session-state: hold",
    "    translator: translate",
]
SETTINGS = [
    "gateway: request Settings -> translate",
    "  translator: translate",
    "    gateway: apply -> request Settings",
]
FUNCTION = [
    "gateway: invoke_agent",
    "  gateway: execute_tool get_weather",
    f"  gateway: {REPLY} -> translate",
    f"  gateway: {REPLY} -> translate",
    "  gateway: request FunctionCallResponse -> translate",
    "    translator: translate",
    "  gateway: request InjectUserMessage -> translate",
    "    translator: translate",
]
INTERRUPTED = [
    "gateway: invoke_agent",
    f"  gateway: {REPLY} -> translate",
    "  gateway: request InjectUserMessage -> translate",
    "    translator: translate",
]
SPOKEN = ["gateway: invoke_agent", f"  gateway: {REPLY}", "  gateway: user_speech"]
LOST = [
    "gateway: invoke_agent",
    f"  gateway: {REPLY} -> translate !upstream_closed",
    f"  gateway: {REPLY} -> release",
    "  gateway: request InjectUserMessage -> translate",
    "    translator: translate",
    "  gateway: request (again) -> release",
    "    session-state: hold",
    "    translator: release",
    "    translator: translate",
    "  gateway: restore",
]
#: OTLP's number of this kind of span.
_CLIENT = 3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traced(redis_url: str) -> AsyncIterator[tuple[Stack, Collector]]:
    """A stack that sends its traces to a collector."""
    url = f"{redis_url.rpartition('/')[0]}/5"
    with collector() as collected:
        async with Stack(redis_url=url, translators=1, pace=0.2, env=collected.env) as stack:
            yield stack, collected


def session_of(client: Client) -> str:
    return str(client.of_type("Welcome")[0]["request_id"])


async def until_held(stack: Stack, session: str, count: int) -> None:
    """Return when so many intents are held at session-state."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len((await get(f"{stack.session_state_url}/sessions/{session}")).get("held", ())) < count:
            await asyncio.sleep(0.01)


def named(trace: list[Received], name: str) -> Received:
    (found,) = [span for span in trace if span.name == name]
    return found


async def test_what_is_asked_for_in_a_reply_is_held_released_and_applied(traced: tuple[Stack, Collector]) -> None:
    stack, collected = traced
    async with Client(stack) as client:
        await client.configured()
        session = session_of(client)
        await client.say(type="InjectUserMessage", content="[say 60 words]")
        await client.until("AgentStartedSpeaking")
        await client.say(type="UpdatePrompt", prompt="Mind the cat.")
        await client.say(type="InjectUserMessage", content="And now?")
        await until_held(stack, session, 2)
        await client.until("PromptUpdated")
        await client.until("AgentAudioDone")
        first = await collected.trace(session, 1, FIRST)
        second = await collected.trace(session, 2, SECOND)
    assert (tree(first), tree(second)) == (FIRST, SECOND)
    release, asked = named(first, "release"), named(second, "request InjectUserMessage")
    carried = (release.trace, release.id)
    assert asked.links == named(second, REPLY).links == (carried,), "the release of the other"
    assert release.links == ((asked.trace, asked.id),), "one release for both"
    hold, apply = named(first, "hold"), named(first, "apply")
    assert hold.attributes["turngate.release.by"] == "turn"
    assert hold.attributes["turngate.release.merged"] == 2
    reply = named(first, REPLY)
    assert hold.began_at < reply.ended_at <= hold.ended_at <= apply.began_at < apply.ended_at
    assert named(first, "request UpdatePrompt").ended_at == apply.ended_at == named(first, "invoke_agent").ended_at
    assert {span.attributes["gen_ai.conversation.id"] for span in [*first, *second]} == {session}


async def test_a_function_and_its_result_are_in_the_trace_of_the_turn(traced: tuple[Stack, Collector]) -> None:
    stack, collected = traced
    async with Client(stack) as client:
        await client.configured(functions=True)
        await client.say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
        call = await client.until("FunctionCallRequest")
        await client.say(type="FunctionCallResponse", id=call["functions"][0]["id"], content="Sun")
        await client.until("AgentAudioDone")
        trace = await collected.trace(session_of(client), 1, FUNCTION)
    assert tree(trace) == FUNCTION
    assert named(trace, "execute_tool get_weather").attributes["gen_ai.tool.call.id"] == call["functions"][0]["id"]
    first, second = sorted((span for span in trace if span.name == REPLY), key=lambda span: span.began_at)
    assert first.kind == second.kind == _CLIENT
    assert first.attributes["gen_ai.usage.input_tokens"] < second.attributes["gen_ai.usage.input_tokens"]


def by_whomever(trace: list[Received]) -> list[str]:
    """A tree that does not tell who has asked for a reply: after an interruption, that depends on time."""
    asked = {span.id for span in trace if span.name == "request UserTurnEnded"}
    return [line.partition(" -> ")[0] for line in tree([one for one in trace if not {one.id, one.parent} & asked])]


async def test_who_talks_over_the_agent_begins_another_trace(traced: tuple[Stack, Collector]) -> None:
    stack, collected = traced
    async with Client(stack) as client:
        await client.configured(rate=16000)
        await client.say(type="InjectUserMessage", content="[say 300 words]")
        await client.until("AgentStartedSpeaking")
        for _ in range(2):
            await speak(client, "hello-16k.wav", 16000)
            await client.until("UserStartedSpeaking")
            await client.until("AgentStartedSpeaking")
            await client.until("AgentAudioDone")
        session = session_of(client)
        first = await collected.trace(session, 1, INTERRUPTED)
        second = await collected.trace(session, 2, SPOKEN, by_whomever)
        third = await collected.trace(session, 3, SPOKEN)
    assert (tree(first), by_whomever(second), tree(third)) == (INTERRUPTED, SPOKEN, SPOKEN)
    assert named(first, "invoke_agent").attributes["gen_ai.agent.invocation.end_reason"] == "interrupted"
    for spoken in (second, third):
        assert named(spoken, "invoke_agent").attributes["gen_ai.agent.invocation.end_reason"] == "completed"
    reply, speech = named(third, REPLY), named(third, "user_speech")
    assert reply.attributes["turngate.response.own"] is False
    assert speech.ended_at <= reply.began_at


def asked_again(trace: list[Received]) -> list[str]:
    """A tree that does not tell whether something of the reply was heard."""
    return [re.sub("ReplyCutOff|UserTurnEnded", "(again)", line) for line in tree(trace)]


async def test_a_lost_connection_is_restored_in_the_trace_of_the_turn(traced: tuple[Stack, Collector]) -> None:
    stack, collected = traced
    await get(f"{stack.simulator_url}/faults?clear&next=abort_in_response&count=1")
    async with Client(stack) as client:
        await client.configured()
        await client.say(type="InjectUserMessage", content="[say 60 words]")
        await client.until("AgentAudioDone")
        trace = await collected.trace(session_of(client), 1, LOST, asked_again)
    assert asked_again(trace) == LOST
    assert named(trace, "restore").attributes["turngate.upstream.problem"] == "upstream_closed"


async def test_the_clients_own_trace_is_linked_however_it_is_named(traced: tuple[Stack, Collector]) -> None:
    stack, collected = traced
    trace, span = "a" * 32, "b" * 16
    own = f"00-{trace}-{span}-01"
    url = f"{stack.gateway_url}/openai"
    for address, headers, links, shown in (
        (url, {"traceparent": own}, ((trace, span),), own),
        (f"{url}?traceparent={own}", {}, ((trace, span),), own),
        (f"{url}?traceId=call-7", {}, (), "call-7"),
        (f"{url}?traceId=%0Acall", {"traceparent": "00-none"}, (), None),
    ):
        async with connect(address, additional_headers=headers) as socket:
            session = orjson.loads(await socket.recv())["request_id"]
            await socket.send(orjson.dumps(settings()), text=True)
            while orjson.loads(await socket.recv())["type"] != "SettingsApplied":
                pass
        found = named(await collected.trace(session, 0, SETTINGS), "request Settings")
        assert (found.links[: len(links)], found.attributes.get("turngate.client.trace_id")) == (links, shown)
        assert found.trace != trace


async def test_nothing_that_is_said_and_no_secret_leaves_with_the_spans(redis_url: str) -> None:
    words = ("Whisper", "Secretly", "sunny-in-oslo", "Oslo")
    for on in (False, True):
        with collector() as collected:
            env = {
                **collected.env,
                "OTEL_EXPORTER_OTLP_HEADERS": "x-key=header-s3cret",
                "TURNGATE_SIMULATOR_API_KEY": "upstream-s3cret",
                "TURNGATE_API_KEYS": "client-s3cret",
                **({"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true"} if on else {}),
            }
            url = f"{redis_url.rpartition('/')[0]}/6"
            async with (
                Stack(redis_url=url, translators=1, pace=0.2, env=env) as stack,
                connect(f"{stack.gateway_url}/openai?token=client-s3cret") as socket,
            ):
                await _talk(socket)
            await collected.until(lambda spans: sum(span.name == "invoke_agent" for span in spans) >= 2)
        sent = b"".join(collected.bodies)
        assert [word for word in words if word.encode() in sent] == (list(words) if on else [])
        assert b"s3cret" not in sent


async def _talk(socket: ClientConnection) -> None:
    """Say what must not be seen."""

    async def until(kind: str) -> Any:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                frame = await socket.recv()
                if isinstance(frame, str) and (message := orjson.loads(frame))["type"] == kind:
                    return message

    async def say(**message: Any) -> None:
        await socket.send(orjson.dumps(message), text=True)

    await say(**settings("Whisper.", functions=True))
    await until("SettingsApplied")
    await say(type="InjectUserMessage", content="Secretly?")
    await until("AgentAudioDone")
    await say(type="InjectUserMessage", content='[call get_weather {"city": "Oslo"}]')
    call = await until("FunctionCallRequest")
    await say(type="FunctionCallResponse", id=call["functions"][0]["id"], content="sunny-in-oslo")
    await until("AgentAudioDone")


@pytest.mark.parametrize("collected", ["away", "slow", "broken"])
async def test_a_collector_that_does_not_take_spans_costs_the_services_nothing(redis_url: str, collected: str) -> None:
    answered = threading.Event()

    def answer() -> int:
        if collected == "slow":
            answered.wait(PATIENCE_SECONDS)
        return 503

    with collector(answer) as receiver:
        env = {**receiver.env, "OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4"}
        if collected == "away":
            env["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
        url = f"{redis_url.rpartition('/')[0]}/6"
        async with Stack(redis_url=url, translators=1, pace=0.01, env=env, restarts=False) as stack:
            async with Client(stack) as client:
                await client.configured()
                for number in range(20):
                    assert await client.turn(f"Number {number}")
            async with asyncio.timeout(PATIENCE_SECONDS):
                await stack.stop()
        answered.set()


async def test_a_session_that_comes_to_another_gateway_is_claimed_and_restored_there(redis_url: str) -> None:
    url, name = f"{redis_url.rpartition('/')[0]}/6", str(uuid4())
    with collector() as collected:
        env = {**collected.env, "TURNGATE_CLAIM_WAIT_MS": "10000"}
        async with Stack(redis_url=url, gateways=2, translators=1, pace=0.2, env=env) as stack:
            async with line(stack, session=name) as first:
                await first.until("Welcome")
                session = str(first.received[0]["request_id"])
                await first.say(**settings())
                await first.until("SettingsApplied")
                await first.turn("Hello?")
                first.cut()
            async with line(stack, gateway=2, session=name) as second:
                assert (await second.until("Welcome"))["resumed"] is True
                spans = await collected.until(lambda spans: {"claim", "restore"} <= {span.name for span in spans})
    claim, restore = named(spans, "claim"), named(spans, "restore")
    assert restore.links == ((claim.trace, claim.id),)
    assert claim.attributes["turngate.journal.complete"] is True
    assert claim.attributes["gen_ai.conversation.id"] == restore.attributes["gen_ai.conversation.id"] == session
    assert restore.attributes["turngate.upstream.problem"] == "taken_up"


async def test_a_connection_that_is_replaced_while_it_works_is_a_roll_over(redis_url: str) -> None:
    url = f"{redis_url.rpartition('/')[0]}/6"
    with collector() as collected:
        env = {**collected.env, "TURNGATE_UPSTREAM_ROLLOVER_MS": "200", "TURNGATE_HEARTBEAT_MS": "100"}
        async with Stack(redis_url=url, translators=1, env=env) as stack, Client(stack) as client:
            await client.configured()
            spans = await collected.until(lambda spans: "roll_over" in {span.name for span in spans})
    first = next(span for span in spans if span.name == "roll_over")
    assert (first.failed, first.parent) == (False, "")
