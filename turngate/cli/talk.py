"""``turngate talk``: sends a recording to the agent and saves the reply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from turngate.cli.agent_session import open_session
from turngate.cli.chat import DEFAULT_URL, render
from turngate.cli.client import ApiKey
from turngate.cli.errors import FAILED, MISUSED, CommandError, run
from turngate.cli.functions import Functions
from turngate.cli.messages import COMPONENT_PATH, OUTPUT_RATE, Message, settings
from turngate.cli.speech import speak
from turngate.cli.wav import Recording, read_wav, write_wav
from turngate.protocol.deepgram import ClientProtocolError
from turngate.protocol.deepgram.audio import LINEAR16_RATES, check_input


def talk(
    recording: Annotated[Path, typer.Argument(help="A WAV file, mono: 16-bit PCM, or G.711 at 8000 Hz.")],
    out: Annotated[Path, typer.Option(help="File for the agent's audio (24000 Hz WAV).")] = Path("reply.wav"),
    url: Annotated[str, typer.Option(help="The gateway.")] = DEFAULT_URL,
    path: Annotated[str, typer.Option(help="/openai or /v1/agent/converse.")] = COMPONENT_PATH,
    api_key: ApiKey = None,
    prompt: Annotated[str | None, typer.Option(help="The agent's prompt.")] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime/--fast", help="Send in real time, or as fast as possible.")
    ] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the reply after the recording.")] = 60.0,
) -> None:
    """Send a recording to the agent, print the text of both sides, and write the agent's audio to a file.

    A connection that is lost is made again, and the conversation goes on.
    """
    run(
        _talk(
            url,
            path,
            prompt,
            recording,
            out,
            realtime=realtime,
            timeout_s=timeout,
            console=Console(highlight=False),
            api_key=api_key,
        )
    )


async def _talk(
    url: str,
    path: str,
    prompt: str | None,
    source: Path,
    out: Path,
    *,
    realtime: bool,
    timeout_s: float,
    console: Console,
    api_key: str | None = None,
) -> int:
    recording = checked(read_wav(source))
    voice = bytearray()

    def observe(direction: str, message: Message | bytes) -> None:
        if isinstance(message, bytes):
            voice.extend(message)
        elif (text := render(message)) is not None:
            console.print(text, soft_wrap=True)

    opening = settings(prompt, input_encoding=recording.encoding, input_rate=recording.sample_rate)
    async with open_session(
        url,
        path,
        opening,
        Functions(),
        observe=observe,
        api_key=api_key,
        notice=lambda line: console.print(line, style="yellow"),
    ) as session:
        try:
            await speak(session, recording, realtime=realtime, timeout_s=timeout_s)
        finally:
            if voice:
                seconds = write_wav(out, bytes(voice), OUTPUT_RATE)
                console.print(f"{seconds:.1f} s of the agent's voice in {out}", style="dim")
        return FAILED if session.errors else 0


def checked(recording: Recording) -> Recording:
    """Return the recording if the server accepts its format and it is not empty. Raises `CommandError`."""
    try:
        check_input(recording.encoding, recording.sample_rate)
    except ClientProtocolError:
        rates = ", ".join(map(str, LINEAR16_RATES))
        remedy = f"give linear16 at one of {rates} Hz (`sox IN -e signed -b 16 -r 16000 OUT` converts it)"
        raise CommandError(
            f"{recording.name}: {recording.encoding} at {recording.sample_rate} Hz is not supported; {remedy}", MISUSED
        ) from None
    if not recording.audio:
        raise CommandError(f"{recording.name}: no audio in it", MISUSED)
    return recording
