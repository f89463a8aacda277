"""The frames of the load, as bytes that are created once: 20 ms of audio, and upstream events with it."""

from __future__ import annotations

import random

import orjson
import pybase64

#: Seconds of audio in one frame, in both directions.
FRAME_SECONDS = 0.02
#: The audio of one burst of the upstream, as frames in each of its deltas: 4,800 to 19,200 bytes, a second in all.
#: OpenAI sends deltas of about these sizes, several at a time and faster than they are played; it documents neither.
BURST = (5, 10, 20, 15)
BURST_SECONDS = sum(BURST) * FRAME_SECONDS
#: The upstream's sample rate, in Hz.
UPSTREAM_RATE = 24_000
_SAMPLE_BYTES = 2


def frame_bytes(rate: int) -> int:
    """The size of a pcm16 frame at ``rate`` Hz."""
    return round(rate * FRAME_SECONDS) * _SAMPLE_BYTES


def noise(rate: int, seed: int = 1) -> bytes:
    """A frame of quiet noise."""
    source = random.Random(seed)
    samples = [source.randrange(-800, 800) for _ in range(frame_bytes(rate) // _SAMPLE_BYTES)]
    return b"".join(sample.to_bytes(_SAMPLE_BYTES, "little", signed=True) for sample in samples)


def delta(response_id: str, item_id: str, frames: int = 1) -> bytes:
    """So many frames of the agent's audio as one upstream event."""
    return event(
        "response.output_audio.delta",
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=0,
        delta=pybase64.b64encode(noise(UPSTREAM_RATE) * frames).decode(),
    )


def appended() -> bytes:
    """A frame of the user's audio as an event to the upstream."""
    return event("input_audio_buffer.append", audio=pybase64.b64encode(noise(UPSTREAM_RATE)).decode())


def event(kind: str, **fields: object) -> bytes:
    """An event of the upstream, or a message of the client."""
    return orjson.dumps({"type": kind, "event_id": "event_C9G8pqH3aBcDeFgHiJkLm", **fields})


def appended_bytes(payload: bytes) -> int:
    """The number of audio bytes in an ``input_audio_buffer.append``; -1 if ``payload`` is another event."""
    return _audio_bytes(payload, b'"audio":')


def delta_bytes(payload: bytes) -> int:
    """The number of audio bytes in a ``response.output_audio.delta``; -1 if ``payload`` is another event."""
    return _audio_bytes(payload, b'"delta":')


def _audio_bytes(payload: bytes, key: bytes) -> int:
    start = payload.find(key)
    if start < 0:
        return -1
    start += len(key)
    # Some servers write JSON with spaces.
    start += payload[start] == ord(" ")
    if payload[start] != ord('"'):
        return -1
    return (payload.index(b'"', start + 1) - start - 1) * 3 // 4
