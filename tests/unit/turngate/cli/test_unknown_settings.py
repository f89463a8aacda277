"""A misspelt setting is told."""

from __future__ import annotations

from turngate.cli.config import collect
from turngate.cli.unknown_settings import unknown

KNOWN = [setting.variable for setting in collect()]


def test_a_misspelt_name_is_told_with_the_nearest_setting() -> None:
    assert unknown({"TURNGATE_SESSION_MAX": "5"}, KNOWN) == [
        "TURNGATE_SESSION_MAX is not a setting; did you mean TURNGATE_SESSIONS_MAX?"
    ]
    assert unknown({"turngate_log_levle": "info"}, KNOWN) == [
        "turngate_log_levle is not a setting; did you mean TURNGATE_LOG_LEVEL?"
    ]
    assert unknown({"TURNGATE_ZZZZZZZZZZZZZ": "1"}, KNOWN) == ["TURNGATE_ZZZZZZZZZZZZZ is not a setting"]


def test_settings_and_other_programs_variables_are_not_told() -> None:
    environment = dict.fromkeys([*KNOWN, "PATH", "TURNGATE_PUBLISHED_PORT", "TURNGATE_TEST_REDIS"], "x")
    assert unknown(environment, KNOWN) == []
