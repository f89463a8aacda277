"""What is said of a long command's progress."""

from __future__ import annotations

import io

import pytest

from tests.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_changes() -> None:
    now, screen = 0.0, Terminal()
    progress = Progress(1_000, "seeds", screen, lambda: now)
    for now in (0.1, 0.3, 0.4, 10.0):
        progress.at(round(now * 10), "1 failing")
    progress.close()
    assert screen.getvalue().split("\r\x1b[K") == [
        "",
        "3 of 1,000 seeds, about 2 min left; 1 failing",
        "100 of 1,000 seeds, about 2 min left; 1 failing",
        "",
    ]


def test_results_are_printed_above_the_line_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    now, screen = 0.0, Terminal()
    progress = Progress(2, "parts", screen, lambda: now)
    progress.say("nothing yet")
    now = 10.0
    progress.at(1, "audio")
    progress.say("12 ms")
    progress.close()
    line = "1 of 2 parts, about 10 s left; audio"
    assert screen.getvalue().split("\r\x1b[K") == ["", "", line, line, ""]
    assert capsys.readouterr().out == "nothing yet\n12 ms\n"


def test_elsewhere_a_line_is_printed_now_and_then() -> None:
    now, log = 0.0, io.StringIO()
    progress = Progress(100, "seeds", log, lambda: now)
    for now in (1.0, 29.0, 30.0, 31.0, 60.0):
        progress.at(round(now))
    progress.close()
    assert log.getvalue().splitlines() == ["30 of 100 seeds, about 70 s left", "60 of 100 seeds, about 40 s left"]


def test_nothing_done_is_no_division() -> None:
    now, log = 0.0, io.StringIO()
    progress = Progress(100, "seeds", log, lambda: now)
    now = 40.0
    progress.at(0)
    assert log.getvalue() == "0 of 100 seeds\n"
