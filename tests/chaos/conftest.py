"""What each fault cost, at the end of the test run."""

from __future__ import annotations

import pytest

DELAY = "delay"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each fault: how much later its slowest conversation was than an undisturbed one."""
    delays = [
        value
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == DELAY
    ]
    if delays:
        terminalreporter.section("what each fault cost, against an undisturbed run")
        for delay in delays:
            terminalreporter.write_line(str(delay))
