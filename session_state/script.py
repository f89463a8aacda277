"""The Lua scripts of this package."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from turngate.bus.scripts import Script


@cache
def source_of(name: str) -> str:
    """The text of the script in this file, beside this one."""
    return (Path(__file__).parent / name).read_text()


def script_of(name: str) -> Script:
    """The script in this file."""
    return Script(source_of(name))
