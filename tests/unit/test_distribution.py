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
    """Apart from the source of the compiled kernel, which is installed as a library."""
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
        if path.is_file() and path.suffix not in (".py", ".pyc", ".md", ".so", ".c", ".h", ".pyi")
    }
    assert installed == kept


def test_the_kernel_is_built_where_it_can_be_and_its_source_is_not_installed() -> None:
    tools = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    (extension,) = tools["ext-modules"]
    assert extension["optional"] is True
    assert [*_ROOT.glob("turngate/**/*.c")] == [_ROOT / source for source in extension["sources"]]
    assert tools["exclude-package-data"] == {"turngate.kernel": ["*.c"]}
