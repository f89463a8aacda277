"""docs/differences.md is complete as far as codes go: every one that is sent and is not Deepgram's, and every one of
Deepgram's that is not sent."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.rows import AGENT, NEVER_SENT

_ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
#: Constants that look like codes.
_SETTINGS = re.compile(r"(TURNGATE|OPENAI)_.*")


def listed(section: str) -> set[str]:
    """The codes in the first column of this section's table."""
    page = (_ROOT / "docs" / "differences.md").read_text("utf-8")
    rows = page.partition(f"## {section}\n")[2].partition("\n## ")[0].splitlines()
    return {code for row in rows if row.startswith("| `") for code in _CODE.findall(row.split(" | ")[0])}


def sent() -> set[str]:
    """The codes in the source."""
    constants = {
        node.value
        for package in ("turngate/protocol", "gateway", "translator")
        for path in (_ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {text for text in constants if _CODE.fullmatch(text) and not _SETTINGS.fullmatch(text)}


def deepgrams() -> set[str]:
    return {code for row in AGENT for code in re.findall(r"^(?:Error|Warning) `(\w+)`$", row)}


def test_deepgrams_codes_that_never_come_are_listed_and_never_come() -> None:
    assert listed("Deepgram's codes that are never sent") == set(NEVER_SENT)
    assert not sent() & set(NEVER_SENT)


def test_codes_of_our_own_are_listed() -> None:
    assert listed("Codes that Deepgram does not have") == sent() - deepgrams()


def test_deepgrams_other_codes_are_sent() -> None:
    assert deepgrams() <= sent()
