"""Where the keys come from, and when a gateway does not start without any."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.admission.credentials import KeyOptions, Unauthorized
from gateway.admission.keys import FileKeys, read_keys, warn_if_open
from gateway.config import GatewaySettings
from turngate.process.settings import SettingsError, load


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEYS", "API_KEYS_FILE", "ALLOW_ANONYMOUS", "PUBLISHED_HOST", "GATEWAY_HOST"):
        monkeypatch.delenv(f"TURNGATE_{name}", raising=False)


def settings(**given: Any) -> GatewaySettings:
    return load(GatewaySettings, **given)


def admits(keys: Any, key: str) -> bool:
    try:
        keys.admit(key)
    except Unauthorized:
        return False
    return True


def test_keys_come_from_a_list_and_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# the telephones\nthree\n\n  four  \r\n")
    monkeypatch.setenv("TURNGATE_API_KEYS", "one, two,,")
    monkeypatch.setenv("TURNGATE_API_KEYS_FILE", str(file))
    keys = read_keys(settings(gateway_host="0.0.0.0"))
    assert isinstance(keys, FileKeys), "and the file is read again when it changes"
    assert len(keys) == 4
    assert all(admits(keys, key) for key in ("one", "two", "three", "four"))
    assert not admits(keys, "five")


def test_a_key_may_have_an_option_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNGATE_API_KEYS", "old latency_reports=0, new")
    keys = read_keys(settings())
    assert keys is not None
    old, new = (keys.admit(key) for key in ("old", "new"))
    assert (keys.options(old).latency_reports, keys.options(new).latency_reports) == (False, True)
    monkeypatch.setenv("TURNGATE_API_KEYS", "secret key")
    with pytest.raises(SettingsError, match="without spaces") as refused:
        read_keys(settings())
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_loopback_no_keys_are_needed_and_it_is_said_loudly(host: str) -> None:
    open_ = settings(gateway_host=host)
    assert read_keys(open_) is None
    with structlog.testing.capture_logs() as logs:
        warn_if_open(None, open_)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("open_to_anybody", "warning")]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "gateway.example"])
def test_elsewhere_it_does_not_start_without_keys_unless_told_to(host: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^TURNGATE_API_KEYS: needed, .*TURNGATE_GATEWAY_HOST.*ALLOW_ANONYMOUS=1"
    ) as no:
        read_keys(settings(gateway_host=host))
    assert "\n" not in str(no.value)
    assert read_keys(settings(gateway_host=host, allow_anonymous=True)) is None


def test_what_counts_is_where_it_is_published() -> None:
    assert read_keys(settings(gateway_host="0.0.0.0", published_host="127.0.0.1")) is None
    with pytest.raises(SettingsError, match=r"TURNGATE_PUBLISHED_HOST 10.0.0.1"):
        read_keys(settings(gateway_host="127.0.0.1", published_host="10.0.0.1"))


def test_with_keys_nothing_is_warned_of() -> None:
    locked = settings(api_keys="one")
    with structlog.testing.capture_logs() as logs:
        warn_if_open(read_keys(locked), locked)
    assert logs == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        ("", "there is no key in it"),
        ("# nothing\n\n", "there is no key in it"),
        ("one two\n", "printable ASCII characters, without spaces"),
        ("schlüssel\n", "printable ASCII characters, without spaces"),
        (b"\xff\xfe", "not text"),
    ],
)
def test_a_file_that_is_no_good_is_one_line_that_names_the_setting_and_shows_no_key(
    tmp_path: Path, content: str | bytes | None, why: str
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(SettingsError, match=f"^TURNGATE_API_KEYS_FILE: .*{why}") as caught:
        read_keys(settings(api_keys_file=file))
    assert "one two" not in str(caught.value)


def test_a_list_without_a_key_in_it_is_a_mistake_and_not_an_open_door() -> None:
    with pytest.raises(SettingsError, match=r"^TURNGATE_API_KEYS: there is no key in it$"):
        read_keys(settings(api_keys=" , "))


def test_the_settings_do_not_show_their_keys() -> None:
    assert "geheim" not in repr(settings(api_keys="geheim"))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def changing(file: Path, content: str = "one\n") -> tuple[FileKeys, Clock]:
    """Keys of a file, and the time, which the first look has just seen."""
    file.write_text(content)
    clock = Clock()
    return FileKeys({"always": KeyOptions()}, file, clock), clock


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    keys, clock = changing(file)
    file.write_text("two\nthree\n")
    clock.now += 1.9
    assert (admits(keys, "one"), admits(keys, "two")) == (True, False), "not looked at every time"
    clock.now += 0.1
    with structlog.testing.capture_logs() as logs:
        assert [admits(keys, key) for key in ("one", "two", "three", "always")] == [False, True, True, True]
    assert [(entry["event"], entry["keys"]) for entry in logs] == [("keys_read_again", 3)]


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    """As an editor, or a mounted secret, does it: another file of the same length, perhaps of the same time."""
    file = tmp_path / "keys"
    keys, clock = changing(file)
    new = tmp_path / "new"
    new.write_text("two\n")
    os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    new.replace(file)
    clock.now += 2
    assert (admits(keys, "one"), admits(keys, "two")) == (False, True)


@pytest.mark.parametrize("content", [None, "", "# nothing\n", "one two\n"])
def test_a_file_that_cannot_be_used_any_more_changes_nothing_and_is_logged_once(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "keys"
    keys, clock = changing(file)
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            clock.now += 2
            assert admits(keys, "one")
    assert [(entry["event"], entry["log_level"], entry["kept"]) for entry in logs] == [("keys_not_read", "error", 2)]
    assert "one two" not in str(logs)
    file.write_text("two\n")
    clock.now += 2
    assert (admits(keys, "one"), admits(keys, "two")) == (False, True), "and when it is mended, it counts again"


def test_a_file_that_has_not_changed_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, clock = changing(tmp_path / "keys")
    clock.now += 60
    monkeypatch.setattr(Path, "read_text", lambda *_: pytest.fail("it is read"))
    assert admits(keys, "one")
