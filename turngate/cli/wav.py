"""Mono WAV files: reads 16-bit PCM and G.711 as frames, and writes 16-bit PCM."""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from turngate.cli.errors import MISUSED, CommandError
from turngate.cli.messages import SAMPLE_BYTES
from turngate.protocol.deepgram.audio import LINEAR16

#: Length of an audio frame in milliseconds, as telephones and browsers send it.
FRAME_MS = 20

#: The protocol's name of an encoding, by WAV format code and bits per sample.
_ENCODINGS = {(1, 16): LINEAR16, (6, 8): "alaw", (7, 8): "mulaw"}
#: One sample of silence.
_SILENCE = {LINEAR16: b"\0\0", "alaw": b"\xd5", "mulaw": b"\xff"}
#: WAVE_FORMAT_EXTENSIBLE: the actual format code is in the header's extension.
_EXTENSIBLE = 0xFFFE


@dataclass(frozen=True, slots=True)
class Recording:
    """A mono recording."""

    name: str
    #: In Hz.
    sample_rate: int
    #: In ``encoding``; linear16 is little-endian.
    audio: bytes
    encoding: str = LINEAR16

    @property
    def seconds(self) -> float:
        """The duration in seconds."""
        return len(self.audio) / len(_SILENCE[self.encoding]) / self.sample_rate

    @property
    def silence(self) -> bytes:
        """One frame of silence."""
        return _SILENCE[self.encoding] * (self.sample_rate * FRAME_MS // 1000)

    def frames(self) -> Iterator[bytes]:
        """The recording in frames of `FRAME_MS`; the last one is padded with silence."""
        silence = self.silence
        for start in range(0, len(self.audio), len(silence)):
            frame = self.audio[start : start + len(silence)]
            yield frame + silence[len(frame) :]


def read_wav(path: Path) -> Recording:
    """Read a recording. Raises `CommandError`, which says how to convert it, if it is not mono 16-bit PCM or G.711."""
    try:
        return parse_wav(path.name, path.read_bytes())
    except OSError as failure:
        raise CommandError(f"{path}: {failure.strerror}", MISUSED) from None


def parse_wav(name: str, data: bytes) -> Recording:
    """Parse a WAV file; ``name`` is used in messages. Raises `CommandError` like `read_wav`."""
    chunks = dict(_chunks(data))
    try:
        header = chunks[b"fmt "]
        code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", header)
        if code == _EXTENSIBLE:
            (code,) = struct.unpack_from("<H", header, 24)
        audio = chunks[b"data"]
    except (KeyError, struct.error):
        raise CommandError(f"{name}: not a WAV file", MISUSED) from None
    encoding = _ENCODINGS.get((code, bits))
    if encoding is None or channels != 1:
        raise CommandError(
            f"{name}: {bits}-bit, {channels} channels, format {code}; give 16-bit PCM or G.711, mono "
            "(`sox IN -e signed -b 16 -c 1 OUT` converts it)",
            MISUSED,
        )
    return Recording(name, rate, audio[: len(audio) - len(audio) % len(_SILENCE[encoding])], encoding)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a WAV file; none if it is not one. A length beyond the end, as in streams, means the rest."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return
    at = 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        yield name, data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def write_wav(path: Path, pcm: bytes, sample_rate: int) -> float:
    """Write 16-bit mono PCM, making the folder if needed. Returns the length in seconds. Raises `CommandError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target, wave.open(target, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(SAMPLE_BYTES)
            file.setframerate(sample_rate)
            file.writeframes(pcm)
    except OSError as failure:
        raise CommandError(f"{path}: {failure.strerror}", MISUSED) from None
    return len(pcm) / SAMPLE_BYTES / sample_rate
