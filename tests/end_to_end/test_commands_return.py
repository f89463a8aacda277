"""``turngate chat`` and ``turngate talk``, whose connection is cut, go on with their conversation on a real gateway."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from rich.console import Console

from tests.end_to_end.client import PATIENCE_SECONDS
from tests.end_to_end.proxy import Proxy, proxy
from turngate.cli.chat import _chat
from turngate.cli.functions import Functions
from turngate.cli.messages import AGENT_PATH, settings
from turngate.cli.talk import _talk
from turngate.cli.wav import read_wav
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

_HELLO = Path(__file__).parents[2] / "turngate" / "cli" / "demo" / "hello-16k.wav"
_LOST, _GOES_ON = "the connection is lost; connecting again ...", "the conversation goes on"


class Screen(io.StringIO):
    """What a command prints."""

    def __init__(self) -> None:
        super().__init__()
        self.console = Console(file=self, width=500, color_system=None)
        self._written = asyncio.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        self._written.set()
        return written

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.getvalue().splitlines()]

    async def shows(self, text: str) -> None:
        """Wait until this was printed."""
        await self.until(lambda: text in self.getvalue())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self._written.clear()
                await self._written.wait()


async def chat(
    between: Proxy, screen: Screen, lines: AsyncIterator[str], *, interactive: bool, greeting: str | None = None
) -> int:
    return await _chat(
        between.url,
        AGENT_PATH,
        settings("Be brief.", greeting=greeting),
        Functions(),
        lines=lines,
        interactive=interactive,
        timeout_s=PATIENCE_SECONDS,
        console=screen.console,
    )


async def test_a_chat_goes_on_with_its_memory_and_one_greeting(stack: Stack) -> None:
    """What is typed while there is no connection is answered afterwards."""
    screen = Screen()

    async def typed() -> AsyncIterator[str]:
        await screen.shows("Welcome to the show.")
        yield "My name is Ada."
        await screen.shows("You said: My name is Ada.")
        yield "/prompt Mind the cat."
        await screen.shows("PromptUpdated")
        between.cut()
        await screen.shows(_LOST)
        yield "What is my name?"
        between.restore()
        await screen.shows("Your name is")
        yield "What are your instructions?"
        await screen.shows("My instructions are")

    async with proxy(stack.gateway_url) as between:
        assert await chat(between, screen, typed(), interactive=True, greeting="Welcome to the show.") == 0
    assert screen.lines[-4:-1] == [_LOST, _GOES_ON, "agent  Your name is Ada."]
    assert "Mind the cat." in screen.getvalue()
    assert screen.getvalue().count("Welcome to the show.") == 1


async def test_a_reply_that_was_cut_reaches_a_script(stack: Stack) -> None:
    screen = Screen()

    async def typed() -> AsyncIterator[str]:
        yield "[say 60 words]"
        yield "And now?"

    async def cut_in_the_reply() -> None:
        await screen.shows("[say 60 words]")
        between.cut()
        await screen.shows(_LOST)
        between.restore()

    async with proxy(stack.gateway_url) as between, asyncio.TaskGroup() as group:
        group.create_task(cut_in_the_reply())
        assert await chat(between, screen, typed(), interactive=False) == 0
    (long,) = [line for line in screen.lines if line.startswith("agent  One")]
    assert len(long.removeprefix("agent  ").split()) == 60
    assert screen.lines[-2:] == ["you  And now?", "agent  You said: And now?"]


@pytest.mark.parametrize("moment", ["SettingsApplied", "(speech"])
async def test_talk_is_heard_although_its_connection_is_cut(stack: Stack, tmp_path: Path, moment: str) -> None:
    """At the beginning of the recording, and after it. What is recorded meanwhile is heard too."""
    screen, out = Screen(), tmp_path / "reply.wav"

    async def cut() -> None:
        await screen.shows(moment)
        between.cut()
        await between.refused(3)
        between.restore()

    async with proxy(stack.gateway_url) as between, asyncio.TaskGroup() as group:
        group.create_task(cut())
        code = await _talk(
            between.url,
            AGENT_PATH,
            None,
            _HELLO,
            out,
            realtime=True,
            timeout_s=PATIENCE_SECONDS,
            console=screen.console,
        )
    assert code == 0
    assert [line for line in screen.lines if line in (_LOST, _GOES_ON)] == [_LOST, _GOES_ON]
    (heard,) = re.findall(r"agent  I heard you speak for (\S+) seconds", screen.getvalue())
    # Of two seconds. A frame is lost that was sent when the connection was already cut.
    assert float(heard) >= 1.5
    assert read_wav(out).seconds > 1
