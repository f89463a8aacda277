"""The operator's table of names, and the errors for invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.translator.events import session_of, settings, translated
from translator.config import TranslatorSettings
from translator.mapping.defaults import Defaults
from translator.mapping.names import Names, load_names
from turngate.process.settings import SettingsError, load

TOML = """
[voices]
"aura-2-luna-ES" = "coral"
rachel = "voice_own"
[models]
"GPT-4o-mini" = "gpt-realtime-2.1"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "names.toml"
    path.write_text(TOML)
    return path


def test_the_table_maps_voices(file: Path) -> None:
    known = Defaults(names=load_names(file))
    for provider, voice in (
        ({"type": "deepgram", "model": "aura-2-luna-es"}, "coral"),
        ({"type": "cartesia", "model_id": "sonic-2", "voice": {"mode": "id", "id": "Rachel"}}, {"id": "voice_own"}),
        ({"type": "eleven_labs", "model_id": "rachel"}, {"id": "voice_own"}),
        ({"type": "deepgram", "model": "aura-2-zeus-en"}, "cedar"),
    ):
        message = {"type": "UpdateSpeak", "speak": {"provider": provider}}
        assert session_of(message, known)["audio"]["output"]["voice"] == voice
        assert translated(message, known).notices == ()
    direct = settings({"sessionAudioOutput": {"voice": "rachel"}})
    assert session_of(direct, known)["audio"]["output"]["voice"] == {"id": "voice_own"}


def test_a_mapped_model_gets_no_warning(file: Path) -> None:
    message = settings({"think": {"provider": {"type": "open_ai", "model": "gpt-4o-mini"}}})
    assert translated(message, Defaults(names=load_names(file))).notices == ()
    assert [notice["code"] for notice in translated(message).notices] == ["THINK_MODEL_NOT_REALTIME"]


def test_the_table_can_be_json_or_toml(tmp_path: Path, file: Path) -> None:
    assert load_names(None) == Names()
    as_json = tmp_path / "names.json"
    as_json.write_text('{"voices": {"a": "ash"}}')
    assert load_names(as_json).voice(None, "b", "A") == "ash"
    assert load(TranslatorSettings, names_file=file).defaults.names.voice("rachel") == "voice_own"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("names.json", "{", "is not JSON"),
        ("names.toml", "=", "is not TOML"),
        ("names.json", b"\xff", "is not JSON"),
        ("names.json", '{"voices": {"a": "robot"}}', "voices: Value error, 'a' is mapped to 'robot'"),
        ("names.json", '{"voice": {}}', "voice: Extra inputs"),
        ("names.json", '{"models": {"a": 1}}', "models.a: Input should be a valid string"),
        ("absent.json", None, "cannot be read: No such file"),
    ],
)
def test_an_invalid_table_is_reported_in_one_line(
    tmp_path: Path, name: str, content: str | bytes | None, said: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsError, match=said) as caught:
        load_names(path)
    assert str(caught.value).startswith(f"TURNGATE_NAMES_FILE: {path}")
    assert "\n" not in str(caught.value)
