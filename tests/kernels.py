"""Both implementations of what the compiled kernel does, for tests that must hold for either.

Where the kernel is not built, its tests are skipped, and fail with ``TURNGATE_TEST_PROGRAMS=required``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.programs import needs
from turngate import kernel

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NOT_BUILT = "the kernel is not built: install a C compiler, and then run `make clean .venv/.dev`"
#: Building it needs nothing else that a machine may lack.
compiled = needs() if kernel.COMPILED else needs("gcc")
both = pytest.mark.parametrize("name", [pytest.param("compiled", marks=compiled), "numpy"])


def resampler(name: str) -> kernel.MakeResampler:
    """The resampler of this implementation."""
    if name == "numpy":
        return kernel.with_numpy()
    assert kernel.COMPILED, _NOT_BUILT
    return kernel.resampler()


def energies(name: str) -> Callable[[ReadableBuffer, int, bytes], list[int]]:
    """The energies of frames by this implementation."""
    if name == "python":
        return kernel.stand_ins.energies
    assert kernel.COMPILED, _NOT_BUILT
    return kernel.energies
