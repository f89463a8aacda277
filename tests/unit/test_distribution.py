"""What is installed where turngate is: four packages, whose names are ours, and the files that they read."""

from __future__ import annotations

import tomllib
from pathlib import Path

from setuptools import find_packages

_ROOT = Path(__file__).parents[2]


_PACKAGES = ("turngate", "gateway", "translator", "session_state")


def test_four_packages_are_installed() -> None:
    tools = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    found = set(find_packages(str(_ROOT), **tools["packages"]["find"]))
    assert {name.split(".")[0] for name in found} == set(_PACKAGES)
    folders = {path.parent.relative_to(_ROOT) for package in _PACKAGES for path in (_ROOT / package).rglob("*.py")}
    assert found == {".".join(folder.parts) for folder in folders}, "each folder with a module in it is a package"


def test_every_file_that_is_no_module_is_installed_too() -> None:
    tools = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    installed = {
        path
        for package, patterns in tools["package-data"].items()
        for pattern in patterns
        for path in (_ROOT / package.replace(".", "/")).glob(pattern)
    }
    kept = {
        path
        for package in _PACKAGES
        for path in (_ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md")
    }
    assert installed == kept
