"""Which lines of a child's output the terminal shows, and how many are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from turngate.local import logs
from turngate.local.logs import LogFile, terminal_line


def line(level: str, event: str = "it happened", **fields: object) -> str:
    return json.dumps({"level": level, "event": event, "timestamp": "now", "logger": "x", "service": "s", **fields})


@pytest.mark.parametrize("level", ["debug", "info"])
def test_lines_below_warning_are_not_shown(level: str) -> None:
    assert terminal_line(line(level)) is None


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_warnings_and_errors_are_shown_with_their_fields(level: str) -> None:
    assert terminal_line(line(level, session="abc", waited_ms=12)) == f"{level}: it happened session=abc waited_ms=12"


def test_the_last_line_of_a_traceback_is_shown() -> None:
    trace = "Traceback (most recent call last):\n  File ...\nValueError: no"
    assert terminal_line(line("error", exception=trace)) == "error: it happened (ValueError: no)"


@pytest.mark.parametrize("raw", ["Traceback (most recent call last):", "[1, 2]", '{"not": "ours"}', '"text"'])
def test_other_output_is_shown_unchanged(raw: str) -> None:
    assert terminal_line(raw) == raw


def test_an_empty_line_is_not_shown() -> None:
    assert terminal_line("") is None


def test_the_last_line_prefers_warnings() -> None:
    log = LogFile("service", None)
    assert log.last_line() == "no output"
    log.write(line("info", "starting"))
    assert "starting" in log.last_line()
    log.write("TURNGATE_PORT: wrong")
    log.write(line("info", "ended"))
    assert log.last_line() == "TURNGATE_PORT: wrong"


def test_files_are_bounded_and_start_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_FILE_BYTES", 1000)
    (tmp_path / "service.log").write_text("of the run before\n")
    log = LogFile("service", tmp_path)
    for number in range(200):
        log.write(f"line {number}")
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["service.log", "service.log.1"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert "line 199" in files[0].read_text()
    assert not any("of the run before" in file.read_text() for file in files)


@pytest.mark.parametrize("raw", [line("error", reason="a\x1b]0;x\x07\nb"), "a\x1b]0;x\x07"])
def test_what_others_wrote_cannot_control_the_terminal(raw: str) -> None:
    shown = terminal_line(raw)
    assert shown is not None
    assert shown.isprintable()
    assert r"\x1b]0;x" in shown
