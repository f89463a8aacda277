"""The folders of the cores are named twice in pyproject.toml: the import wall and the coverage must mean the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_every_folder_that_is_kept_pure_is_covered_and_the_other_way_round() -> None:
    tools = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    (wall,) = [wall for wall in tools["importlinter"]["contracts"] if wall["name"].startswith("cores ")]
    folders = [name.replace(".", "/") for name in wall["source_modules"]]
    assert folders == tools["coverage"]["run"]["source"]
    assert all((_ROOT / folder).is_dir() for folder in folders)
