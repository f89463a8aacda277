"""``turngate chat``: a text conversation with the agent, interactive or from a script."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from turngate.cli.agent_session import AgentSession, describe_error, open_session
from turngate.cli.client import ApiKey
from turngate.cli.errors import FAILED, MISUSED, CommandError, run
from turngate.cli.functions import Functions, load_functions
from turngate.cli.lines import read_lines
from turngate.cli.messages import COMPONENT_PATH, Message, settings, update_prompt
from turngate.process.text import printable

DEFAULT_URL = "ws://127.0.0.1:8080"


class UnknownCommandError(CommandError):
    """An unknown slash command. It ends a script, but not an interactive session."""


def chat(
    url: Annotated[str, typer.Option(help="The gateway.")] = DEFAULT_URL,
    path: Annotated[str, typer.Option(help="/openai or /v1/agent/converse.")] = COMPONENT_PATH,
    api_key: ApiKey = None,
    prompt: Annotated[str | None, typer.Option(help="The agent's prompt.")] = None,
    functions: Annotated[
        Path | None,
        typer.Option(help="JSON file of functions and their answers, as turngate/cli/demo/functions.json."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a reply when the input is a script.")] = 60.0,
) -> None:
    """Talk with the agent in text. Each line is a user message; /prompt TEXT adds to the prompt, /quit ends.

    A connection that is lost is made again, and the conversation goes on.

    With a pipe or a file as input, each line is sent after the reply to the previous one, and the command ends after
    the last reply; an error ends it with exit code 1.
    """
    book = load_functions(functions) if functions else Functions()
    run(
        _chat(
            url,
            path,
            settings(prompt, book.declarations()),
            book,
            lines=read_lines(sys.stdin.fileno()),
            interactive=sys.stdin.isatty(),
            timeout_s=timeout,
            console=Console(highlight=False),
            api_key=api_key,
        )
    )


async def _chat(
    url: str,
    path: str,
    opening: Message,
    functions: Functions,
    *,
    lines: AsyncIterator[str],
    interactive: bool,
    timeout_s: float,
    console: Console,
    api_key: str | None = None,
) -> int:
    def show(direction: str, message: Message | bytes) -> None:
        if isinstance(message, bytes) or (direction == "sent" and message["type"] != "FunctionCallResponse"):
            return
        echo = interactive and message.get("role") == "user"  # Typed text is already on the screen.
        if not echo and (text := render(message)) is not None:
            console.print(text, soft_wrap=True)

    def tell(line: str) -> None:
        console.print(_said("", "yellow", line), soft_wrap=True)

    async with open_session(url, path, opening, functions, observe=show, api_key=api_key, notice=tell) as session:
        if interactive:
            console.print(Text("/prompt TEXT adds to the prompt, /quit ends", "dim"))
            return await _interactive(session, lines, console)
        return await _scripted(session, lines, timeout_s)


async def _interactive(session: AgentSession, lines: AsyncIterator[str], console: Console) -> int:
    """Send each typed line immediately, also during a reply; the server holds what must wait."""
    closed = asyncio.create_task(session.closed())
    try:
        while True:
            typed = asyncio.ensure_future(anext(lines, "/quit"))
            await asyncio.wait({typed, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not typed.done():
                typed.cancel()
                raise closed.result()
            try:
                if not await _act(session, typed.result()):
                    return 0
            except UnknownCommandError as mistake:
                console.print(_said("", "yellow", str(mistake)))
    finally:
        closed.cancel()


async def _scripted(session: AgentSession, lines: AsyncIterator[str], timeout_s: float) -> int:
    """Send each line after the reply to the previous one."""
    async for line in lines:
        if not await _act(session, line):
            return 0
        await session.until(
            lambda: bool(session.errors) or session.began_anew or (session.settled and not session.tracker.waiting),
            timeout_s=timeout_s,
            what=f"reply to {line!r}",
        )
        if session.began_anew:
            raise CommandError(f"the conversation was lost in the reply to {line!r}")
        if session.errors:
            return FAILED
    return 0


async def _act(session: AgentSession, line: str) -> bool:
    """Execute one line; returns False for ``/quit``."""
    command, _, rest = line.strip().partition(" ")
    if command == "/quit":
        return False
    if command == "/prompt":
        if not rest:
            raise UnknownCommandError("/prompt needs a text", MISUSED)
        await session.request(update_prompt(rest))
    elif command.startswith("/"):
        raise UnknownCommandError(f"{command} is no command; there are /prompt TEXT and /quit", MISUSED)
    elif line.strip():
        await session.say(line)
    return True


def render(message: Message) -> Text | None:
    """A message as shown to the user; None if it is not shown."""
    match message.get("type"):
        case "ConversationText":
            speaker = "you" if message["role"] == "user" else "agent"
            return _said(speaker, "cyan" if speaker == "you" else "green", message["content"])
        case "FunctionCallRequest":
            calls = ", ".join(f"{call['name']} {call['arguments']}" for call in message["functions"])
            return _said("calls", "magenta", calls)
        case "FunctionCallResponse":
            return _said("answers", "magenta", f"{message['name']} {message['content']}")
        case "SettingsApplied" | "PromptUpdated" | "ThinkUpdated" | "SpeakUpdated" as acknowledged:
            return _said("server", "dim", acknowledged)
        case "Warning" | "Error" as kind:
            return _said(kind.lower(), "yellow" if kind == "Warning" else "red", describe_error(message))
    return None


def _said(speaker: str, style: str, words: str) -> Text:
    words = printable(words)
    return Text.assemble((f"{speaker:>7}", f"bold {style}"), "  ", words)
