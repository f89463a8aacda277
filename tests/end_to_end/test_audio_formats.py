"""Audio formats over the whole stack: what the upstream was told, and what came back to the client."""

from __future__ import annotations

import io
import wave
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from tests.end_to_end.client import Client, preventable, received, record_with, settings
from turngate.local.stack import Stack
from turngate.simulator.audio import FORMATS, decode, encode

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: What the upstream speaks for each encoding.
WIRE: dict[str, dict[str, Any]] = {
    "linear16": {"type": "audio/pcm", "rate": 24_000},
    "mulaw": {"type": "audio/pcmu"},
    "alaw": {"type": "audio/pcma"},
}
G711U, G711A = ("mulaw", 8_000), ("alaw", 8_000)
#: What the client sends and what it wants: every family in both directions, and telephones that mix.
PAIRS = [
    (("linear16", 8_000), G711A),
    (("linear16", 16_000), ("linear16", 24_000)),
    (("linear16", 44_100), ("linear16", 8_000)),
    (("linear16", 48_000), ("linear16", 16_000)),
    (G711A, G711U),
    (G711U, G711U),
    (G711U, ("linear16", 48_000)),
]
_BYTES = {"linear16": 2, "mulaw": 1, "alaw": 1}


def declared(heard: tuple[str, int], spoken: tuple[str, int], container: str = "none") -> dict[str, Any]:
    return {
        "input": {"encoding": heard[0], "sample_rate": heard[1]},
        "output": {"encoding": spoken[0], "sample_rate": spoken[1], "container": container},
    }


def speech(form: tuple[str, int], seconds: float = 0.6) -> bytes:
    """A user who hums and then listens, in this format."""
    encoding, rate = form
    times = np.arange(int(rate * seconds)) / rate
    hum = np.rint(9_000 * np.sin(2 * np.pi * 300 * times)).astype("<i2")
    samples = np.concatenate((hum, np.zeros(rate, "<i2")))
    return samples.tobytes() if encoding == "linear16" else encode(samples, FORMATS[WIRE[encoding]["type"]])


async def hold(client: Client, form: tuple[str, int]) -> None:
    """The user's turn by voice, in frames of 20 ms; returns when the reply has ended."""
    audio, frame = speech(form), form[1] // 50 * _BYTES[form[0]]
    for start in range(0, len(audio), frame):
        await client.socket.send(audio[start : start + frame])
    await client.until("UserStartedSpeaking")
    await client.until("AgentAudioDone")


async def spoken_by_upstream(stack: Stack, mark: str, encoding: str) -> tuple[dict[str, Any], int]:
    """The simulator's record, and the milliseconds of audio in the replies that it gave for this encoding."""
    record, form = await record_with(stack, mark), WIRE[encoding]
    sent = [entry["event"] for entry in record["entries"] if entry["direction"] == "sent"]
    replies = {
        event["response"]["id"]
        for event in sent
        if event["type"] == "response.created" and event["response"]["audio"]["output"]["format"] == form
    }
    size = sum(
        event["audio_bytes"]
        for event in sent
        if event["type"] == "response.output_audio.delta" and event["response_id"] in replies
    )
    return record, size // FORMATS[form["type"]].bytes_per_ms


def voice(client: Client) -> bytes:
    return b"".join(frame for frame in client.received if isinstance(frame, bytes))


def low_part(samples: np.ndarray[Any, Any], rate: int) -> float:
    """How much of the energy is where the simulator's voice has it: from 100 to 3500 Hz."""
    spectrum = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(spectrum[(frequencies > 100) & (frequencies < 3_500)].sum() / spectrum[1:].sum())


@pytest.mark.parametrize(("heard", "spoken"), PAIRS)
async def test_speech_in_one_format_is_answered_in_another(
    stack: Stack, heard: tuple[str, int], spoken: tuple[str, int]
) -> None:
    """Row "agent: binary"."""
    mark = f"formats {uuid4().hex}"
    async with Client(stack, "/v1/agent/converse") as client:
        await client.say(**{**settings(mark), "audio": declared(heard, spoken)})
        await client.until("SettingsApplied")
        await hold(client, heard)
    record, milliseconds = await spoken_by_upstream(stack, mark, spoken[0])
    audio = received(record, "session.update")[0]["event"]["session"]["audio"]
    assert audio["input"]["format"] == WIRE[heard[0]]
    assert audio["output"]["format"] == WIRE[spoken[0]]
    assert preventable(record) == []
    assert "(speech, 0.6 s)" in str(client.of_type("ConversationText"))
    assert milliseconds > 0
    assert len(voice(client)) == milliseconds * spoken[1] // 1000 * _BYTES[spoken[0]]
    form = FORMATS["audio/pcm" if spoken[0] == "linear16" else WIRE[spoken[0]]["type"]]
    samples = np.array(decode(voice(client), form))
    assert np.abs(samples).max() > 5_000
    assert low_part(samples, spoken[1]) > 0.99


async def test_each_reply_is_a_wav_file_when_asked_for(stack: Stack) -> None:
    async with Client(stack) as client:
        await client.say(**{**settings(), "audio": declared(("linear16", 24_000), ("linear16", 16_000), "wav")})
        await client.until("SettingsApplied")
        for words in ("One.", "Two."):
            before = len(voice(client))
            await client.turn(words)
            with wave.open(io.BytesIO(voice(client)[before:])) as file:
                assert file.getframerate() == 16_000
                samples = np.frombuffer(file.readframes(1 << 24), "<i2")
            assert low_part(samples, 16_000) > 0.99


async def test_a_repeated_settings_changes_both_formats_for_the_next_reply(stack: Stack) -> None:
    mark = f"formats {uuid4().hex}"
    async with Client(stack) as client:
        await client.say(**{**settings(mark), "audio": declared(("linear16", 16_000), ("linear16", 16_000))})
        await client.until("SettingsApplied")
        await client.say(type="InjectUserMessage", content="[say 30 words]")
        await client.until("AgentStartedSpeaking")
        # Held until the reply is over; the reply goes on in the format in which it began.
        await client.say(**{**settings(mark), "audio": declared(G711U, G711U)})
        await client.until("SettingsApplied")
        _, milliseconds = await spoken_by_upstream(stack, mark, "linear16")
        assert len(voice(client)) == milliseconds * 32
        before = len(voice(client))
        await hold(client, G711U)
    record, milliseconds = await spoken_by_upstream(stack, mark, "mulaw")
    assert len(voice(client)) - before == milliseconds * 8
    assert preventable(record) == []
    assert "(speech, 0.6 s)" in str(client.of_type("ConversationText"))


async def test_a_reply_that_was_interrupted_leaves_nothing_in_the_next(stack: Stack) -> None:
    """A barge-in: what is left of the old reply in the converter would be the first thing heard of the new one."""
    form = ("linear16", 48_000)
    async with Client(stack) as client:
        await client.say(**{**settings(), "audio": declared(form, form)})
        await client.until("SettingsApplied")
        await client.say(type="InjectUserMessage", content="[say 60 words]")
        await client.until("AgentStartedSpeaking")
        while not voice(client):
            await client._receive()
        await client.socket.send(speech(form))
        await client.until("UserStartedSpeaking")
        at = len(client.received)
        await client.until("AgentStartedSpeaking")
        await client.until("AgentAudioDone")
    first = next(frame for frame in client.received[at:] if isinstance(frame, bytes))
    # Every syllable of the simulator's begins in silence.
    assert np.abs(np.frombuffer(first, "<i2")[:24]).max() < 300


async def test_impossible_formats_are_refused_with_what_is_possible(stack: Stack) -> None:
    """Row "agent: Error `INVALID_SETTINGS`"."""
    for audio, field in (
        ({"input": {"encoding": "opus", "sample_rate": 48_000}}, "audio.input.encoding"),
        ({"output": {"encoding": "mulaw", "sample_rate": 16_000}}, "audio.output.sample_rate"),
        ({"output": {"encoding": "linear16", "container": "ogg"}}, "audio.output.container"),
    ):
        async with Client(stack, "/v1/agent/converse") as client:
            await client.say(**{**settings(), "audio": audio})
            error = await client.until("Error")
            assert error["code"] == "INVALID_SETTINGS"
            assert f"`{field}`" in error["description"]
            assert await client.until_closed() == 1000
