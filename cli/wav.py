"""WAV files of 16-bit mono PCM, read into frames and written from pieces."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.errors import MISUSED, CommandError
from cli.messages import SAMPLE_BYTES

#: Audio goes out in pieces of this length, as a telephone or a browser sends it.
FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class Recording:
    """Somebody's voice: 16-bit mono PCM, little endian."""

    name: str
    sample_rate: int
    pcm: bytes

    @property
    def seconds(self) -> float:
        """How long it takes to say."""
        return len(self.pcm) / SAMPLE_BYTES / self.sample_rate

    @property
    def frame_bytes(self) -> int:
        """The size of one frame of `FRAME_MS`."""
        return self.sample_rate * FRAME_MS // 1000 * SAMPLE_BYTES

    def frames(self) -> Iterator[bytes]:
        """The recording in frames of `FRAME_MS`; the last one is filled up with silence."""
        for start in range(0, len(self.pcm), self.frame_bytes):
            yield self.pcm[start : start + self.frame_bytes].ljust(self.frame_bytes, b"\0")


def read_wav(path: Path) -> Recording:
    """Read a recording. Raises `CommandError` when it is not 16-bit mono PCM, which says how to convert it."""
    try:
        return parse_wav(path.name, path.read_bytes())
    except OSError as failure:
        raise CommandError(f"{path}: {failure.strerror}", MISUSED) from None


def parse_wav(name: str, data: bytes) -> Recording:
    """Read a recording from a file's bytes; ``name`` is for messages. Raises `CommandError` like `read_wav`."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as failure:
        raise CommandError(f"{name}: not a PCM WAV file ({failure})", MISUSED) from None
    if (width, channels) != (SAMPLE_BYTES, 1):
        raise CommandError(
            f"{name}: {width * 8}-bit, {channels} channels; give 16-bit mono (`sox IN -b 16 -c 1 OUT` converts it)",
            MISUSED,
        )
    return Recording(name, rate, pcm)


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
