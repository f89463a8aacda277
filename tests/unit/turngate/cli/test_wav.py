from __future__ import annotations

import io
import struct
import wave
from pathlib import Path

import pytest

from gateway.audio.formats import wav_header
from turngate.cli.errors import CommandError
from turngate.cli.talk import checked
from turngate.cli.wav import Recording, parse_wav, read_wav, write_wav
from turngate.protocol.deepgram.settings import OutputAudio


def wav(*, width: int = 2, channels: int = 1, rate: int = 16_000, frames: int = 800) -> bytes:
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setsampwidth(width)
        file.setnchannels(channels)
        file.setframerate(rate)
        file.writeframes(b"\x01" * (width * channels * frames))
    return target.getvalue()


@pytest.mark.parametrize(("rate", "size"), [(16_000, 640), (24_000, 960)])
def test_frames_are_20_ms_and_the_last_one_is_padded(rate: int, size: int) -> None:
    recording = Recording("r", rate, b"\x01" * (size * 2 + 2))
    assert [len(frame) for frame in recording.frames()] == [size] * 3
    assert b"".join(recording.frames()) == recording.audio + bytes(size - 2)


@pytest.mark.parametrize(("encoding", "silence"), [("mulaw", b"\xff"), ("alaw", b"\xd5")])
def test_silence_in_every_encoding(encoding: str, silence: bytes) -> None:
    recording = Recording("r", 8_000, b"\x01" * 161, encoding)
    assert recording.silence == silence * 160
    assert list(recording.frames()) == [b"\x01" * 160, b"\x01" + silence * 159]


def test_a_written_file_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "reply.wav"
    assert write_wav(path, b"\x01\x02" * 12_000, 24_000) == 0.5
    assert read_wav(path) == Recording("reply.wav", 24_000, b"\x01\x02" * 12_000)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (wav(width=1), "8-bit"),
        (wav(channels=2), "2 channels"),
        (wav()[:40], "not a WAV file"),
        (b"RIFF", "not a WAV file"),
        (b"ID3" + bytes(100), "not a WAV file"),
    ],
)
def test_other_formats_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(CommandError, match=rf"in\.wav: .*{why}"):
        parse_wav("in.wav", data)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        read_wav(tmp_path / "absent.wav")


def test_an_unsupported_rate_is_refused_with_a_remedy() -> None:
    with pytest.raises(CommandError, match=r"linear16 at 11025 Hz is not supported; give linear16 at .*44100.* \(`sox"):
        checked(parse_wav("in.wav", wav(rate=11_025)))
    assert checked(parse_wav("in.wav", wav(rate=44_100))).sample_rate == 44_100


@pytest.mark.parametrize("encoding", ["linear16", "mulaw", "alaw"])
def test_wav_output_of_the_server_can_be_read_and_sent(encoding: str) -> None:
    header = wav_header(OutputAudio(encoding=encoding, container="wav"))
    recording = checked(parse_wav("in.wav", header + b"\x01" * 800))
    assert recording == Recording("in.wav", 24_000 if encoding == "linear16" else 8_000, b"\x01" * 800, encoding)


def test_an_extensible_header_is_read() -> None:
    fmt = struct.pack("<HHIIHHHHI16s", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4, b"\x01\x00" + bytes(14))
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + odd + b"data" + struct.pack("<I", 4) + b"\x01\x02\x03\x04"
    data = b"RIFF" + struct.pack("<I", len(body)) + body
    assert parse_wav("in.wav", data) == Recording("in.wav", 16_000, b"\x01\x02\x03\x04")


def test_an_empty_recording_is_refused() -> None:
    with pytest.raises(CommandError, match="no audio"):
        checked(parse_wav("in.wav", wav(frames=0)))


@pytest.mark.parametrize(
    ("name", "rate"), [("hello-16k.wav", 16_000), ("rivers-16k.wav", 16_000), ("goodbye-24k.wav", 24_000)]
)
def test_the_demos_recordings_match_their_names(name: str, rate: int) -> None:
    recording = read_wav(Path("turngate/cli/demo") / name)
    assert recording.sample_rate == rate
    assert 1 < recording.seconds < 4
