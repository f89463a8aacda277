"""``turngate chat``: a conversation with the agent in text, by hand or from a script."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from turngate.cli.client import ApiKey
from turngate.cli.conversation import Conversation, describe_error, open_conversation
from turngate.cli.errors import FAILED, MISUSED, CommandError, run
from turngate.cli.functions import Functions, load_functions
from turngate.cli.lines import read_lines
from turngate.cli.messages import COMPONENT_PATH, Message, settings, update_prompt

DEFAULT_URL = "ws://127.0.0.1:8080"


class UnknownCommandError(CommandError):
    """A line that begins with a slash and means nothing. It ends a script, not a conversation by hand."""


def chat(
    url: Annotated[str, typer.Option(help="The gateway.")] = DEFAULT_URL,
    path: Annotated[str, typer.Option(help="/openai or /v1/agent/converse.")] = COMPONENT_PATH,
    api_key: ApiKey = None,
    prompt: Annotated[str | None, typer.Option(help="What the agent is told to be.")] = None,
    functions: Annotated[
        Path | None,
        typer.Option(help="JSON file of functions and their answers, as turngate/cli/demo/functions.json."),
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for a reply when the input is a script.")] = 60.0,
) -> None:
    """Talk with the agent in text. Each line is a turn; /prompt TEXT adds to the prompt, /quit ends.

    With a pipe or a file as input, each line waits for the reply to the one before it, and the command ends with the
    last reply; an error ends it with exit code 1.
    """
    book = load_functions(functions) if functions else Functions()
    run(
        _chat(
            url,
            path,
            settings(prompt, book.declarations()),
            book,
            lines=read_lines(sys.stdin.fileno()),
            by_hand=sys.stdin.isatty(),
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
    by_hand: bool,
    timeout_s: float,
    console: Console,
    api_key: str | None = None,
) -> int:
    def show(direction: str, message: Message | bytes) -> None:
        if isinstance(message, bytes) or (direction == "sent" and message["type"] != "FunctionCallResponse"):
            return
        echo = by_hand and message.get("role") == "user"  # What a person has typed is on the screen already.
        if not echo and (text := render(message)) is not None:
            console.print(text, soft_wrap=True)

    async with open_conversation(url, path, opening, functions, observe=show, api_key=api_key) as conversation:
        if by_hand:
            console.print(Text("/prompt TEXT adds to the prompt, /quit ends", "dim"))
            return await _by_hand(conversation, lines, console)
        return await _by_script(conversation, lines, timeout_s)


async def _by_hand(conversation: Conversation, lines: AsyncIterator[str], console: Console) -> int:
    """A person types whenever it pleases them, also into a reply; the server sorts out whose turn it is."""
    closed = asyncio.create_task(conversation.closed())
    try:
        while True:
            typed = asyncio.ensure_future(anext(lines, "/quit"))
            await asyncio.wait({typed, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not typed.done():
                typed.cancel()
                raise closed.result()
            try:
                if not await _act(conversation, typed.result()):
                    return 0
            except UnknownCommandError as mistake:
                console.print(_said("", "yellow", str(mistake)))
    finally:
        closed.cancel()


async def _by_script(conversation: Conversation, lines: AsyncIterator[str], timeout_s: float) -> int:
    """One line after the other, each after the reply to the one before it."""
    async for line in lines:
        if not await _act(conversation, line):
            return 0
        await conversation.until(
            lambda: bool(conversation.errors) or (conversation.settled and not conversation.turns.waiting),
            timeout_s=timeout_s,
            what=f"reply to {line!r}",
        )
        if conversation.errors:
            return FAILED
    return 0


async def _act(conversation: Conversation, line: str) -> bool:
    """Do what one line says; False when it says to end."""
    command, _, rest = line.strip().partition(" ")
    if command == "/quit":
        return False
    if command == "/prompt":
        if not rest:
            raise UnknownCommandError("/prompt needs a text", MISUSED)
        await conversation.request(update_prompt(rest))
    elif command.startswith("/"):
        raise UnknownCommandError(f"{command} is no command; there are /prompt TEXT and /quit", MISUSED)
    elif line.strip():
        await conversation.say(line)
    return True


def render(message: Message) -> Text | None:
    """What a person sees of one message; None for what does not concern them."""
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
    return Text.assemble((f"{speaker:>7}", f"bold {style}"), "  ", words)
