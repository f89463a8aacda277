"""Programs that some tests need, and that are no Python packages.

Where one is missing, its tests are skipped, and fail with ``TURNGATE_TEST_PROGRAMS=required``, which ``.ci/run`` sets.
"""

from __future__ import annotations

import os
import shutil

import pytest

#: The Debian package of each program.
_PACKAGES = {
    "chromium": "chromium",
    "gcc": "gcc",
    "haproxy": "haproxy",
    "kustomize": "kustomize",
    "openssl": "openssl",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "spin": "spin",
}


def path_of(program: str) -> str | None:
    """Where this program is, or None; Debian installs some where only root looks."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")


def needs(*programs: str) -> pytest.MarkDecorator:
    """The mark of tests that need these programs."""
    missing = [program for program in programs if path_of(program) is None]
    # A contributor need not install a browser to change a core. CI skips none of these tests.
    return pytest.mark.skipif(bool(missing) and not required(), reason=_advice(missing))


def path_in_test(program: str) -> str:
    """Where this program is; skips or fails the test that asks, if it is missing."""
    found = path_of(program)
    if found is None:
        (pytest.fail if required() else pytest.skip)(_advice([program]))
    return found


def required() -> bool:
    """Whether a test fails where it would be skipped otherwise."""
    return os.environ.get("TURNGATE_TEST_PROGRAMS") == "required"


def _advice(missing: list[str]) -> str:
    packages = sorted({_PACKAGES[program] for program in missing})
    return f"no {', '.join(missing)} on the PATH: as root, apt-get install --no-install-recommends {' '.join(packages)}"
