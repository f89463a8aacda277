"""``turngate chat`` when its connection is lost, with a fake gateway that loses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.unit.turngate.cli.chatting import chat
from tests.unit.turngate.cli.fake_gateway import FakeGateway
from turngate.cli.errors import FAILED, CommandError


async def test_a_script_goes_on_when_its_connection_is_lost(server: FakeGateway) -> None:
    server.handle_given, server.resumed = "h1", [True]
    code, shown = await chat(server.url, "one", "cut", "two")
    assert code == 0
    # Welcome, SettingsApplied, the text of "one", four messages of its reply, and the text of "cut".
    assert server.paths == ["/openai?resumable=1", "/openai?resume=h1&received=8"]
    assert shown[3:] == [
        "you  cut",
        "the connection is lost; connecting again ...",
        "the conversation goes on",
        "agent  You said: cut",
        "you  two",
        "agent  You said: two",
    ]
    assert len(server.of_type("Settings")) == 1


async def test_one_line_tells_of_a_connection_however_many_attempts_it_takes(server: FakeGateway) -> None:
    server.handle_given, server.refusals, server.resumed = "h1", [503, 0, 429], [True]
    code, shown = await chat(server.url, "cut", "two")
    assert code == 0
    assert len(server.paths) == 5
    assert [line for line in shown if "conversation" in line or "connect" in line] == [
        "the connection is lost; connecting again ...",
        "the conversation goes on",
    ]
    assert shown[-1] == "agent  You said: two"


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refusal_that_another_attempt_cannot_heal_ends_it(server: FakeGateway, status: int) -> None:
    server.handle_given, server.refusals, server.resumed = "h1", [status], [True]
    with pytest.raises(CommandError, match=f"refused the connection: HTTP {status}"):
        await chat(server.url, "cut", "two")
    assert len(server.paths) == 2


@pytest.mark.parametrize(("refusal", "why"), [(503, "HTTP 503"), (0, "no close frame")])
async def test_it_says_that_it_has_tried_for_too_long(
    server: FakeGateway, monkeypatch: pytest.MonkeyPatch, refusal: int, why: str
) -> None:
    monkeypatch.setattr("turngate.cli.resumption.WINDOW", 0.0)
    server.handle_given, server.refusals = "h1", [refusal]
    with pytest.raises(CommandError, match=f"the server keeps the conversation no longer: .*{why}"):
        await chat(server.url, "cut", "two")
    assert len(server.paths) == 2


async def test_a_script_ends_when_its_conversation_is_lost(server: FakeGateway) -> None:
    server.handle_given, server.resumed = "h1", [False]
    with pytest.raises(CommandError, match="the conversation was lost in the reply to 'cut'"):
        await chat(server.url, "one", "cut", "two")


async def test_a_person_begins_anew_when_the_conversation_is_lost(server: FakeGateway) -> None:
    server.handle_given, server.resumed = "h1", [False]
    typed: asyncio.Queue[str] = asyncio.Queue()

    async def given() -> AsyncIterator[str]:
        while True:
            yield await typed.get()

    chatting = asyncio.ensure_future(chat(server.url, given=given(), interactive=True))

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)

    server.welcomes.clear()
    typed.put_nowait("cut")
    await until(lambda: len(server.paths) == 2)
    # What is said now waits for the Welcome, and for the Settings that come first.
    typed.put_nowait("two")
    await until(typed.empty)
    server.welcomes.set()
    await until(lambda: len(server.of_type("InjectUserMessage")) == 2)
    typed.put_nowait("/quit")
    code, shown = await chatting
    assert code == 0
    assert [message["type"] for message in server.messages] == [
        "Settings",
        "InjectUserMessage",
        "Settings",
        "InjectUserMessage",
    ]
    assert "the conversation was lost with the connection; a new one begins" in shown


async def test_a_server_that_says_why_it_ends_the_session_is_believed(server: FakeGateway) -> None:
    server.handle_given = "h1"
    code, shown = await chat(server.url, "refuse")
    assert code == FAILED
    assert shown[-1] == "error  FAILED_TO_THINK: nobody thinks"
    assert server.paths == ["/openai?resumable=1"]
