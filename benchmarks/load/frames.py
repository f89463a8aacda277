"""The frames that the load consists of, as bytes made once: 20 ms of sound, and upstream events around it."""

from __future__ import annotations

import random

import orjson
import pybase64

#: Seconds of sound in one frame, both ways.
FRAME_SECONDS = 0.02
#: The upstream's rate, in Hz.
UPSTREAM_RATE = 24_000
_SAMPLE_BYTES = 2


def frame_bytes(rate: int) -> int:
    """The size of one frame of pcm16 at ``rate`` Hz."""
    return round(rate * FRAME_SECONDS) * _SAMPLE_BYTES


def noise(rate: int, seed: int = 1) -> bytes:
    """One frame of quiet noise."""
    source = random.Random(seed)
    samples = [source.randrange(-800, 800) for _ in range(frame_bytes(rate) // _SAMPLE_BYTES)]
    return b"".join(sample.to_bytes(_SAMPLE_BYTES, "little", signed=True) for sample in samples)


def delta(response_id: str, item_id: str) -> bytes:
    """One frame of the agent's sound, as the upstream says it."""
    return event(
        "response.output_audio.delta",
        response_id=response_id,
        item_id=item_id,
        output_index=0,
        content_index=0,
        delta=pybase64.b64encode(noise(UPSTREAM_RATE)).decode(),
    )


def event(kind: str, **fields: object) -> bytes:
    """An event of the upstream's, or a message of the client's."""
    return orjson.dumps({"type": kind, "event_id": "event_C9G8pqH3aBcDeFgHiJkLm", **fields})


def appended_bytes(payload: bytes) -> int:
    """The bytes of sound in an ``input_audio_buffer.append``; -1 when ``payload`` is another event."""
    start = payload.find(b'"audio":"')
    if start < 0:
        return -1
    start += 9
    return (payload.index(b'"', start) - start) * 3 // 4
