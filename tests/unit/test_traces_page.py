"""docs/traces.md shows what the services make."""

from __future__ import annotations

import re
from pathlib import Path

from tests.end_to_end.test_traces import FIRST

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "traces.md").read_text("utf-8")
_MAKERS = ("gateway/conversation/traces.py", "session_state/holds.py", "gateway/session/claims.py")


def test_the_trace_of_the_page_is_the_one_that_the_end_to_end_test_sees() -> None:
    (picture,) = re.findall(r"^```text\n(.*?)^```", _PAGE, re.MULTILINE | re.DOTALL)
    shown = [re.fullmatch(r"([\w-]+) +?( *)(\S.*?) +\|.*", line) for line in picture.splitlines()]
    names = {(line[1], line[3]) for line in shown if line is not None}
    assert len(shown) == len(FIRST)
    assert names == {re.fullmatch(r" *([\w-]+): (.*?)(?: ->.*)?", line).groups() for line in FIRST}  # type: ignore[union-attr]


def test_every_attribute_of_ours_is_on_the_page() -> None:
    made = {name for path in _MAKERS for name in re.findall(r'"(turngate\.[\w.]+)"', (_ROOT / path).read_text("utf-8"))}
    assert len(made) > 10
    assert [name for name in sorted(made) if f"`{name}`" not in _PAGE] == []


def test_every_span_is_on_the_page() -> None:
    made = {"hold", "translate", "release", "claim", "apply", "restore", "roll_over", "user_speech", "invoke_agent"}
    rows = set(re.findall(r"^\| `(\w+)", _PAGE, re.MULTILINE))
    assert made | {"request", "realtime_inference", "execute_tool"} <= rows
