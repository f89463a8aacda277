"""Every module of a service is a core, which the walls keep pure and `make coverage` covers, or a shell."""

from __future__ import annotations

import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_SERVICES = ("gateway", "translator", "session_state")


def test_what_is_no_shell_is_kept_pure_and_covered() -> None:
    tools = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    (walls,) = [wall for wall in tools["importlinter"]["contracts"] if wall["name"].startswith("cores ")]
    cores = [name.replace(".", "/") + ".py" for name in walls["source_modules"] if "." in name]
    shells = tools["coverage"]["report"]["omit"]
    modules = [path for service in _SERVICES for path in (_ROOT / service).glob("*.py") if path.stem != "__init__"]
    assert sorted(cores + shells) == sorted(str(path.relative_to(_ROOT)) for path in modules)
