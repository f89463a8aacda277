from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from gateway.audio.formats import wav_header
from tests.unit.turngate.cli.fake_gateway import VOICE, FakeGateway
from turngate.cli.errors import CommandError
from turngate.cli.speech import LISTEN_S, FrameClock
from turngate.cli.talk import _talk
from turngate.cli.wav import Recording, read_wav, write_wav
from turngate.protocol.deepgram.settings import OutputAudio

LOUD = b"\x10\x20"


async def talk(
    url: str, source: Path, out: Path, *, realtime: bool = False, timeout_s: float = 10.0
) -> tuple[int, str]:
    shown = io.StringIO()
    code = await _talk(
        url,
        "/openai",
        None,
        source,
        out,
        realtime=realtime,
        timeout_s=timeout_s,
        console=Console(file=shown, width=200, color_system=None),
    )
    return code, shown.getvalue()


@pytest.mark.parametrize(("rate", "frame"), [(8_000, 320), (16_000, 640), (24_000, 960), (44_100, 1764)])
async def test_a_recording_is_sent_unchanged_and_the_reply_saved(
    server: FakeGateway, tmp_path: Path, rate: int, frame: int
) -> None:
    source, out = tmp_path / "in.wav", tmp_path / "reply.wav"
    write_wav(source, LOUD * (rate // 10), rate)
    code, shown = await talk(server.url, source, out)
    assert code == 0
    assert server.of_type("Settings")[0]["audio"]["input"] == {"encoding": "linear16", "sample_rate": rate}
    assert {len(piece) for piece in server.audio} == {frame}
    assert b"".join(server.audio).rstrip(b"\0") == LOUD * (rate // 10)
    assert read_wav(out) == Recording("reply.wav", 24_000, VOICE)
    assert [line.strip() for line in shown.splitlines()] == [
        "server  SettingsApplied",
        "you  (speech)",
        "agent  I heard you.",
        f"0.0 s of the agent's voice in {out}",
    ]


async def test_a_g711_recording_is_sent_unchanged(server: FakeGateway, tmp_path: Path) -> None:
    source = tmp_path / "in.wav"
    source.write_bytes(wav_header(OutputAudio(encoding="mulaw", container="wav")) + b"\x20" * 800)
    server.silence = b"\xff"
    code, _ = await talk(server.url, source, tmp_path / "reply.wav")
    assert code == 0
    assert server.of_type("Settings")[0]["audio"]["input"] == {"encoding": "mulaw", "sample_rate": 8_000}
    assert b"".join(server.audio).rstrip(b"\xff") == b"\x20" * 800


async def test_silence_is_sent_until_the_reply_has_ended(server: FakeGateway, tmp_path: Path) -> None:
    server.silent_frames = round(LISTEN_S * 50) + 5
    source = tmp_path / "in.wav"
    write_wav(source, LOUD * 320, 16_000)
    code, shown = await talk(server.url, source, tmp_path / "reply.wav")
    assert code == 0
    assert "I heard you." in shown


async def test_a_recording_without_speech_gets_no_reply(server: FakeGateway, tmp_path: Path) -> None:
    source, out = tmp_path / "in.wav", tmp_path / "reply.wav"
    write_wav(source, bytes(640), 16_000)
    with pytest.raises(CommandError, match=r"no reply to in\.wav within 0\.05 s"):
        await talk(server.url, source, out, timeout_s=0.05)
    assert not out.exists()


async def test_an_unsupported_rate_is_reported_before_connecting(tmp_path: Path, unused_port: int) -> None:
    source = tmp_path / "in.wav"
    write_wav(source, LOUD * 800, 11_025)
    with pytest.raises(CommandError, match="linear16 at 11025 Hz is not supported"):
        await talk(f"ws://127.0.0.1:{unused_port}", source, tmp_path / "reply.wav")


async def test_delays_do_not_accumulate() -> None:
    """Frame n is sent n × 20 ms after the first, or immediately if that time has passed; delays do not accumulate."""
    now, left = 100.0, []

    async def sleep(delay: float) -> None:
        nonlocal now
        now += delay
        left.append(now)

    clock = FrameClock(lambda: now, sleep)
    for lateness in (0.0, 0.005, 0.05, 0.0, 0.0, 0.0):
        now += lateness
        await clock.tick()
    assert left == pytest.approx([100.0, 100.02, 100.07, 100.07, 100.08, 100.1])
