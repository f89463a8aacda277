"""Fixtures for pytest: ``pytest_plugins = ["turngate.testing.fixtures"]`` in your ``conftest.py``.

They need ``turngate[testing]``. None of them needs asyncio, and all may be used in tests that do.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from turngate.testing.processes import Simulator, Stack, start_simulator, start_stack


@pytest.fixture(scope="session")
def turngate_stack() -> Iterator[Stack]:
    """A stack with a simulator as its upstream, for all tests of the run."""
    with start_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def turngate_simulator() -> Iterator[Simulator]:
    """A simulator of the OpenAI Realtime API, for all tests of the run."""
    with start_simulator() as simulator:
        yield simulator


@pytest.fixture
def make_turngate_stack() -> Iterator[Callable[..., Stack]]:
    """Starts a stack of this test's own, with the arguments of `turngate.testing.start_stack`."""
    with contextlib.ExitStack() as started:

        def make(**options: Any) -> Stack:
            return started.enter_context(start_stack(**options))

        yield make


@pytest.fixture
def make_turngate_simulator() -> Iterator[Callable[..., Simulator]]:
    """Starts a simulator of this test's own, with the arguments of `turngate.testing.start_simulator`."""
    with contextlib.ExitStack() as started:

        def make(**options: Any) -> Simulator:
            return started.enter_context(start_simulator(**options))

        yield make
