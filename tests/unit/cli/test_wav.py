from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.talk import checked
from cli.wav import Recording, parse_wav, read_wav, write_wav


def wav(*, width: int = 2, channels: int = 1, rate: int = 16_000, frames: int = 800) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setsampwidth(width)
        file.setnchannels(channels)
        file.setframerate(rate)
        file.writeframes(b"\x01" * (width * channels * frames))
    return target.getvalue()


@pytest.mark.parametrize(("rate", "size"), [(16_000, 640), (24_000, 960)])
def test_frames_are_20_ms_and_the_last_one_is_filled_up(rate: int, size: int) -> None:
    recording = Recording("r", rate, b"\x01" * (size * 2 + 2))
    assert [len(frame) for frame in recording.frames()] == [size] * 3
    assert b"".join(recording.frames()) == recording.pcm + bytes(size - 2)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "reply.wav"
    assert write_wav(path, b"\x01\x02" * 12_000, 24_000) == 0.5
    assert read_wav(path) == Recording("reply.wav", 24_000, b"\x01\x02" * 12_000)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (wav(width=1), "8-bit"),
        (wav(channels=2), "2 channels"),
        (b"RIFF", "not a PCM WAV file"),
        (b"ID3" + bytes(100), "not a PCM WAV file"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises(CommandError, match=rf"in\.wav: .*{why}"):
        parse_wav("in.wav", data)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        read_wav(tmp_path / "absent.wav")


def test_a_rate_that_the_server_does_not_take_is_refused_with_the_remedy() -> None:
    with pytest.raises(CommandError, match=r"44100 Hz is not supported; give 16000 or 24000 Hz \(`sox"):
        checked(parse_wav("in.wav", wav(rate=44_100)))


def test_an_empty_recording_is_refused() -> None:
    with pytest.raises(CommandError, match="no audio"):
        checked(parse_wav("in.wav", wav(frames=0)))


@pytest.mark.parametrize(
    ("name", "rate"), [("hello-16k.wav", 16_000), ("rivers-16k.wav", 16_000), ("goodbye-24k.wav", 24_000)]
)
def test_the_demos_recordings_are_what_their_names_say(name: str, rate: int) -> None:
    recording = read_wav(Path("infra/demo") / name)
    assert recording.sample_rate == rate
    assert 1 < recording.seconds < 4
